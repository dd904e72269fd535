"""Delivery of customers: profiles as state, custom events as facts."""

from __future__ import annotations

from typing import Any

from django_talon.conf import Application, application, route
from django_talon.models import CustomerProfile, CustomerSession, Erasure
from django_talon.outbox import answers, clock, sessions
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.trip import Trip
from django_talon.shop.adapter import Adapter
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapter_of_key
from django_talon.shop.snapshots import ProfileSnapshot


class NobodysEvent(Exception):
    """An event whose customer Talon.One does not know and the shop does not name."""


def deliver_profile(trip: Trip) -> None:
    """Bring a customer profile up to date."""
    key = trip.row.aggregate
    adapter = adapter_of_key(key)
    customer = adapter.find(key)
    if customer is not None:
        app = application(trip.row.application or route(customer))
        profile_id = sessions.checked_profile_id(adapter, customer)
        if not Erasure.standing(app.environment, profile_id):
            with trip.customer(app, profile_id):
                send_profile(trip, app, adapter, customer)
    answers.forget(trip.ids)


def send_profile(trip: Trip, app: Application, adapter: Adapter, customer: Any) -> None:
    """Send the listed attributes of a customer, if Talon.One does not have them yet."""
    snapshot = ProfileSnapshot(adapter.profile_id(customer), adapter.attributes(customer))
    found = fingerprint(snapshot)
    known, _made = CustomerProfile.objects.get_or_create(
        environment=app.environment, profile_id=snapshot.profile_id
    )
    if known.fingerprint == found:
        return
    known.fingerprint = ""  # until there is an answer nobody knows what Talon.One has
    known.save(update_fields=["fingerprint"])
    body = {"attributes": dict(snapshot.attributes)}
    trip.call(app, "update_customer_profile_v2", snapshot.profile_id, body)
    known.customer = adapter.key("customer", customer.pk)
    known.fingerprint, known.sent_at = found, clock.now()
    known.save()


def introduce(trip: Trip, app: Application, subject: Any, rendered: Rendered) -> None:
    """Send a customer's profile before the first session, so that rules see its attributes."""
    profile_id = rendered.snapshot.profile_id
    if not profile_id or profile_id.startswith(sessions.GUEST):
        return
    known = CustomerProfile.objects.filter(environment=app.environment, profile_id=profile_id)
    if not known.exclude(fingerprint="").exists():
        customer = subject.adapter.customer_of(subject.instance)
        send_profile(trip, app, subject.adapter, customer)


def deliver_event(trip: Trip) -> None:
    """Send a custom event as it was when it happened."""
    row = trip.row
    session = sessions.of_cart(row.aggregate) if row.aggregate.startswith("cart:") else None
    payload = row.payload or {}
    profile_id = payload.get("profile_id") or (session.profile_id if session else "")
    app = _application(trip, session)
    if not profile_id:
        raise NobodysEvent(
            f"The event {payload.get('type')!r} has no customer: its cart has no customer session"
            " yet. Pass customer=... to track()."
        )
    sessions.checked_id(profile_id, "Adapter")
    if not Erasure.standing(app.environment, profile_id):
        with trip.customer(app, profile_id):
            body = {
                "profileId": profile_id,
                "type": payload["type"],
                "attributes": payload["attributes"],
            }
            trip.call(app, "track_event_v2", body, idempotency_key=str(row.uid))
    answers.forget(trip.ids)


def _application(trip: Trip, session: CustomerSession | None) -> Application:
    if session is not None:
        return application(session.application)
    adapter = adapter_of_key(trip.row.aggregate)
    return application(trip.row.application or route(adapter.find(trip.row.aggregate)))
