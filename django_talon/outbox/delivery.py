"""The worker: claim a lane, send what its rows promise, write down the outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, models
from django.db.models import F

from django_talon.client import TalonError
from django_talon.conf import TalonConfigurationError, conf
from django_talon.models import CustomerSession, DeadLetter, Erasure, Heartbeat, OutboxRow
from django_talon.models.outbox import SCHEMA, TRANSITIONS, Kind
from django_talon.outbox import answers, backoff, clock, endpoint, lanes
from django_talon.outbox.erasure import deliver_erasure
from django_talon.outbox.profile_steps import NobodysEvent, deliver_event, deliver_profile
from django_talon.outbox.session_steps import (
    cart_key_of,
    deliver_cart,
    deliver_link,
    deliver_order,
    subject_of,
)
from django_talon.outbox.transition_steps import ImpossibleTransition, deliver_transition
from django_talon.outbox.trip import LeaseRanOut, NotYet, Trip
from django_talon.shop.snapshots import SnapshotError
from django_talon.signals import delivery_failed

logger = logging.getLogger("django_talon")

#: Rows looked at when a lane is chosen, and rows of one lane taken up at a time.
HEAD = 200
BATCH = 500
#: Seconds after which a worker gives a lane back, so that others get their turn.
QUANTUM = 20.0
#: Claims without an outcome after which a row is taken for one that kills its worker.
QUARANTINE = 3
#: What Celery raises into a task whose time is up; the row is innocent of it.
SOFT_TIME_LIMIT = "SoftTimeLimitExceeded"
#: Seconds to wait where the settings name no usable Application.
UNCONFIGURED = 60.0

#: Errors whose message was written by us and holds no personal data.
_SAFE = (TalonError, SnapshotError, ImpossibleTransition, NobodysEvent, LookupError)


def drain(seconds: float = 50.0) -> int:
    """Deliver what is due until nothing is, or for so many seconds at most.

    Returns how many lanes were served. Any number of processes may run this at
    the same time.
    """
    if not conf.ENABLED:
        return 0
    beat("worker")
    ends = time.monotonic() + seconds
    served = 0
    while time.monotonic() < ends and serve_next():
        served += 1
    return served


def beat(name: str) -> None:
    """Leave a sign of life for the status page and the checks."""
    Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": clock.now()})


def serve_next() -> bool:
    """Serve one lane that has due rows; return ``False`` if there is none."""
    while True:
        now, asked = clock.now(), time.monotonic()
        head = _head(now)
        if not head:
            return False
        standing = endpoint.look({alias for _lane, alias in head}, now)
        try:
            for lane, alias in head:
                if alias and alias not in standing.usable:
                    continue
                lease = lanes.acquire(lane, now + timedelta(seconds=time.monotonic() - asked))
                if lease is not None:
                    _serve(lease, standing)
                    return True
                lanes.postpone(lane)
        finally:
            endpoint.give_back(standing.probes)
        _rest(head, standing, now)


def _head(now: datetime) -> list[tuple[str, str]]:
    """Return lane and application of the first due rows, each once, urgent ones first."""
    rows = (
        OutboxRow.objects.filter(due_at__lte=now, schema__lte=SCHEMA)
        .order_by("due_at", "id")
        .values_list("lane", "application", "priority")[:HEAD]
    )
    ordered = sorted(rows, key=lambda row: row[2])
    return list(dict.fromkeys((lane, alias) for lane, alias, _priority in ordered))


def _rest(head: list[tuple[str, str]], standing: endpoint.Standing, now: datetime) -> None:
    """Move rows whose endpoint rests out of the way of the others."""
    unknown = now + timedelta(seconds=UNCONFIGURED)
    for alias in {alias for _lane, alias in head if alias and alias not in standing.usable}:
        behind = [lane for lane, its_alias in head if its_alias == alias]
        endpoint.put_behind(alias, behind, standing.resting.get(alias, unknown))


def _serve(lease: lanes.Lease, standing: endpoint.Standing) -> None:
    ends = time.monotonic() + QUANTUM
    try:
        for trip in plan(lease, _take_up(lease)):
            trip.standing = standing
            if time.monotonic() > ends or not _make(trip):
                break
    finally:
        lanes.release(lease)


def _take_up(lease: lanes.Lease) -> list[OutboxRow]:
    rows = OutboxRow.objects.filter(lane=lease.key, schema__lte=SCHEMA)
    return list(rows.order_by("id")[:BATCH])


def plan(lease: lanes.Lease, rows: list[OutboxRow]) -> Iterator[Trip]:
    """Yield the steps of a lane in order; all marks of one aggregate are one step."""
    steps: dict[object, list[OutboxRow]] = {}
    for row in rows:
        steps.setdefault(row.aggregate if row.kind == Kind.MARK else row.pk, []).append(row)
    for step in steps.values():
        following = [row for row in rows if row.pk > step[0].pk and row not in step]
        yield Trip(lease, step[0].aggregate, step, following)


def _handler(row: OutboxRow) -> Callable[[Trip], None]:
    if row.kind in TRANSITIONS:
        return deliver_transition
    if row.kind == Kind.EVENT:
        return deliver_event
    if row.kind == Kind.ERASE:
        return deliver_erasure
    if row.kind == Kind.LINK:
        return deliver_link
    role = row.aggregate.split(":", 1)[0]
    return {"cart": deliver_cart, "order": deliver_order, "customer": deliver_profile}[role]


def _make(trip: Trip) -> bool:
    """Make one step; return whether the lane can go on."""
    if any(row.claims >= QUARANTINE for row in trip.rows):
        _bury(trip, RuntimeError("it ended its worker several times"))
        return True
    # Counted before any work is done: what never comes to an outcome is found by this.
    OutboxRow.objects.filter(pk__in=trip.ids).update(claims=F("claims") + 1)
    try:
        _forward(trip)
        _handler(trip.row)(trip)
    except NotYet as later:
        _come_back(trip, later.until)
    except LeaseRanOut:
        _come_back(trip, clock.now())
    except TalonConfigurationError as error:
        logger.error("%s", error)
        _come_back(trip, clock.now() + timedelta(seconds=UNCONFIGURED))
    except (OperationalError, InterfaceError) as error:
        logger.warning("%s met %s at the database.", trip.aggregate, type(error).__name__)
        _come_back(trip, clock.now() + timedelta(seconds=backoff.jitter(trip.row.attempts)))
        OutboxRow.objects.filter(pk__in=trip.ids).update(attempts=F("attempts") + 1)
    except Exception as error:
        if type(error).__name__ == SOFT_TIME_LIMIT:
            _come_back(trip, clock.now())
            raise
        return _failed(trip, error)
    else:
        _heal(trip)
        return True
    return False


def _heal(trip: Trip) -> None:
    """Take back the dead letter of a cart or customer that has now been delivered."""
    if trip.row.kind == Kind.MARK:
        _waiting_letters(trip.aggregate).delete()


def _waiting_letters(aggregate: str) -> models.QuerySet[DeadLetter]:
    return DeadLetter.objects.filter(kind=Kind.MARK, aggregate=aggregate, replayed_at=None)


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


def _come_back(trip: Trip, until: datetime) -> None:
    """Leave the lane's rows for later; this was an outcome, so the claim does not count."""
    OutboxRow.objects.filter(lane=trip.lease.key).update(claims=0)
    rows = OutboxRow.objects.filter(lane=trip.lease.key, due_at__lt=until)
    rows.update(due_at=until)
    OutboxRow.objects.filter(pk__in=trip.ids, due_at__gt=until).update(due_at=until)


