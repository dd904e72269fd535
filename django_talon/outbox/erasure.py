"""Delivery of erasures: delete, delete again once no late call can follow, read back."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from django_talon.client import CustomerInventory, TalonRejected
from django_talon.conf import (
    Application,
    TalonConfigurationError,
    application,
    applications,
    conf,
    environment_of,
)
from django_talon.models import CustomerSession, Erasure, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import answers, clock, erasure_log, scrub
from django_talon.outbox.scrub import Person
from django_talon.outbox.session_steps import cancel
from django_talon.outbox.trip import NotYet, Trip
from django_talon.signals import customer_erased

#: What the end of an erasure writes; `withheld` and the lifting belong to others.
PROVED = ["status", "second_sweep_at", "confirmed_at", "proof", "profile_id", "customer"]


def deliver_erasure(trip: Trip) -> None:
    """Make the next sweep of an erasure."""
    erasure = Erasure.objects.filter(pk=(trip.row.payload or {}).get("erasure", 0)).first()
    if erasure is None or erasure.is_finished:
        answers.forget(trip.ids)
        return
    if erasure.logged_at is None:
        erasure_log.append([erasure], "requested")
    app = _application(erasure)
    trip.customers = None  # the row of the customer's lane is deleted at the end
    with trip.customer(app, erasure.profile_id):
        _cancel_open_sessions(trip, erasure)
        _delete(trip, app, erasure.profile_id)
        proof = {} if erasure.first_sweep_at is None else _read_back(trip, app, erasure)
    if erasure.first_sweep_at is None or proof["attributes"]:
        _swept(erasure)
    else:
        _done(trip, erasure, proof)


def _application(erasure: Erasure) -> Application:
    """Return any Application of the environment: they share the profiles.

    Raises `TalonConfigurationError` if there is none: the data is at no other place.
    """
    for app in applications():
        if app.environment == erasure.environment:
            return app
    raise TalonConfigurationError(
        f"An erasure waits for the environment {erasure.environment!r}, and no usable Application"
        " in TALON_ONE is there. If that deployment has a new address, set ENVIRONMENT to this"
        " name; if it is another deployment, add an Application at the old one until the proof is"
        " stored; or lift the erasure."
    )


def _cancel_open_sessions(trip: Trip, erasure: Erasure) -> None:
    # Of some no answer ever came: Talon.One may have them all the same.
    open_ones = CustomerSession.objects.filter(
        profile_id=erasure.profile_id, state__in=(SessionState.NEW, SessionState.OPEN)
    )
    for session in open_ones:
        # What the settings do not name any more may be there: it raises, and is told.
        is_there = environment_of(session.application) in ("", erasure.environment)
        if is_there and not _is_about_to_close(session):
            cancel(trip, application(session.application), session)


def _is_about_to_close(session: CustomerSession) -> bool:
    """Whether an order waits to close the session: a business fact, which still goes out."""
    lanes_of_it = {session.cart, session.order} - {""}
    waiting = OutboxRow.objects.filter(kind=Kind.CLOSED, lane__in=lanes_of_it)
    return waiting.exists()


def _delete(trip: Trip, app: Application, profile_id: str) -> None:
    try:
        trip.call(app, "delete_customer_data", profile_id)
    except TalonRejected as error:
        if error.status != 404:
            raise


def _read_back(trip: Trip, app: Application, erasure: Erasure) -> dict[str, object]:
    """Return what Talon.One still has; it keeps the id of a deleted customer."""
    try:
        inventory: CustomerInventory = trip.call(
            app, "get_customer_inventory", erasure.profile_id, profile=True
        )
    except TalonRejected as error:
        if error.status != 404:
            raise
        return {"profile": "unknown", "attributes": 0}
    left = getattr(inventory.profile, "attributes", None) or {}
    return {"profile": "without data" if not left else "with data", "attributes": len(left)}


def _swept(erasure: Erasure) -> None:
    """Sweep again when no call that is under way now can bring the person back."""
    now = clock.now()
    erasure.status = Erasure.Status.SWEPT
    erasure.first_sweep_at = erasure.first_sweep_at or now
    erasure.save(update_fields=["status", "first_sweep_at"])
    raise NotYet(now + timedelta(seconds=conf.LEASE + conf.HOLD))


def _done(trip: Trip, erasure: Erasure, proof: dict[str, object]) -> None:
    person = Person(erasure.profile_id, erasure.customer)
    erasure.status = Erasure.Status.DONE
    erasure.second_sweep_at = erasure.confirmed_at = clock.now()
    erasure.proof = proof
    erasure.profile_id = erasure.customer = ""
    with transaction.atomic(using=clock.outbox_alias()):
        erasure.save(update_fields=PROVED)
        scrub.finish(person, erasure.environment)
        answers.forget(trip.ids)
        erasure_log.after_commit([erasure], "done")
    customer_erased.send_robust(sender=Erasure, erasure=erasure)
