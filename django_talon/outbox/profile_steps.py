"""Delivery of customers: profiles, as state."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from django_talon.conf import Application, application, conf, route
from django_talon.models import CustomerProfile
from django_talon.outbox import answers, clock, dialects, sessions, tombstones
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.trip import Trip
from django_talon.shop import values
from django_talon.shop.adapter import Adapter
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapter_of_key
from django_talon.shop.snapshots import ProfileSnapshot


def deliver_profile(trip: Trip) -> None:
    """Bring a customer profile up to date."""
    key = trip.row.aggregate
    adapter = adapter_of_key(key)
    customer = adapter.find(key)
    if customer is not None:
        app = application(trip.row.application or route(customer))
        profile_id = sessions.checked_profile_id(adapter, customer)
        if _is_wanted(adapter, customer, app, profile_id):
            # The tombstone is looked for while nobody else can be at work on an erasure.
            with trip.customer(app, profile_id):
                if not tombstones.withholds(app, profile_id, "update_customer_profile_v2"):
                    send_profile(trip, app, adapter, customer)
    answers.forget(trip.ids)


def _is_wanted(adapter: Adapter, customer: Any, app: Application, profile_id: str) -> bool:
    """Whether a customer may be sent, or was sent before: then the attributes are emptied."""
    if adapter.may_be_sent(customer):
        return True
    sent = CustomerProfile.objects.filter(environment=app.environment, profile_id=profile_id)
    return sent.exists()


def profile_of(adapter: Adapter, customer: Any) -> ProfileSnapshot:
    """Return what a customer's profile should be by the shop's database as it is now."""
    profile_id = sessions.checked_profile_id(adapter, customer)
    return ProfileSnapshot(profile_id, adapter.attributes(customer))


def send_profile(trip: Trip, app: Application, adapter: Adapter, customer: Any) -> None:
    """Send the listed attributes of a customer, if Talon.One does not have them yet."""
    snapshot = profile_of(adapter, customer)
    found = fingerprint(snapshot)
    known, _made = CustomerProfile.objects.get_or_create(
        environment=app.environment, profile_id=snapshot.profile_id
    )
    if known.fingerprint == found:
        return
    known.fingerprint = ""  # until there is an answer nobody knows what Talon.One has
    known.save(update_fields=["fingerprint"])
    attributes = values.emptied(snapshot.attributes, known.attribute_kinds)
    dialects.update_profile(
        trip.call, app, snapshot.profile_id, attributes, rules=conf.RUN_RULE_ENGINE
    )
    known.attribute_kinds = values.kinds(snapshot.attributes)
    known.customer = adapter.key("customer", customer.pk)
    known.fingerprint, known.sent_at = found, trip.lease.now()
    with transaction.atomic(using=clock.outbox_alias()):
        trip.confirm()
        trip.confirm_customer(app, snapshot.profile_id)
        known.save()


def introduce(trip: Trip, app: Application, subject: Any, rendered: Rendered) -> None:
    """Send a customer's profile before the first session, so that rules see its attributes."""
    profile_id = rendered.snapshot.profile_id
    if not profile_id or profile_id.startswith(sessions.GUEST):
        return
    if rendered.session.profile_id == profile_id and rendered.session.sent_at is not None:
        return  # they went ahead of it then
    known = CustomerProfile.objects.filter(environment=app.environment, profile_id=profile_id)
    if not known.exclude(fingerprint="").exists():
        customer = subject.adapter.customer_of(subject.instance)
        send_profile(trip, app, subject.adapter, customer)
