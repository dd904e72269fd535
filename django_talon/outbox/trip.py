"""One step of a lane on its way: its rows, its Application, the leases it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import uniform
from typing import Any

from django_talon.conf import Application, conf
from django_talon.models import OutboxRow
from django_talon.outbox import calls, endpoint, lanes

#: Seconds to wait where an endpoint is neither usable nor known to rest.
PAUSE = 5.0


class NotYet(Exception):
    """The step cannot be made now; its rows are due again at ``until``."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"due again at {until:%H:%M:%S}")
        self.until = until


class LeaseRanOut(Exception):
    """Too little is left of the lease to make a call safely."""


@dataclass
class Trip:
    """Carries one step through delivery, and remembers what a failure needs to know."""

    lease: lanes.Lease
    #: Key of the cart, order or customer it is about.
    aggregate: str
    #: Oldest first; all marks of one cart or customer, or a single fact.
    rows: list[OutboxRow]
    #: Facts that come after this step in the same lane.
    following: list[OutboxRow] = field(default_factory=list)
    app: Application | None = None
    #: Lanes that a call whose outcome is unknown keeps closed.
    held: list[str] = field(default_factory=list)
    #: When a waiting shopper's time is up, by the monotonic clock.
    ends: float | None = None
    #: Which endpoints rest, for rows whose Application is worked out only now.
    standing: endpoint.Standing | None = None

    @property
    def row(self) -> OutboxRow:
        return self.rows[0]

    @property
    def ids(self) -> list[int]:
        return [row.pk for row in self.rows]

    def call(self, app: Application, method: str, *args: Any, **options: Any) -> Any:
        """Call Talon.One for this step. Raises `LeaseRanOut` rather than be late."""
        self.app = app
        if self.standing is not None and app.alias not in self.standing.usable:
            moment = self.lease.now() + timedelta(seconds=PAUSE)
            raise NotYet(self.standing.resting.get(app.alias, moment))
        if self.lease.seconds_left() < conf.DEADLINE:
            raise LeaseRanOut(self.lease.key)
        if self.ends is not None:
            options["deadline"] = max(self.ends - time.monotonic(), 0.001)
        return calls.call(app, self.aggregate, method, *args, **options)

    @contextmanager
    def customer(self, app: Application, profile_id: str) -> Iterator[None]:
        """Hold the customer's lane too: Talon.One locks the profile with the session.

        Raises `NotYet` if somebody else has it; nobody waits.
        """
        self.app = app
        if not profile_id:
            yield
            return
        now = self.lease.now()
        key = lanes.profile_lane(app.environment, profile_id)
        lease = lanes.acquire(key, now)
        if lease is None:
            raise NotYet(_soon(key, now))
        self.held.append(key)
        try:
            yield
        finally:
            lanes.release(lease)


def _soon(key: str, now: datetime) -> datetime:
    """Return when to ask again for a customer's lane: a moment, or the end of its block."""
    moment = now + timedelta(seconds=uniform(0.2, 1.0))  # noqa: S311
    blocked = lanes.block_of(key)
    return max(blocked, moment) if blocked else moment
