"""One step of a lane on its way: its rows, its Application, the leases it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import uniform
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from django_talon.conf import Application, conf
from django_talon.models import CustomerProfile, CustomerSession, OutboxRow
from django_talon.models.outbox import Kind
from django_talon.outbox import calls, endpoint, lanes, rows

#: Seconds for which a worker goes by what it saw of the endpoints when it took the lane.
STANDING = 1.0
#: Seconds to wait where an endpoint is neither usable nor known to rest.
PAUSE = 5.0
#: Seconds for which what was saved with an order may still be on its way.
SETTLE = 5.0


class NotYet(Exception):
    """The step cannot be made now; its rows are due again at ``until``."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"due again at {until:%H:%M:%S}")
        self.until = until


class LeaseRanOut(Exception):
    """Too little is left of the lease to make a call safely."""


class LeaseTaken(LeaseRanOut):
    """The lane was taken over during a call: nobody knows whose call was applied last."""


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
    #: Methods of the client that were called.
    called: list[str] = field(default_factory=list)
    #: When the last call began, by this host's clock.
    began: datetime = field(default_factory=timezone.now)
    #: The row was deleted before the send: an unknown outcome is the end of it.
    once: bool = False
    #: When a waiting shopper's time is up, by the monotonic clock.
    ends: float | None = None
    #: Which endpoints rest, for rows whose Application is worked out only now.
    standing: endpoint.Standing | None = None
    #: Whether the lane had no more rows than this step and those that follow.
    is_whole: bool = True
    #: Customers' lanes that are held until the end of the lane, by key; ``None`` to give
    #: each back at once.
    customers: dict[str, lanes.Lease] | None = None

    @property
    def row(self) -> OutboxRow:
        return self.rows[0]

    @property
    def ids(self) -> list[int]:
        return [row.pk for row in self.rows]

    def waiting(self) -> QuerySet[OutboxRow]:
        """Return the rows that waited in the lane when it was taken up."""
        rows = OutboxRow.objects.filter(lane=self.lease.key)
        if not self.is_whole:
            return rows
        return rows.filter(pk__in=[row.pk for row in [*self.rows, *self.following]])

    def call(self, app: Application, method: str, *args: Any, **options: Any) -> Any:
        """Call Talon.One for this step. Raises `LeaseRanOut` rather than be late."""
        self.app = app
        self._check(app)
        if self.ends is not None:
            options["deadline"] = max(self.ends - time.monotonic(), 0.001)
        self.called.append(method)
        self.began = timezone.now()
        is_news = self.standing is None or not self.standing.is_sound
        return calls.call(app, self.aggregate, method, *args, is_news=is_news, **options)

    def _check(self, app: Application) -> None:
        if self.standing is not None and app.alias not in self.standing.usable:
            moment = self.lease.now() + timedelta(seconds=PAUSE)
            raise NotYet(self.standing.resting.get(app.alias, moment))
        if self._has_gone_on() and not endpoint.is_usable(app):
            raise NotYet(self.lease.now() + timedelta(seconds=PAUSE))
        if self.lease.seconds_left() < conf.DEADLINE:
            raise LeaseRanOut(self.lease.key)

    def _has_gone_on(self) -> bool:
        """Whether the standing is old: another worker may have been asked to pause meanwhile."""
        is_probe = self.standing is None or bool(self.standing.probes)
        return not is_probe and conf.LEASE - self.lease.seconds_left() > STANDING

    def confirm(self) -> None:
        """Make sure, within a transaction, that the lane is still ours.

        Raises `LeaseTaken`, or `LeaseRanOut` where no call was made.
        """
        if not lanes.is_still_ours(self.lease):
            raise (LeaseTaken if self.called else LeaseRanOut)(self.lease.key)

    def confirm_customer(self, app: Application, profile_id: str) -> None:
        """Make sure, within a transaction, that the customer's lane is still ours as well."""
        lease = (self.customers or {}).get(lanes.profile_lane(app.environment, profile_id))
        if lease is not None and not lanes.is_still_ours(lease):
            raise LeaseTaken(lease.key)

    def repair(self) -> None:
        """After `LeaseTaken`: let the cart, order or customer be sent once more."""
        if self.rows and self.row.kind != Kind.MARK:
            return  # a fact is sent with the same bytes and key by whoever has the lane now
        key = self.aggregate
        sessions = CustomerSession.objects.filter(Q(cart=key) | Q(order=key))
        theirs = Q(customer=key) | Q(profile_id__in=sessions.values("profile_id"))
        people = CustomerProfile.objects.filter(theirs)
        customers = set(people.exclude(customer="").values_list("customer", flat=True)) - {key}
        people.update(fingerprint="")
        sessions.update(fingerprint="")
        application = self.rows[0].application if self.rows else ""
        again = [(self.lease.key, key), *((customer, customer) for customer in customers)]
        rows.enqueue([rows.Row(lane, about, application=application) for lane, about in again])

    @contextmanager
    def customer(self, app: Application, profile_id: str) -> Iterator[None]:
        """Hold the customer's lane too: Talon.One locks the profile with the session.

        Raises `NotYet` if somebody else has it; nobody waits.
        """
        self.app = app
        if not profile_id:
            yield
            return
        key = lanes.profile_lane(app.environment, profile_id)
        if self.customers is not None and key in self.customers:
            self.held.append(key)  # an earlier step took it
            yield
            return
        lease = self._lease_of(key)
        if self.customers is not None:
            self.customers[key] = lease
            yield
            return
        try:
            yield
        finally:
            lanes.release(lease)

    def _lease_of(self, key: str) -> lanes.Lease:
        now = self.lease.now()
        lease = lanes.acquire(key, now)
        if lease is None:
            raise NotYet(_soon(key, now))
        self.held.append(key)
        return lease


def _soon(key: str, now: datetime) -> datetime:
    """Return when to ask again for a customer's lane: a moment, or the end of its block."""
    moment = now + timedelta(seconds=uniform(0.2, 1.0))  # noqa: S311
    blocked = lanes.block_of(key)
    return max(blocked, moment) if blocked else moment
