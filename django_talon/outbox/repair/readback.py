"""What Talon.One has, read back and compared with the shop's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_datetime

from django_talon.client import TalonRejected
from django_talon.conf import Application, application
from django_talon.models import CustomerProfile, CustomerSession, Erasure, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.outbox import clock, lanes, sessions
from django_talon.outbox.subjects import subject_of
from django_talon.shop.registry import adapter_of_key

#: Makes a call once the endpoint is usable, however long that takes.
Caller = Callable[..., Any]

#: States of shop and Talon.One that agree under different names.
_ALIKE = {("closed", "partially_returned"), ("reopened", "open")}


@dataclass(frozen=True)
class Drift:
    """A difference between the shop and Talon.One, in words and in money."""

    key: str
    #: Integration id of the session or profile.
    integration_id: str
    what: str
    shop_total: Decimal | None = None
    talon_total: Decimal | None = None
    currency: str = ""
    talon_state: str = ""
    #: Whether what was sent is forgotten, so that the workers send it again.
    is_repairable: bool = False


@dataclass(frozen=True)
class Content:
    """State, lines and total before discounts: what both sides should agree on."""

    state: str
    lines: Counter[tuple[str, int, Decimal]]
    total: Decimal


def session_drift(session: CustomerSession, call: Caller, *, repair: bool) -> Drift | None:
    """Compare a session at Talon.One with its cart or order.

    With ``repair`` what was sent is forgotten where sending again can help.
    Nothing is said of a session with changes on their way, or of an ended one
    that Talon.One no longer keeps. Raises `TalonError`.
    """
    key = session.order or session.cart
    lane = session.cart or session.order
    lease = lanes.acquire(lane, clock.now())
    if lease is None:
        return None
    try:
        if OutboxRow.objects.filter(lane__in={lane, key}).exists() or _has_successor(session):
            return None
        session.refresh_from_db()
        app = application(session.application)
        shop = _in_shop(session, app)
        drift = None if shop is None else _compared(session, app, key, shop, call)
        if drift is not None and drift.is_repairable and repair:
            _believe(session, drift)
        return drift
    finally:
        lanes.release(lease)


def _has_successor(session: CustomerSession) -> bool:
    """Whether the cart or order has a newer session, so that this one says nothing of it."""
    owner = {"order": session.order} if session.order else {"cart": session.cart}
    return CustomerSession.objects.filter(**owner, pk__gt=session.pk).exists()


def _compared(
    session: CustomerSession, app: Application, key: str, shop: Content, call: Caller
) -> Drift | None:
    known = session.integration_id
    try:
        answer = call(app, key, "get_customer_session", known)
    except TalonRejected as error:
        if error.status != 404:
            raise
        if session.is_over:
            return None  # Talon.One keeps sessions for some weeks only
        gone = "is not at Talon.One"
        return Drift(key, known, gone, shop.total, currency=app.currency, is_repairable=True)
    talon = _at_talon_one(answer.customer_session)
    what = _difference(shop, talon)
    if not what:
        return None
    return Drift(
        key,
        known,
        what,
        shop.total,
        talon.total,
        app.currency,
        talon.state,
        _can_follow(session, shop.state, talon.state),
    )


def _can_follow(session: CustomerSession, wanted: str, state: str) -> bool:
    """Whether a call can bring a session to what the shop says; a cart gets a new one."""
    if not session.order and wanted == "open":
        return True
    wanted = "open" if (wanted, state) in _ALIKE else wanted
    return state in SessionState.values and wanted in sessions.TRANSITIONS[SessionState(state)]


def _believe(session: CustomerSession, drift: Drift) -> None:
    """Take over what Talon.One says of the state, and that the content is unknown."""
    session.state, session.fingerprint = drift.talon_state, ""
    session.save(update_fields=["state", "fingerprint"])


def _in_shop(session: CustomerSession, app: Application) -> Content | None:
    """Return what a session should be by the shop's rows; ``None`` where they are gone."""
    subject = subject_of(session.order or session.cart)
    if subject.instance is None:
        return None
    is_order = bool(session.order) or subject.adapter.is_one_model
    state = subject.adapter.state(subject.instance) if is_order else "open"
    if not is_order and not subject.adapter.is_active(subject.instance):
        return None
    snapshot = sessions.render(subject.adapter, subject.instance, session, app).snapshot
    lines = Counter((item.sku, item.quantity, +item.price) for item in snapshot.items)
    total = snapshot.subtotal + sum(snapshot.additional_costs.values(), Decimal(0))
    return Content(state, lines, total)


def _at_talon_one(found: Any) -> Content:
    items = [(item.sku, item.quantity, item.price or Decimal(0)) for item in found.cart_items]
    costs = (found.additional_costs or {}).values()
    total = sum((quantity * price for _sku, quantity, price in items), Decimal(0))
    return Content(
        found.state, Counter(items), total + sum((cost.price for cost in costs), Decimal(0))
    )


def _difference(shop: Content, talon: Content) -> str:
    if shop.state != talon.state and (shop.state, talon.state) not in _ALIKE:
        return f"is {shop.state} here, {talon.state} at Talon.One"
    if shop.state == "cancelled":
        return ""
    if shop.lines != talon.lines:
        return "has other lines at Talon.One"
    return "" if shop.total == talon.total else "has other costs at Talon.One"


def profile_drift(
    known: CustomerProfile, app: Application, call: Caller, *, repair: bool
) -> Drift | None:
    """Compare the listed attributes of a customer profile with the shop's. Raises `TalonError`."""
    adapter = adapter_of_key(known.customer)
    customer = adapter.find(known.customer)
    waiting = OutboxRow.objects.filter(lane=known.customer)
    if (
        customer is None
        or waiting.exists()
        or Erasure.standing(known.environment, known.profile_id)
    ):
        return None
    drift = _profile(known, app, adapter.attributes(customer), call)
    if drift is not None and repair:
        CustomerProfile.objects.filter(pk=known.pk).update(fingerprint="")
    return drift


def _profile(
    known: CustomerProfile, app: Application, wanted: Mapping[str, Any], call: Caller
) -> Drift | None:
    key, who = known.customer, known.profile_id
    try:
        found = call(app, key, "get_customer_inventory", who, profile=True).profile
    except TalonRejected as error:
        if error.status != 404:
            raise
        return Drift(key, who, "is not at Talon.One", is_repairable=True)
    there = (found.attributes if found else None) or {}
    names = sorted(name for name in wanted if not _same(wanted[name], there.get(name)))
    if not names:
        return None
    what = f"has other attributes at Talon.One: {', '.join(names)}"
    return Drift(key, who, what, is_repairable=True)


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two attributes are the same, however number and time are written."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, bool) or isinstance(theirs, bool) or ours == theirs:
        return ours is theirs or ours == theirs
    return bool(_value(ours) == _value(theirs))


def _value(value: Any) -> Any:
    if isinstance(value, int | float | Decimal):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            return value
    if isinstance(value, str):
        try:
            return parse_datetime(value) or value
        except ValueError:
            return value
    return value
