"""What our own tables hold of a customer, for the person who asks what is known of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet

from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Erasure,
    Evaluation,
    OutboxRow,
)
from django_talon.models.privacy import pseudonym
from django_talon.outbox.scrub import Person, nameless


def held(person: Person) -> dict[str, list[dict[str, Any]]]:
    """Return our rows about a customer as plain JSON data; a fixed number of queries.

    The shop's own rows, such as accounts and orders, are the shop's to tell.
    """
    theirs = CustomerSession.objects.filter(profile_id=person.profile_id)
    keys = _keys(person, theirs)
    about = Q(aggregate__in=keys) | Q(payload__profile_id=person.profile_id)
    logged = [*keys, nameless(person.profile_id)]
    found = {
        "profiles": _rows(
            CustomerProfile.objects.filter(profile_id=person.profile_id),
            "environment profile_id customer created_at sent_at",
        ),
        "sessions": _rows(
            theirs,
            "integration_id application cart order profile_id state created_at sent_at drift_at",
        ),
        "evaluations": _answers(Evaluation.objects.filter(session__in=theirs)),
        "effects": _ledger(EffectRecord.objects.filter(session__in=theirs)),
        "codes": _rows(
            CodeEntry.objects.filter(cart__in=keys), "cart code status reason created_at"
        ),
        "waiting": _rows(
            OutboxRow.objects.filter(about), "kind aggregate payload created_at due_at attempts"
        ),
        "dead_letters": _rows(
            DeadLetter.objects.filter(about),
            "kind aggregate payload operation status reason created_at replayed_at",
        ),
        "deliveries": _rows(
            DeliveryLog.objects.filter(aggregate__in=logged),
            "created_at application operation aggregate outcome status",
        ),
        "erasures": _rows(
            Erasure.objects.filter(pseudonym=pseudonym(person.profile_id)),
            "environment status requested_at first_sweep_at second_sweep_at confirmed_at"
            " lifted_at withheld",
        ),
    }
    plain: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(found, cls=DjangoJSONEncoder))
    return plain


def _keys(person: Person, theirs: QuerySet[CustomerSession]) -> list[str]:
    pairs: Iterable[tuple[str, str]] = theirs.values_list("cart", "order")
    keys = {key for pair in pairs for key in pair} | {person.customer}
    return sorted(keys - {""})


def _rows(rows: QuerySet[Any], names: str) -> list[dict[str, Any]]:
    return list(rows.order_by("pk").values(*names.split()))


def _answers(rows: QuerySet[Evaluation]) -> list[dict[str, Any]]:
    found = _rows(rows, "session__integration_id evaluated_at effects")
    return [{**row, "effects": json.loads(row["effects"] or "[]")} for row in found]


def _ledger(rows: QuerySet[EffectRecord]) -> list[dict[str, Any]]:
    names = "session__integration_id state effect_type campaign_id rule_name amount created_at"
    found = _rows(rows, f"{names} effect")
    return [{**row, "effect": json.loads(row["effect"] or "null")} for row in found]
