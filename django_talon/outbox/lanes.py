"""Leases: at most one worker, or one request, talks about a cart or a customer at a time.

A lane is leased by compare-and-set on a row that only workers write, which
every database can do. Nobody waits for a lease.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Q

from django_talon.conf import conf
from django_talon.models import Lane, OutboxRow
from django_talon.outbox import clock

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


def acquire(key: str, now: datetime) -> Lease | None:
    """Take a lane if it is free and not blocked; return ``None`` otherwise."""
    lease = Lease(
        key=key,
        token=uuid4(),
        until=now + timedelta(seconds=conf.LEASE),
        expires=time.monotonic() + conf.LEASE,
    )
    if _compete(lease, now):
        return lease
    # Made empty and then competed for: a row made already owned could have two owners.
    made = Lane.objects.bulk_create([Lane(key=key)], ignore_conflicts=True)
    return lease if made and _compete(lease, now) else None


def _compete(lease: Lease, now: datetime) -> bool:
    free = Q(token=None) | Q(lease_until__lte=now)
    open_ = Q(blocked_until=None) | Q(blocked_until__lte=now)
    return bool(
        Lane.objects.filter(free & open_, key=lease.key).update(
            token=lease.token, lease_until=lease.until, served_at=now
        )
    )


def release(lease: Lease) -> bool:
    """Give a lane back; return ``False`` if the lease had run out and was taken over."""
    ours = Lane.objects.filter(key=lease.key, token=lease.token).update(
        token=None, lease_until=None
    )
    if ours and not lease.key.startswith(PROFILE):
        _bring_forward(lease.key, lease.until, lease.now())
    return bool(ours)


def forget(key: str) -> None:
    """Delete the row of a lane that nobody holds; its key may name an erased customer."""
    Lane.objects.filter(key=key, token=None).delete()


def block(keys: list[str], seconds: float, why: str) -> None:
    """Keep lanes closed for some seconds, and move their rows behind that."""
    until = clock.now() + timedelta(seconds=seconds)
    Lane.objects.filter(key__in=keys).filter(
        Q(blocked_until=None) | Q(blocked_until__lt=until)
    ).update(blocked_until=until, why=why)
    OutboxRow.objects.filter(lane__in=keys, due_at__lt=until).update(due_at=until)


def blocked_until(key: str) -> datetime | None:
    """Return until when a lane is leased or blocked; ``None`` if it is free."""
    lane = Lane.objects.filter(key=key).first()
    if lane is None:
        return None
    ends = [lane.blocked_until, lane.lease_until if lane.token else None]
    now = clock.now()
    return max((end for end in ends if end and end > now), default=None)


def block_of(key: str) -> datetime | None:
    """Return until when a lane is blocked, whoever holds it."""
    return Lane.objects.filter(key=key).values_list("blocked_until", flat=True).first()


def postpone(key: str) -> None:
    """Move the rows of a lane that somebody else holds behind its lease or block.

    So the head of the due rows stays clean. If the lane was released while
    this ran, even if it was taken again, the rows are brought back: neither
    order of the two loses them.
    """
    until = blocked_until(key)
    if until is None:
        return
    OutboxRow.objects.filter(lane=key, due_at__lt=until).update(due_at=until)
    if blocked_until(key) != until:
        _bring_forward(key, until, clock.now())


def _bring_forward(key: str, until: datetime, now: datetime) -> None:
    OutboxRow.objects.filter(lane=key, due_at=until).update(due_at=now)
