"""The tombstone at work: what is about an erased customer is dropped, counted and noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import F

from django_talon.conf import Application
from django_talon.models import DeliveryLog, Erasure
from django_talon.models.privacy import pseudonym
from django_talon.outbox import calls, clock
from django_talon.outbox.scrub import nameless
from django_talon.outbox.trip import NotYet, Trip

#: Outcome in the delivery log of what was not sent.
WITHHELD = "withheld"


def withholds(app: Application, profile_id: str, method: str) -> bool:
    """Return whether this customer is erased; if so, note that a call was not made."""
    if not Erasure.standing(app.environment, profile_id):
        return False
    standing = Erasure.objects.filter(
        environment=app.environment, pseudonym=pseudonym(profile_id), lifted_at=None
    )
    standing.update(withheld=F("withheld") + 1, withheld_at=clock.now())
    DeliveryLog.objects.create(
        application=app.alias,
        operation=calls.operation(method),
        aggregate=nameless(profile_id),
        outcome=WITHHELD,
    )
    return True


@contextmanager
def named_customer(trip: Trip, app: Application, profile_id: str) -> Iterator[None]:
    """Hold the lane of a customer whom the call will name, if they were not erased meanwhile.

    An erasure deletes while it holds this lane: what was rendered before that is too late.
    Raises `NotYet`; the next turn renders without the person.
    """
    with trip.customer(app, profile_id):
        if profile_id and Erasure.standing(app.environment, profile_id):
            raise NotYet(clock.now())
        yield
