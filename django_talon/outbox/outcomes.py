"""What becomes of a step's rows: gone, put off, sent again, or a dead letter."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import ProgrammingError, models
from django.db.models import F

from django_talon.client import TalonError
from django_talon.client.hushing import places
from django_talon.conf import conf
from django_talon.models import DeadLetter, Erasure, OutboxRow
from django_talon.models.outbox import TRANSITIONS, Kind, Why
from django_talon.outbox import answers, backoff, clock, endpoint, lanes
from django_talon.outbox.event_steps import UnsendableEvent
from django_talon.outbox.subjects import ImpossibleTransition
from django_talon.outbox.trip import Trip
from django_talon.shop.snapshots import SnapshotError
from django_talon.signals import delivery_failed

logger = logging.getLogger("django_talon")

#: Tries for which a table or column that is not there is taken for a migration under way:
#: a quarter of an hour, by the delays between them.
MIGRATING = 9

#: Kinds of which a later row says all that an earlier one did: every save of a closed order
#: says that it is closed. One dead letter is enough.
_SAYS_IT_AGAIN = {Kind.MARK, *TRANSITIONS}
#: Errors whose message was written by us and holds no personal data.
_SAFE = (TalonError, SnapshotError, ImpossibleTransition, UnsendableEvent, LookupError)


def met_the_database(trip: Trip, error: Exception) -> bool:
    """Leave the rows for later, but for a mistake that no migration mends."""
    if isinstance(error, ProgrammingError) and trip.row.attempts >= MIGRATING:
        return failed(trip, error)
    logger.warning("%s met %s at the database.", trip.aggregate, type(error).__name__)
    if trip.once:
        bury(trip, error)  # its row is gone, and nobody knows whether it arrived
    come_back(trip, clock.now() + timedelta(seconds=backoff.jitter(trip.row.attempts)))
    OutboxRow.objects.filter(pk__in=trip.ids).update(attempts=F("attempts") + 1)
    return False


def cut_short(trip: Trip) -> None:
    """Leave the rows for another turn; Talon.One may still be at work on a call."""
    come_back(trip, clock.now())
    if trip.once:
        bury(trip, TimeoutError("the worker's time was up during the call"))
    if trip.called:
        make_good(trip)
        lanes.block([trip.lease.key, *trip.held], conf.HOLD, Why.HOLD)


def make_good(trip: Trip) -> None:
    """Send again what another worker sent while our call, whose outcome is unknown, went on."""
    if not lanes.is_still_ours(trip.lease):
        trip.repair()


def heal(trip: Trip) -> None:
    """Take back the dead letter of what has now been delivered."""
    may_have_some = trip.standing is None or trip.standing.has_letters
    if trip.row.kind in _SAYS_IT_AGAIN and may_have_some:
        _waiting_letters(trip.row).delete()


def _waiting_letters(row: OutboxRow) -> models.QuerySet[DeadLetter]:
    return DeadLetter.objects.waiting().filter(kind=row.kind, aggregate=row.aggregate)


def come_back(trip: Trip, until: datetime) -> None:
    """Leave the lane's rows for later; this was an outcome, so the claim does not count."""
    OutboxRow.objects.filter(lane=trip.lease.key).update(claims=0)
    lanes.put_off(OutboxRow.objects.filter(lane=trip.lease.key), until)
    OutboxRow.objects.filter(pk__in=trip.ids, due_at__gt=until).update(due_at=until)


def failed(trip: Trip, error: Exception) -> bool:
    """Do what the error asks for; return whether the lane can go on."""
    verdict = backoff.judge(error, trip.row.attempts)
    if trip.app is not None:
        endpoint.note(trip.app, verdict, error, trip.began)
    if verdict.is_dead or (trip.once and getattr(error, "ambiguous", False)):
        bury(trip, error)  # what may have arrived, and must not arrive twice, is not sent again
    if verdict.is_dead:
        return True
    if getattr(error, "ambiguous", False):
        make_good(trip)
    changes = {"claims": 0, **({"attempts": F("attempts") + 1} if verdict.counts else {})}
    OutboxRow.objects.filter(pk__in=trip.ids).update(**changes)
    if verdict.lane_delay and verdict.why == Why.BACKOFF:
        lanes.back_off(trip.lease.key, verdict.lane_delay, trip.waiting())
    elif verdict.lane_delay:
        lanes.block([trip.lease.key, *trip.held], verdict.lane_delay, verdict.why)
    return False


def bury(trip: Trip, error: Exception) -> None:
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
    if row.kind in _SAYS_IT_AGAIN:
        _waiting_letters(row).delete()
    letter.save()
    if trip.standing is not None:
        trip.standing.has_letters = True
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
    found = places(error)
    return type(error).__name__ + (f" at {found[-1]}" if found else f": {error}")
