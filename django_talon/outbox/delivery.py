"""The worker: claim a lane, and make its steps one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import takewhile

from django.db import InterfaceError, OperationalError, ProgrammingError, connections

from django_talon.conf import TalonConfigurationError, conf
from django_talon.models import CustomerSession, Heartbeat, OutboxRow
from django_talon.models.outbox import SCHEMA, TRANSITIONS, Kind
from django_talon.outbox import claim, clock, endpoint, lanes, outcomes, statements, wake
from django_talon.outbox.erasure import deliver_erasure
from django_talon.outbox.event_steps import deliver_event
from django_talon.outbox.expiry import deliver_expiry
from django_talon.outbox.plan import plan
from django_talon.outbox.profile_steps import deliver_profile
from django_talon.outbox.session_steps import deliver_cart, deliver_link, deliver_order
from django_talon.outbox.subjects import cart_key_of, subject_of
from django_talon.outbox.transactions import committed_at_once
from django_talon.outbox.transition_steps import deliver_transition
from django_talon.outbox.trip import LeaseRanOut, LeaseTaken, NotYet, Trip

logger = logging.getLogger("django_talon")

#: Rows of one lane taken up at a time.
BATCH = 500
#: Seconds after which a worker gives a lane back, so that others get their turn.
QUANTUM = 20.0
#: Seconds after which a row is tried again that waits for one of a newer release.
BEHIND = 5.0
#: Claims without an outcome after which a row is taken for one that kills its worker.
QUARANTINE = 3
#: What Celery raises into a task whose time is up; the row is innocent of it.
SOFT_TIME_LIMIT = "SoftTimeLimitExceeded"


def drain(seconds: float = 50.0, *, threads: int = 1) -> int:
    """Deliver what is due until nothing is, or for so many seconds at most.

    ``threads`` is how many lanes may be served at a time where many wait: most
    of a delivery is waiting for an answer. Returns how many lanes were served.
    Any number of processes may run this at the same time.
    """
    if not conf.ENABLED:
        return 0
    beat("worker")
    ends = time.monotonic() + seconds
    helpers = 0 if connections[clock.outbox_alias()].vendor == "sqlite" else threads - 1
    if helpers < 1 or not _is_backlog(threads):
        return _work(ends)
    with ThreadPoolExecutor(helpers, "django-talon-lane") as pool:
        others = [pool.submit(_help, ends) for _ in range(helpers)]
        served = _work(ends)
    return served + sum(other.result() for other in others)


def _is_backlog(threads: int) -> bool:
    head = claim.read()
    return head is not None and len(head.lanes) > threads


def _work(ends: float) -> int:
    served, search = 0, claim.Search()
    while time.monotonic() < ends and serve_next(search):
        served += 1
    return served


def _help(ends: float) -> int:
    """Work in a thread of its own, on a database connection of its own."""
    try:
        with committed_at_once():
            return _work(ends)
    finally:
        connections.close_all()


def beat(name: str) -> None:
    """Leave a sign of life for the status page and the checks."""
    now = clock.now()
    # Without a lock held from one statement to the next: first beats at once would deadlock.
    if not Heartbeat.objects.filter(name=name).update(beat_at=now):
        Heartbeat.objects.bulk_create([Heartbeat(name=name, beat_at=now)], ignore_conflicts=True)


def serve_next(search: claim.Search | None = None) -> bool:
    """Serve one lane that has due rows; return ``False`` if there is none."""
    search = search or claim.Search()
    limit = search.limit
    while (head := claim.read(limit)) is not None:
        standing = _standing(head)
        try:
            lease = claim.first_free(head, standing, search)
            if lease is not None:
                _serve(lease, standing)
                return True
        finally:
            endpoint.give_back(standing.probes)
        claim.rest(head, standing)
        limit = claim.WIDE_HEAD
    return False


def serve_lane(lane: str) -> bool:
    """Serve one lane at once, due or not; ``False`` if it is blocked or somebody has it."""
    now = clock.now()
    lease = lanes.acquire(lane, now)
    if lease is None:
        return False
    standing = endpoint.look({""}, now)
    try:
        _serve(lease, standing)
    finally:
        endpoint.give_back(standing.probes)
    return True


def _standing(head: claim.Head) -> endpoint.Standing:
    standing = endpoint.sound()
    if head.is_troubled:
        standing = endpoint.look({alias for _lane, alias in head.lanes}, head.now)
    standing.has_letters = head.has_letters
    return standing


def _serve(lease: lanes.Lease, standing: endpoint.Standing) -> None:
    """Make the steps of a lane, until it is empty or others should have their turn."""
    customers: dict[str, lanes.Lease] = {}
    try:
        for trip in _trips(lease):
            trip.standing, trip.customers = standing, customers
            if not _make(trip):
                break
    finally:
        lanes.release(lease, *customers.values())


def _trips(lease: lanes.Lease) -> Iterator[Trip]:
    """Yield the steps of a lane, batch by batch, for one quantum."""
    ends = time.monotonic() + QUANTUM
    is_whole = False
    while not is_whole and (rows := _take_up(lease)):
        is_whole = len(rows) < BATCH
        for trip in plan(lease, rows, is_whole=is_whole):
            if time.monotonic() > ends:
                _queue_up_again(lease)
                return
            yield trip


def _queue_up_again(lease: lanes.Lease) -> None:
    """Put a long lane behind the others: they get their turn before its rest."""
    lanes.put_off(OutboxRow.objects.filter(lane=lease.key), lease.now())


def _take_up(lease: lanes.Lease) -> list[OutboxRow]:
    """Return the first rows of a lane, up to one that only a newer release understands."""
    waiting = list(OutboxRow.objects.filter(lane=lease.key).order_by("id")[:BATCH])
    known = list(takewhile(lambda row: row.schema <= SCHEMA, waiting))
    if len(known) < len(waiting):
        behind = OutboxRow.objects.filter(lane=lease.key, pk__gt=waiting[len(known)].pk)
        lanes.put_off(behind.filter(schema__lte=SCHEMA), lease.now() + timedelta(seconds=BEHIND))
    return known


def _handler(row: OutboxRow) -> Callable[[Trip], None]:
    if row.kind in TRANSITIONS:
        return deliver_transition
    if row.kind == Kind.EVENT:
        return deliver_event
    if row.kind == Kind.ERASE:
        return deliver_erasure
    if row.kind == Kind.EXPIRE:
        return deliver_expiry
    if row.kind == Kind.LINK:
        return deliver_link
    role = row.aggregate.split(":", 1)[0]
    return {"cart": deliver_cart, "order": deliver_order, "customer": deliver_profile}[role]


def _make(trip: Trip) -> bool:
    """Make one step; return whether the lane can go on."""
    if any(row.claims >= QUARANTINE for row in trip.rows):
        outcomes.bury(trip, RuntimeError("it ended its worker several times"))
        return True
    # Counted before any work is done: what never comes to an outcome is found by this.
    statements.change(statements.COUNT_CLAIM, trip.ids)
    try:
        _forward(trip)
        _handler(trip.row)(trip)
    except NotYet as later:
        outcomes.come_back(trip, later.until)
        wake.snooze.note((later.until - trip.lease.now()).total_seconds())
    except LeaseTaken:
        trip.repair()
    except LeaseRanOut:
        outcomes.come_back(trip, clock.now())
    except TalonConfigurationError as error:
        logger.error("%s", error)
        outcomes.come_back(trip, clock.now() + timedelta(seconds=claim.UNCONFIGURED))
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        return outcomes.met_the_database(trip, error)
    except Exception as error:
        if type(error).__name__ == SOFT_TIME_LIMIT:
            outcomes.cut_short(trip)
            raise
        return outcomes.failed(trip, error)
    else:
        outcomes.heal(trip)
        return True
    return False


def _forward(trip: Trip) -> None:
    """Bring rows of an order to the lane of its cart, where its session is."""
    row = trip.row
    if not row.lane.startswith("order:"):
        return
    cart_key = _linked_cart(trip) or cart_key_of(subject_of(row.aggregate), row)
    if cart_key:
        OutboxRow.objects.filter(lane=row.lane).update(lane=cart_key, claims=0)
        raise NotYet(clock.now())


def _linked_cart(trip: Trip) -> str:
    """Return the cart that ``talon.link`` named for an order of this lane, now or before."""
    for row in [*trip.rows, *trip.following]:
        if row.kind == Kind.LINK:
            return str((row.payload or {})["cart"])
    known = CustomerSession.objects.filter(order=trip.aggregate).order_by("-pk").first()
    return known.cart if known else ""
