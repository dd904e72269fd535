"""Old records go: the log, answered dead letters, idle lanes, and what names people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q

from django_talon.conf import conf
from django_talon.models import (
    CodeEntry,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Evaluation,
    Lane,
    Selection,
)
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import clock
from django_talon.outbox.expiry import expire

#: Rows of one statement, so that no transaction is long.
CHUNK = 1000
#: Days for which a page that asks an operator may be left open.
ASKING_DAYS = 1
OVER = (SessionState.CLOSED, SessionState.CANCELLED, SessionState.PARTIALLY_RETURNED)


def purge(days: float | None = None) -> dict[str, int]:
    """Delete or empty what is older than its time; return how many of each.

    ``days`` stands in for ``RETENTION_DAYS``, not for the longer times of unanswered
    dead letters and of sessions. Never touches what waits, nor an erasure.
    """
    before = _before(conf.RETENTION_DAYS if days is None else days)
    idle = Q(token=None) & (Q(blocked_until=None) | Q(blocked_until__lt=before))
    unanswered = _before(conf.DEAD_LETTER_RETENTION_DAYS)
    letters = Q(replayed_at__lt=before) | Q(replayed_at=None, created_at__lt=unanswered) & ~Q(
        kind=Kind.ERASE
    )
    return {
        "deliveries": _delete(DeliveryLog.objects.filter(created_at__lt=before)),
        "dead letters": _delete(DeadLetter.objects.filter(letters)),
        "lanes": _delete(Lane.objects.filter(idle, served_at__lt=before)),
        "selections": _delete(Selection.objects.filter(created_at__lt=_before(ASKING_DAYS))),
        **_empty_sessions(_before(conf.SESSION_RETENTION_DAYS)),
        **({} if conf.CART_EXPIRES_DAYS is None else {"expired carts": expire()}),
    }


def _empty_sessions(before: datetime) -> dict[str, int]:
    """Take out of old sessions what names people; ids, states and amounts stay."""
    over = CustomerSession.objects.filter(state__in=OVER, sent_at__lt=before)
    effects = EffectRecord.objects.filter(created_at__lt=before)
    return {
        "evaluations": _delete(Evaluation.objects.filter(evaluated_at__lt=before)),
        "codes": _delete(CodeEntry.objects.filter(created_at__lt=before)),
        "effects emptied": _update(effects.exclude(effect=""), effect=""),
        "sessions emptied": _update(over.exclude(profile_id=""), profile_id=""),
    }


def _before(days: float) -> datetime:
    return clock.now() - timedelta(days=days)


def _delete(rows: models.QuerySet[Any]) -> int:
    return sum(rows.filter(pk__in=keys).delete()[0] for keys in _chunks(rows))


def _update(rows: models.QuerySet[Any], **values: str) -> int:
    return sum(rows.filter(pk__in=keys).update(**values) for keys in _chunks(rows))


def _chunks(rows: models.QuerySet[Any]) -> Iterable[list[Any]]:
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        yield keys
