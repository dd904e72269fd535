"""Which customer session belongs to a cart or an order, and what it contains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from django_talon.conf import Application, TalonConfigurationError, application, conf, route
from django_talon.models import CodeEntry, CustomerSession, Erasure, Installation
from django_talon.models.identity import SessionState, new_integration_id
from django_talon.shop import values
from django_talon.shop.adapter import Adapter
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapter_of_key
from django_talon.shop.snapshots import ItemSnapshot, SessionSnapshot, SnapshotError

GUEST = "guest-"


@dataclass(frozen=True)
class Rendered:
    """A session with the content it should have."""

    session: CustomerSession
    snapshot: SessionSnapshot
    fingerprint: str

    @property
    def is_news(self) -> bool:
        """Whether Talon.One does not have this yet."""
        return self.fingerprint != self.session.fingerprint


def of_cart(key: str) -> CustomerSession | None:
    """Return the latest session of a cart."""
    return CustomerSession.objects.filter(cart=key).order_by("-pk").first()


def of_order(
    key: str, cart_key: str, *, is_edited: Callable[[], bool] = lambda: False
) -> CustomerSession | None:
    """Return the session of an order; one of its cart is taken over."""
    found = CustomerSession.objects.filter(order=key).order_by("-pk").first()
    if found is not None or not cart_key:
        return found
    session = of_cart(cart_key)
    if session is None or session.order or session.is_over:
        return None
    take_over(session, key, is_edited=is_edited())
    return session


def take_over(session: CustomerSession, order_key: str, *, is_edited: bool = False) -> None:
    """Let the order have its cart's session, entered codes included.

    A cart that is edited already is not what was ordered: its next step is a session of its own.
    """
    session.order, session.cart_fingerprint = order_key, ""
    with suppress(SnapshotError):  # told by the step that sends the cart
        session.cart_fingerprint = "" if is_edited else lines_fingerprint(session.cart)
    session.save(update_fields=["order", "cart_fingerprint"] if session.pk else None)
    CodeEntry.objects.filter(cart=session.cart).update(cart=order_key)


def lines_fingerprint(cart_key: str) -> str:
    """Return the fingerprint of the lines that a cart has now; empty if it is gone."""
    if not cart_key:
        return ""
    adapter = adapter_of_key(cart_key)
    cart = adapter.find(cart_key)
    return "" if cart is None else fingerprint(SessionSnapshot(items=lines(adapter, cart)))


def lines(adapter: Adapter, cart_or_order: Any) -> tuple[ItemSnapshot, ...]:
    """Return the lines of a cart or order in the currency of where it belongs now."""
    currency = application(route(cart_or_order)).currency
    return tuple(adapter.items(cart_or_order, currency))


def new(alias: str, *, cart: str = "", order: str = "") -> CustomerSession:
    """Return an unsaved session with an id of its own."""
    return CustomerSession(
        integration_id=new_integration_id(), application=alias, cart=cart, order=order
    )


def application_of(session: CustomerSession | None, cart_or_order: Any) -> Application:
    """Return the Application of a session: stored once, then never worked out again."""
    return application(session.application if session else route(cart_or_order))


def is_elsewhere(session: CustomerSession, cart: Any) -> bool:
    """Whether the router gives the cart to another Application now, as for another currency."""
    return not session.order and session.application != route(cart)


def profile_id_of(
    adapter: Adapter, cart_or_order: Any, session: CustomerSession, environment: str
) -> str:
    """Return the customer profile of a session; empty for anonymous and erased people.

    Raises `SnapshotError` for an id that looks like an e-mail address.
    """
    customer = adapter.known_customer_of(cart_or_order)
    if customer is None:
        return f"{GUEST}{session.integration_id}" if conf.GUESTS == "guest_id" else ""
    profile_id = checked_profile_id(adapter, customer)
    return "" if Erasure.standing(environment, profile_id) else profile_id


def checked_profile_id(adapter: Adapter, customer: Any) -> str:
    """Return the integration id of a customer. Raises `SnapshotError` for an e-mail address."""
    return checked_id(adapter.profile_id(customer), type(adapter).__name__)


#: Characters of a profile id that our tables have room for; Talon.One takes 1000.
LONGEST_ID = 255


def checked_id(profile_id: str, adapter_name: str) -> str:
    """Return a profile id. Raises `SnapshotError` for one that cannot be, or must not be."""
    if "@" in profile_id:
        raise SnapshotError(
            f"{adapter_name}.profile_id() gave an e-mail address. Addresses change and"
            " cannot be erased from ids: return the primary key or a UUID."
        )
    if not 0 < len(profile_id) <= LONGEST_ID or profile_id in {".", ".."}:
        raise SnapshotError(
            f"{adapter_name}.profile_id() gave an id of {len(profile_id)} characters. It has"
            f" 1 to {LONGEST_ID}, and is not '.' or '..', which would be another path."
        )
    if profile_id != values.text(profile_id):
        raise SnapshotError(
            f"{adapter_name}.profile_id() gave an id with NUL or half a surrogate pair in it,"
            " which cannot be sent."
        )
    return profile_id


def render(
    adapter: Adapter, cart_or_order: Any, session: CustomerSession, app: Application
) -> Rendered:
    """Return what a session should contain by the shop's database as it is now.

    Raises `SnapshotError` if a row cannot be sent.
    """
    profile_id = profile_id_of(adapter, cart_or_order, session, app.environment)
    snapshot = SessionSnapshot(
        items=tuple(adapter.items(cart_or_order, app.currency)),
        profile_id=profile_id,
        additional_costs=adapter.costs(cart_or_order, app.currency),
        coupon_codes=codes(session.order or session.cart),
        attributes=adapter.attributes(cart_or_order),
    )
    if adapter.customer_of(cart_or_order) is not None and not profile_id:
        snapshot = replace(snapshot, attributes={})  # erased: nothing about the person
    return Rendered(session, snapshot, fingerprint(snapshot))


def codes(key: str) -> tuple[str, ...]:
    """Return the codes to send: those typed in for a cart or order and not rejected."""
    entries = CodeEntry.objects.filter(cart=key).exclude(status=CodeEntry.Status.REJECTED)
    return tuple(dict.fromkeys(entries.order_by("pk").values_list("code", flat=True)))


def request(
    snapshot: SessionSnapshot, state: str, held: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the body of updateCustomerSessionV2: every field, empty ones too.

    Talon.One merges: what is left out stays as it was. ``held`` are the attributes
    it has, with the kinds of their values: those that are gone are sent empty.
    """
    return {
        "customerSession": {
            "profileId": snapshot.profile_id,
            "state": state,
            "cartItems": [_item(item) for item in snapshot.items],
            "couponCodes": list(snapshot.coupon_codes),
            "additionalCosts": {
                name: {"price": cost} for name, cost in snapshot.additional_costs.items()
            },
            "attributes": values.emptied(snapshot.attributes, held),
        }
    }


