"""Old records go: the log, answered dead letters, lanes that nobody needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q

from django_talon.conf import conf
from django_talon.models import DeadLetter, DeliveryLog, Lane
from django_talon.outbox import clock

#: Rows of one DELETE, so that no transaction is long.
CHUNK = 1000


def purge(days: float | None = None) -> dict[str, int]:
    """Delete records older than ``days`` (default: ``RETENTION_DAYS``); return how many of each.

    Never touches what waits, nor dead letters that nobody has replayed.
    """
    before = clock.now() - timedelta(days=conf.RETENTION_DAYS if days is None else days)
    idle = Q(token=None) & (Q(blocked_until=None) | Q(blocked_until__lt=before))
    return {
        "deliveries": _delete(DeliveryLog.objects.filter(created_at__lt=before)),
        "dead letters": _delete(DeadLetter.objects.filter(replayed_at__lt=before)),
        "lanes": _delete(Lane.objects.filter(idle, served_at__lt=before)),
    }


def _delete(rows: models.QuerySet[Any]) -> int:
    return sum(rows.filter(pk__in=keys).delete()[0] for keys in _chunks(rows))


def _chunks(rows: models.QuerySet[Any]) -> Iterable[list[Any]]:
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        yield keys
