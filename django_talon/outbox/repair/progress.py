"""How far a long run has come, kept in the database; and that it runs once at a time."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q

from django_talon.models import Progress
from django_talon.outbox import clock

#: Seconds without a sign of life after which a run is taken for dead.
LEASE = 60.0
#: Seconds between two signs of life.
BEAT = 10.0


class Refused(Exception):
    """The run cannot begin; the message says why and what to do."""


class TakenOver(Exception):
    """Another process has taken this run for dead and goes on with it."""


class Run:
    """One process's right to a run, and its position."""

    def __init__(self, row: Progress, token: UUID, previous: UUID | None) -> None:
        self.name = row.name
        self.token = token
        #: The token of a run that ended without giving its leases back.
        self.previous = previous
        self.position: dict[str, Any] = row.position
        self.counts: Counter[str] = Counter(row.counts)
        self.total = row.total
        self.started_at = row.started_at
        self._beat_at = time.monotonic()

    def keep(self, **changes: Any) -> None:
        """Write the position down. Raises `TakenOver`."""
        self._beat_at = time.monotonic()
        until = clock.now() + timedelta(seconds=LEASE)
        values = {"position": self.position, "counts": dict(self.counts), "total": self.total}
        row = Progress.objects.filter(pk=self.name, token=self.token)
        if not row.update(lease_until=until, **values, **changes):
            raise TakenOver(f"Another process goes on with {self.name!r}; this one stops.")

    def beat(self) -> None:
        """Leave a sign of life, if the last one is not recent."""
        if time.monotonic() - self._beat_at > BEAT:
            self.keep()

    def finish(self) -> None:
        """Say that everything has been done."""
        self.keep(finished_at=clock.now())


def begin(name: str, filters: Mapping[str, Any], *, restart: bool = False) -> Run:
    """Take the right to a run, and its position if an unfinished one has the same filters.

    Raises `Refused` if it runs already, or stopped half-way with other filters.
    """
    Progress.objects.bulk_create([Progress(name=name)], ignore_conflicts=True)
    now, token = clock.now(), uuid4()
    row = Progress.objects.get(pk=name)
    free = Q(token=row.token) if _is_dead_here(row) else Q(token=None) | Q(lease_until__lte=now)
    runner = f"{socket.gethostname()} {os.getpid()}"
    is_half_done = row.started_at is not None and row.finished_at is None
    if is_half_done and not restart and row.filters != dict(filters) and not _is_alive(row, now):
        raise Refused(_other_filters(row))
    won = Progress.objects.filter(free, pk=name).update(
        token=token,
        lease_until=now + timedelta(seconds=LEASE),
        runner=runner,
        running_since=now,
    )
    if not won:
        raise Refused(_busy(Progress.objects.get(pk=name), clock.now()))
    if restart or not is_half_done:
        fresh = {"filters": dict(filters), "position": {}, "counts": {}, "total": None}
        Progress.objects.filter(pk=name, token=token).update(
            **fresh, started_at=now, finished_at=None
        )
    return Run(Progress.objects.get(pk=name), token, row.token)


@contextmanager
def running(name: str, filters: Mapping[str, Any], *, restart: bool = False) -> Iterator[Run]:
    """Hold a run, and give it back at the end, whatever ends it."""
    run = begin(name, filters, restart=restart)
    try:
        yield run
    finally:
        Progress.objects.filter(pk=name, token=run.token).update(token=None, lease_until=None)


def unfinished(name: str) -> Progress | None:
    """Return a run that stopped half-way."""
    rows = Progress.objects.filter(pk=name, finished_at=None)
    return rows.exclude(started_at=None).first()


def _is_alive(row: Progress, now: datetime) -> bool:
    if row.token is None or row.lease_until is None or row.lease_until <= now:
        return False
    return not _is_dead_here(row)


def _is_dead_here(row: Progress) -> bool:
    """Whether the process that holds a run was one of this host, and is gone."""
    host, _space, pid = row.runner.partition(" ")
    if row.token is None or host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _busy(row: Progress, now: datetime) -> str:
    seconds = (row.lease_until - now).total_seconds() if row.lease_until else 0.0
    host, _space, pid = row.runner.partition(" ")
    return (
        f"{row.name!r} runs already: process {pid} on {host}, since"
        f" {row.running_since:%Y-%m-%d %H:%M:%S} UTC. If that process is gone, try again in"
        f" {max(seconds, 1):.0f} s."
    )


def _other_filters(row: Progress) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in row.filters.items() if value)
    return (
        f"{row.name!r} stopped half-way with another choice ({chosen or 'everything'}). Give the"
        " same options to go on from there, or --restart to begin anew."
    )
