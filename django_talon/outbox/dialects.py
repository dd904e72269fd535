"""What is said to Talon.One, in the words of the API that an Application speaks.

The steps think in the API of today. An Application with ``DIALECT`` ``"2020"`` is
told the same in the V1 operations of that year; what those lack cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django_talon.client import TalonInvalidRequest
from django_talon.conf import Application

#: Makes the call: ``Trip.call``, or ``calls.call`` without a lease.
Call = Callable[..., Any]


class NotIn2020(TalonInvalidRequest):
    """The shop wants something that the API of 2020 has no words for."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"The API of 2020 has {what}. {advice}")


def is_old(app: Application) -> bool:
    return app.dialect == "2020"


def update_session(
    call: Call,
    app: Application,
    session_id: str,
    body: Mapping[str, Any],
    *,
    key: str = "",
    **options: Any,
) -> Sequence[Any]:
    """Update a customer session and return the effects.

    ``body`` is one of updateCustomerSessionV2; ``key`` is sent where the API has
    idempotency keys. Raises `NotIn2020`.
    """
    if is_old(app):
        sent = session_of_2020(body["customerSession"])
        effects: Sequence[Any] = call(
            app, "update_customer_session", session_id, sent, **options
        ).event.effects
        return effects
    if key:
        options["idempotency_key"] = key
    found: Sequence[Any] = call(
        app, "update_customer_session_v2", session_id, body, **options
    ).effects
    return found


def session_of_2020(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session in the words of V1: one coupon, and a total that we work out.

    Costs have no field there; they are in the total. Raises `NotIn2020`.
    """
    same = ("profileId", "state", "cartItems", "attributes")
    sent = {name: session[name] for name in same if name in session}
    if "couponCodes" in session:
        sent["coupon"] = _one_coupon(session["couponCodes"])
    if "cartItems" in session:
        sent["total"] = _total(session)
    return sent


def _one_coupon(codes: Sequence[str]) -> str:
    if len(codes) > 1:
        raise NotIn2020(
            f"one coupon for each session, and {len(codes)} codes are entered",
            "Let the shopper take one out: evaluate(cart, remove=[...]).",
        )
    return codes[0] if codes else ""


def _total(session: Mapping[str, Any]) -> Decimal:
    items = (Decimal(item["price"]) * item["quantity"] for item in session["cartItems"])
    costs = (Decimal(cost["price"]) for cost in session.get("additionalCosts", {}).values())
    return sum(items, Decimal(0)) + sum(costs, Decimal(0))


def return_items(
    call: Call, app: Application, session_id: str, body: Mapping[str, Any], *, key: str
) -> Sequence[Any]:
    """Give items of a closed session back and return the effects. Raises `NotIn2020`."""
    if is_old(app):
        raise NotIn2020("no returns", "Cancel the order, or book the return at Talon.One by hand.")
    effects: Sequence[Any] = call(
        app, "return_cart_items", session_id, body, idempotency_key=key
    ).effects
    return effects


def reopen(call: Call, app: Application, session_id: str, *, key: str) -> Sequence[Any]:
    """Open a closed session again and return the effects. Raises `NotIn2020`."""
    if is_old(app):
        raise NotIn2020("no reopening", "Cancel the order and place another one.")
    effects: Sequence[Any] = call(
        app, "reopen_customer_session", session_id, idempotency_key=key
    ).effects
    return effects


def update_profile(
    call: Call, app: Application, profile_id: str, attributes: Mapping[str, Any], *, rules: bool
) -> None:
    """Update a customer profile. In 2020 that always runs the rules."""
    body = {"attributes": dict(attributes)}
    if is_old(app):
        call(app, "update_customer_profile", profile_id, body)
    else:
        call(app, "update_customer_profile_v2", profile_id, body, run_rule_engine=rules)
