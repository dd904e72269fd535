"""What is kept of an answer, in one transaction with the end of the rows it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from django_talon.client import encode
from django_talon.effects import handlers, typed, whole
from django_talon.models import (
    CodeEntry,
    CustomerSession,
    EffectRecord,
    Evaluation,
    OutboxRow,
)
from django_talon.models.identity import SessionState
from django_talon.outbox import clock
from django_talon.outbox.trip import Trip


def store(
    trip: Trip,
    session: CustomerSession,
    effects: Sequence[Any],
    *,
    state: str,
    row_ids: Collection[int],
    fingerprint: str | None = None,
    profile_id: str | None = None,
) -> None:
    """Keep an answer and delete the rows that were read before it was asked for.

    ``fingerprint`` is that of the content which was sent; ``None`` for a call
    that changed the state only. Signal receivers and handlers run afterwards.
    Raises `LeaseTaken`, and keeps nothing, if another worker has the lane by now.
    """
    now = trip.lease.now()
    effects = whole(effects)
    with transaction.atomic(using=clock.outbox_alias()):
        trip.confirm()
        session.state = state
        session.sent_at = now
        if profile_id is not None:
            session.profile_id = profile_id
        if fingerprint is not None:
            session.fingerprint = fingerprint
        session.save()
        if fingerprint is not None:
            _keep_evaluation(session, effects, fingerprint, now)
        _keep_ledger(session, effects, state)
        note_codes(session.order or session.cart, effects)
        forget(row_ids)
    handlers.dispatch(session, effects)


def forget(row_ids: Collection[int]) -> None:
    """Delete rows that were dealt with: by id, never "everything up to"."""
    OutboxRow.objects.filter(pk__in=list(row_ids)).delete()


def _keep_evaluation(
    session: CustomerSession, effects: Sequence[Any], fingerprint: str, now: datetime
) -> None:
    values = {
        "fingerprint": fingerprint,
        "effects": encode(list(effects)).decode(),
        "evaluated_at": now,
    }
    # Who calls holds the lane, so nobody else makes the row meanwhile.
    if not Evaluation.objects.filter(session=session).update(**values):
        Evaluation.objects.create(session=session, **values)


def _keep_ledger(session: CustomerSession, effects: Iterable[Any], state: str) -> None:
    """Write ledger rows at a close, and whenever something was rolled back."""
    rows = [
        EffectRecord(
            session=session,
            state=state,
            effect_type=effect.effect_type,
            campaign_id=effect.campaign_id,
            rule_name=str(effect.rule_name or "")[:255],
            amount=amount(effect),
            effect=encode(effect).decode(),
        )
        for effect in effects
        if state == SessionState.CLOSED or effect.effect_type.startswith("rollback")
    ]
    if rows:
        EffectRecord.objects.bulk_create(rows)


def amount(effect: Any) -> Decimal | None:
    """Return the amount of an effect that has one."""
    value = getattr(effect.props, "value", None)
    return value if isinstance(value, Decimal) else None


def note_codes(key: str, effects: Iterable[Any]) -> None:
    """Note on the entered codes which ones Talon.One accepted or refused, and why."""
    entries = CodeEntry.objects.filter(cart=key)
    for effect in typed(effects, "acceptCoupon", "rejectCoupon"):
        props: Any = effect.props
        if effect.effect_type == "acceptCoupon":
            entries.filter(code__iexact=props.value).update(
                status=CodeEntry.Status.ACCEPTED, reason=""
            )
        else:
            entries.filter(code__iexact=props.value).update(
                status=CodeEntry.Status.REJECTED, reason=props.rejection_reason[:64]
            )