def _failed(trip: Trip, error: Exception) -> bool:
    """Do what the error asks for; return whether the lane can go on."""
    verdict = backoff.judge(error, trip.row.attempts)
    if trip.app is not None:
        endpoint.note(trip.app, verdict, error)
    if verdict.is_dead:
        _bury(trip, error)
        return True
    changes = {"claims": 0, **({"attempts": F("attempts") + 1} if verdict.counts else {})}
    OutboxRow.objects.filter(pk__in=trip.ids).update(**changes)
    if verdict.lane_delay:
        lanes.block([trip.lease.key, *trip.held], verdict.lane_delay, verdict.why)
    return False


def _bury(trip: Trip, error: Exception) -> None:
    """Make a dead letter of a row that cannot be helped; it blocks nobody."""
    row = trip.row
    letter = DeadLetter(
        application=trip.app.alias if trip.app else row.application,
        lane=row.lane,
        kind=row.kind,
        aggregate=row.aggregate,
        payload=row.payload,
        uid=row.uid,
        status=getattr(error, "status", None),
        operation=getattr(error, "operation", ""),
        reason=reason(error)[:500],
        pointers=[[detail.pointer, detail.title] for detail in getattr(error, "errors", [])],
    )
    if row.kind == Kind.MARK:
        _waiting_letters(row.aggregate).delete()
    letter.save()
    answers.forget(trip.ids)
    if row.kind == Kind.ERASE:
        Erasure.objects.filter(pk=(row.payload or {}).get("erasure", 0)).update(
            status=Erasure.Status.FAILED
        )
    logger.warning("%s %s became dead letter %s.", row.kind, row.aggregate, letter.pk)
    delivery_failed.send_robust(sender=DeadLetter, dead_letter=letter)


def reason(error: Exception) -> str:
    """Return what may be shown of an error: a stranger's message may hold personal data."""
    if isinstance(error, _SAFE):
        return str(error)
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}{where}" if where else f"{type(error).__name__}: {error}"
