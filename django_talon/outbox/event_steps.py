"""Delivery of custom events, as they were when they happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_talon.client import TalonConflict, TalonError, TalonRejected
from django_talon.conf import Application, application, conf, route
from django_talon.models import CustomerSession, Erasure
from django_talon.models.identity import SessionState
from django_talon.outbox import answers, dialects, sessions, tombstones
from django_talon.outbox.trip import LeaseRanOut, NotYet, Trip
from django_talon.shop.registry import adapter_of_key


class UnsendableEvent(Exception):
    """An event that cannot be sent, now or later."""


def deliver_event(trip: Trip) -> None:
    """Send a custom event by v2 or v3, or by V1 where the Application speaks that."""
    session = _session(trip)
    payload = trip.row.payload or {}
    profile_id = payload.get("profile_id") or (session.profile_id if session else "")
    if not _may_be_sent(trip.row.aggregate):
        profile_id = session.profile_id if session else ""
        if not profile_id.startswith(sessions.GUEST):
            answers.forget(trip.ids)
            return
    app = _application(trip, session)
    profile_id = profile_id or _erased(app, trip.row.aggregate)
    if not profile_id:
        raise UnsendableEvent(
            f"The event {payload.get('type')!r} has no customer: its cart has no customer session"
            " yet. Pass customer=... to track()."
        )
    sessions.checked_id(profile_id, "Adapter")
    with trip.customer(app, profile_id):
        if not tombstones.withholds(app, profile_id, "track_event_v2"):
            _check_age(trip)
            _send(trip, app, session, {**payload, "profile_id": profile_id})
    answers.forget(trip.ids)


def _may_be_sent(key: str) -> bool:
    """Whether the customer of an event, or of its cart, consents; in doubt nobody objected."""
    customer = _customer(key)
    return customer is None or adapter_of_key(key).may_be_sent(customer)


def _erased(app: Application, key: str) -> str:
    """Return the id of an erased customer, without which the session of their cart goes."""
    customer = _customer(key)
    if customer is None:
        return ""
    profile_id = sessions.checked_profile_id(adapter_of_key(key), customer)
    return profile_id if Erasure.standing(app.environment, profile_id) else ""


def _customer(key: str) -> Any:
    adapter = adapter_of_key(key)
    instance = adapter.find(key)
    if instance is None or adapter.role_of(instance) == "customer":
        return instance
    return adapter.customer_of(instance)


def _session(trip: Trip) -> CustomerSession | None:
    key = trip.row.aggregate
    return sessions.of_cart(key) if key.startswith("cart:") else None


def _application(trip: Trip, session: CustomerSession | None) -> Application:
    if session is not None:
        return application(session.application)
    adapter = adapter_of_key(trip.row.aggregate)
    return application(trip.row.application or route(adapter.find(trip.row.aggregate)))


def _check_age(trip: Trip) -> None:
    """Raise `UnsendableEvent` for an event older than ``EVENT_MAX_AGE``."""
    age = (trip.lease.now() - trip.row.created_at).total_seconds()
    if conf.EVENT_MAX_AGE is not None and age > conf.EVENT_MAX_AGE:
        raise UnsendableEvent(
            f"expired: it happened {age:.0f} s ago, and EVENT_MAX_AGE is {conf.EVENT_MAX_AGE} s."
            " Replay it to send it all the same."
        )


def _send(
    trip: Trip, app: Application, session: CustomerSession | None, payload: Mapping[str, Any]
) -> None:
    body = {
        "profileId": payload["profile_id"],
        "type": payload["type"],
        "attributes": payload["attributes"],
    }
    if dialects.is_old(app):
        body["sessionId"] = _session_id(trip, app, session, payload["profile_id"])
        _track_v1(trip, app, body)
    elif conf.EVENTS == "v3":
        _track_v3(trip, app, {**body, "integrationId": str(trip.row.uid)})
    else:
        trip.call(app, "track_event_v2", body, idempotency_key=str(trip.row.uid))


def _track_v3(trip: Trip, app: Application, body: Mapping[str, Any]) -> None:
    """Send an event by its id; a conflict about an event that is there means it arrived."""
    try:
        trip.call(app, "track_event_v3", body)
    except TalonConflict as conflict:
        try:
            trip.call(app, "get_event_v3", body["integrationId"])
        except TalonRejected as error:
            if error.status == 404:
                raise conflict from None
            raise


def _session_id(
    trip: Trip, app: Application, session: CustomerSession | None, profile_id: str
) -> str:
    """Return the session that V1 wants for each event; one of the event's own in need.

    It is the cart's, or the customer's latest open one. Talon.One makes unknown
    sessions by itself, and refuses those of another customer.
    """
    if session is None:
        theirs = CustomerSession.objects.filter(
            application=app.alias, profile_id=profile_id, state=SessionState.OPEN
        )
        session = theirs.order_by("-pk").first()
    is_theirs = session is not None and session.profile_id == profile_id and session.state
    return session.integration_id if session is not None and is_theirs else str(trip.row.uid)


def _track_v1(trip: Trip, app: Application, body: Mapping[str, Any]) -> None:
    """Send an event that Talon.One cannot recognise if it comes twice."""
    if body["type"] not in conf.EVENTS_AT_MOST_ONCE:
        trip.call(app, "track_event", body)
        return
    row = trip.row
    answers.forget(trip.ids)
    trip.once = True
    try:
        trip.call(app, "track_event", body)
    except (TalonError, NotYet, LeaseRanOut) as error:
        if not getattr(error, "ambiguous", False):
            row.save(force_insert=True)  # it was not sent: back to its place
        raise