def bare(state: str) -> dict[str, Any]:
    """Return a body that changes the state and leaves the content as it is."""
    return {"customerSession": {"state": state}}


def _item(item: Any) -> Mapping[str, Any]:
    body = {
        "name": item.name,
        "sku": item.sku,
        "quantity": item.quantity,
        "price": item.price,
        "attributes": dict(item.attributes),
    }
    return {**body, "category": item.category} if item.category else body


def is_history(adapter: Adapter, order: Any) -> bool:
    """Whether an order is older than this installation and must not be sent."""
    created = adapter.created(order)
    return created is not None and created < since()


def since() -> datetime:
    """Return ``SYNC_ORDERS_SINCE``, by default the moment our first migration ran."""
    value = moment(conf.SYNC_ORDERS_SINCE) or Installation.current().installed_at
    return timezone.make_aware(value) if timezone.is_naive(value) else value


def moment(value: Any) -> datetime | None:
    """Read ``SYNC_ORDERS_SINCE``. Raises `TalonConfigurationError` for what is no moment."""
    found: date | None = value if isinstance(value, date) else None
    if isinstance(value, str):
        with suppress(ValueError):
            found = parse_datetime(value) or parse_date(value)
    if found is not None and not isinstance(found, datetime):
        return datetime.combine(found, time())
    if found is not None or value is None:
        return found
    raise TalonConfigurationError(f"TALON_ONE['SYNC_ORDERS_SINCE'] is {value!r}, no moment.")


#: What may follow what at Talon.One; the last two through calls of their own.
TRANSITIONS = {
    SessionState.NEW: {"open", "closed"},
    SessionState.OPEN: {"open", "closed", "cancelled"},
    SessionState.CLOSED: {"returned", "reopened", "cancelled"},
    SessionState.PARTIALLY_RETURNED: {"returned", "cancelled"},
    SessionState.CANCELLED: set(),
}
