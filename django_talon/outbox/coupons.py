"""Coupons and referral codes by an operator's hand, with the same care as a worker's call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from django_talon.client import Referral, TalonError
from django_talon.conf import Application
from django_talon.models import Erasure
from django_talon.outbox import backoff, calls, clock, connection, endpoint, lanes, sessions

#: Stands in the delivery log: a code is as good as money, so the log does not tell it.
ABOUT = "coupon"


class NotDone(Exception):
    """It was not done, or nobody knows. The message says why, and what to do."""


def holders(app: Application, code: str) -> Sequence[str]:
    """Return the ids of the customers for whom a coupon is reserved. Raises `NotDone`."""
    found = _call(app, "get_reserved_customers", code)
    return [profile.integration_id for profile in found.data]


def reserve(app: Application, code: str, profile_id: str) -> None:
    """Reserve a coupon for a customer. Raises `NotDone`."""
    with _customer(app, profile_id):
        body = {"integrationIDs": [profile_id]}
        _call(app, "create_coupon_reservation", code, body)


def unreserve(app: Application, code: str, profile_id: str) -> None:
    """Take back the reservation of a coupon for a customer. Raises `NotDone`."""
    with _customer(app, profile_id):
        body = {"integrationIDs": [profile_id]}
        _call(app, "delete_coupon_reservation", code, body)


def refer(app: Application, advocate: str, campaign_id: int, **more: Any) -> Referral:
    """Make a referral code for an advocate; each call makes another. Raises `NotDone`."""
    with _customer(app, advocate):
        body = {"campaignId": campaign_id, "advocateProfileIntegrationId": advocate, **more}
        referral: Referral = _call(app, "create_referral", body)
        return referral


@contextmanager
def _customer(app: Application, profile_id: str) -> Iterator[None]:
    """Hold the customer's lane, and refuse an erased customer: Talon.One would make them anew."""
    sessions.checked_id(profile_id, "The form")
    lease = lanes.acquire(lanes.profile_lane(app.environment, profile_id), clock.now())
    if lease is None:
        raise NotDone(_("A worker is talking to Talon.One about this customer. Try again soon."))
    try:
        if Erasure.standing(app.environment, profile_id):
            raise NotDone(
                _("This customer is erased. Lift the erasure first, if they want to come back.")
            )
        yield
    finally:
        lanes.release(lease)


def _call(app: Application, method: str, *args: Any) -> Any:
    if endpoint.is_stopped(app):
        raise NotDone(_("An operator paused the calls to this Application."))
    try:
        return calls.call(app, ABOUT, method, *args)
    except TalonError as error:
        if error.status != 404:  # here it is the code that is unknown, not the address
            endpoint.note(app, backoff.judge(error, attempts=0), error)
        raise NotDone(connection.explain(error)) from None
