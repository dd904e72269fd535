"""Leases: at most one worker, or one request, talks about a cart or a customer at a time.

A lane is leased by compare-and-set on a row that only workers write, which
every database can do. Nobody waits for a lease.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Q, QuerySet

from django_talon.conf import conf
from django_talon.models import Lane, OutboxRow
from django_talon.models.outbox import Why
from django_talon.outbox import clock, statements

#: Lanes of customers hold no rows: they only keep calls about one person apart.
PROFILE = "profile:"


@dataclass(frozen=True)
class Lease:
    """The right to a lane, until a moment by the database's clock."""

    key: str
    token: UUID
    until: datetime
    #: The same moment by this process's monotonic clock.
    expires: float

    def seconds_left(self) -> float:
        """Return for how long the lease is still good, in seconds."""
        return self.expires - time.monotonic()

    def now(self) -> datetime:
        """Return the database's time without asking it."""
        return self.until - timedelta(seconds=self.seconds_left())


def profile_lane(environment: str, profile_id: str) -> str:
    """Return the key of the lane that all calls about one customer share."""
    return f"{PROFILE}{environment}:{profile_id}"[:255]


def acquire(key: str, now: datetime, *, over_backoff: bool = False) -> Lease | None:
    """Take a lane if it is free and not blocked; return ``None`` otherwise.

    ``over_backoff`` is for new work, which need not sleep out an old backoff.
    """
    if lease := compete(key, now, over_backoff=over_backoff):
        return lease
    # Made empty and then competed for: a row made already owned could have two owners.
    Lane.objects.bulk_create([Lane(key=key)], ignore_conflicts=True)
    return compete(key, now, over_backoff=over_backoff)


def compete(key: str, now: datetime, *, over_backoff: bool = False) -> Lease | None:
    """Take a lane that has a row already, by compare-and-set."""
    lease = Lease(
        key=key,
        token=uuid4(),
        until=now + timedelta(seconds=conf.LEASE),
        expires=time.monotonic() + conf.LEASE,
    )
    stepped_over = Why.BACKOFF if over_backoff else "nothing"
    won = statements.change(
        statements.LEASE, lease.token, lease.until, now, key, now, now, str(stepped_over)
    )
    return lease if won else None


def release(lease: Lease, *customers: Lease) -> bool:
    """Give a lane back, with those of customers that were taken on the way.

    Returns ``False`` if a lease had run out and was taken over.
    """
    held = [lease, *customers]
    ours = statements.change(
        statements.RELEASE, [each.token for each in held], [each.key for each in held]
    )
    if not lease.key.startswith(PROFILE):
        _bring_forward(lease.key, lease.until, lease.now())
    return ours == len(held)


def is_still_ours(lease: Lease) -> bool:
    """Whether nobody took the lane over; within a transaction, nobody can until its end."""
    return bool(statements.change(statements.CONFIRM, lease.token, lease.key))


def forget(key: str) -> None:
    """Delete the row of a lane that nobody holds; its key may name an erased customer."""
    Lane.objects.filter(key=key, token=None).delete()


def block(keys: list[str], seconds: float, why: str) -> None:
    """Keep lanes closed for some seconds, and move their rows behind that."""
    until = clock.now() + timedelta(seconds=seconds)
    _close(keys, until, why)
    put_off(OutboxRow.objects.filter(lane__in=keys), until)


def back_off(key: str, seconds: float, rows: QuerySet[OutboxRow]) -> None:
    """Keep a lane closed for rows that failed; what comes later need not wait for them."""
    until = clock.now() + timedelta(seconds=seconds)
    _close([key], until, Why.BACKOFF)
    put_off(rows, until)


def _close(keys: list[str], until: datetime, why: str) -> None:
    Lane.objects.filter(key__in=keys).filter(
        Q(blocked_until=None) | Q(blocked_until__lt=until)
    ).update(blocked_until=until, why=why)


def put_off(rows: QuerySet[OutboxRow], until: datetime) -> None:
    """Let rows be due no sooner than ``until``."""
    rows.filter(due_at__lt=until).update(due_at=until)


def ends(lane: Lane, now: datetime) -> dict[str, datetime]:
    """Return when the ``lease`` and the ``block`` of a lane end, where they have not yet."""
    found = {"lease": lane.lease_until if lane.token else None, "block": lane.blocked_until}
    return {name: end for name, end in found.items() if end and end > now}


def block_of(key: str) -> datetime | None:
    """Return until when a lane is blocked, whoever holds it."""
    return Lane.objects.filter(key=key).values_list("blocked_until", flat=True).first()


def postpone(busy: Mapping[str, datetime], now: datetime) -> None:
    """Move the due rows of lanes that somebody else holds behind their lease or block.

    One UPDATE for all of them. If a lane was released while this ran, even if
    it was taken again, its rows are brought back: neither order of the two
    loses them.
    """
    if not busy:
        return
    statements.change_each(statements.POSTPONE, busy, now)
    known = Lane.objects.in_bulk(list(busy))
    for key, until in busy.items():
        if key not in known or until not in ends(known[key], now).values():
            _bring_forward(key, until, clock.now())


def _bring_forward(key: str, until: datetime, now: datetime) -> None:
    statements.change(statements.BRING_FORWARD, now, key, until)
