"""A person's data at Talon.One: fetch it, erase it, and keep it erased."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from django_talon.client import TalonRejected, encode
from django_talon.conf import Application, applications, conf
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    EffectRecord,
    Erasure,
    Evaluation,
    OutboxRow,
)
from django_talon.models.outbox import TRANSITIONS, Kind
from django_talon.models.privacy import pseudonym
from django_talon.outbox import calls, clock
from django_talon.outbox.rows import Row, enqueue
from django_talon.outbox.sessions import checked_profile_id
from django_talon.shop.registry import adapter_for


def environments() -> list[Application]:
    """Return one Application of each environment that the shop is connected with."""
    return list({app.environment: app for app in reversed(applications())}.values())[::-1]


def profile_id_of(customer: Any) -> str:
    """Return the integration id of a customer, given as a row or as the id itself."""
    if isinstance(customer, str):
        return customer
    return checked_profile_id(adapter_for(customer), customer)


def erase(customer: Any, *, operator: str = "", reason: str = "") -> list[Erasure]:
    """Request the deletion of a customer's data, in every environment.

    Everything that must happen is written down in one transaction and then
    delivered by the workers: open sessions are cancelled, the data is deleted,
    deleted once more when no late call can bring it back, and read back as the
    proof. From now on no profile id and no attribute of this person is sent.
    """
    profile_id = profile_id_of(customer)
    with transaction.atomic(using=clock.outbox_alias()):
        _forget_locally(customer, profile_id)
        erasures = [_request(app, profile_id, operator, reason) for app in environments()]
    for erasure in erasures:
        _remember(erasure)
    return erasures


def _request(app: Application, profile_id: str, operator: str, reason: str) -> Erasure:
    standing = Erasure.objects.filter(
        environment=app.environment,
        pseudonym=pseudonym(profile_id),
        lifted_at=None,
        status__in=[Erasure.Status.REQUESTED, Erasure.Status.SWEPT],
    ).first()
    if standing is not None:
        return standing
    erasure = Erasure.objects.create(
        environment=app.environment,
        pseudonym=pseudonym(profile_id),
        profile_id=profile_id,
        operator=operator[:190],
        reason=reason[:255],
    )
    key = f"erasure:django_talon.erasure:{erasure.pk}"
    enqueue(
        [
            Row(
                lane=key,
                aggregate=key,
                kind=Kind.ERASE,
                payload={"erasure": erasure.pk},
                priority=-1,
                application=app.alias,
            )
        ]
    )
    return erasure


def _forget_locally(customer: Any, profile_id: str) -> None:
    """Drop what the outbox still holds of the person.

    Closes are business facts and still go out, rendered anew without the person.
    """
    theirs = CustomerSession.objects.filter(profile_id=profile_id)
    events = OutboxRow.objects.filter(kind=Kind.EVENT)
    events.filter(payload__profile_id=profile_id).delete()
    events.filter(aggregate__in=theirs.exclude(cart="").values("cart")).delete()
    Evaluation.objects.filter(session__in=theirs).delete()
    EffectRecord.objects.filter(session__in=theirs).update(effect="")
    OutboxRow.objects.filter(kind__in=TRANSITIONS, payload__profile_id=profile_id).update(
        payload=None
    )
    DeadLetter.objects.filter(payload__profile_id=profile_id).delete()
    CustomerProfile.objects.filter(profile_id=profile_id).update(fingerprint="", customer="")
    if not isinstance(customer, str):
        key = adapter_for(customer).key("customer", customer.pk)
        OutboxRow.objects.filter(aggregate=key).delete()


def _remember(erasure: Erasure) -> None:
    """Write the request to ``ERASURE_LOG``, which outlives a restored database."""
    if not conf.ERASURE_LOG:
        return
    entry = {
        "environment": erasure.environment,
        "profile_id": erasure.profile_id,
        "requested_at": erasure.requested_at.isoformat(),
        "operator": erasure.operator,
    }
    with open(conf.ERASURE_LOG, "a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")


def lift(customer: Any, *, reason: str) -> int:
    """Let an erased customer be known to Talon.One again; return how many erasures that ends.

    Raises `ValueError` without a reason.
    """
    if not reason.strip():
        raise ValueError("lift() needs a reason: it is kept with the erasure.")
    found = Erasure.objects.filter(pseudonym=pseudonym(profile_id_of(customer)), lifted_at=None)
    return found.update(lifted_at=timezone.now(), lifted_reason=reason[:255])


def inventory(customer: Any) -> dict[str, Any]:
    """Return everything Talon.One tells of a customer, as plain JSON data by environment.

    ``None`` stands for an environment that does not know the customer; ``unknown_in``
    names those. Raises `TalonError` if Talon.One cannot be asked.
    """
    profile_id = profile_id_of(customer)
    found = {app.environment: _inventory(app, profile_id) for app in environments()}
    return {
        "profile_id": profile_id,
        "retrieved_at": timezone.now().isoformat(),
        "unknown_in": [environment for environment, data in found.items() if data is None],
        "environments": found,
    }


def _inventory(app: Application, profile_id: str) -> Any:
    try:
        found = calls.call(
            app,
            "inventory",
            "get_customer_inventory",
            profile_id,
            profile=True,
            referrals=True,
            coupons=True,
            loyalty=True,
            giveaways=True,
            achievements=True,
        )
    except TalonRejected as error:
        if error.status == 404:
            return None
        raise
    return msgspec.json.decode(encode(found))
