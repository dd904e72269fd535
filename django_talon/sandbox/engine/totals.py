"""Sums of a session, in the application's currency, exact and unrounded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from .state import Json, Session


class Unit(NamedTuple):
    """One piece of a cart line: ``position`` of the line, ``sub_position`` within it."""

    position: int
    sub_position: int
    price: Decimal
    item: Json


def amount(value: Any) -> Decimal:
    """Return a wire number as Decimal; nothing counts as zero."""
    return value if type(value) is Decimal else Decimal(value or 0)


def units(items: list[Json]) -> Iterator[Unit]:
    """Yield every piece of every line, as Talon.One flattens carts."""
    for position, item in enumerate(items):
        price = amount(item.get("price"))
        for sub_position in range(item["quantity"]):
            yield Unit(position, sub_position, price, item)


def cart_item_total(session: Session) -> Decimal:
    """Return the sum of price times quantity."""
    lines = (amount(item.get("price")) * item["quantity"] for item in session.cart_items)
    return sum(lines, Decimal(0))


def cart_item_additional_cost_total(session: Session) -> Decimal:
    """Return the additional costs of all pieces."""
    total = Decimal(0)
    for item in session.cart_items:
        if "additionalCosts" in item:
            costs = (amount(cost["price"]) for cost in item["additionalCosts"].values())
            total += sum(costs, Decimal(0)) * item["quantity"]
    return total


def additional_cost_total(session: Session) -> Decimal:
    """Return all additional costs, of the session and of its items (a documented guess)."""
    costs = (amount(cost["price"]) for cost in session.additional_costs.values())
    return sum(costs, Decimal(0)) + cart_item_additional_cost_total(session)


def total(session: Session) -> Decimal:
    """Return the session's total before discounts; V1 sessions carry the client's own."""
    if session.client_total is not None:
        return session.client_total
    return cart_item_total(session) + additional_cost_total(session)


def returned(session: Session) -> Decimal:
    """Return what the pieces given back were worth before discounts."""
    prices = (
        amount(session.cart_items[position].get("price")) * len(subs)
        for position, subs in session.returned.items()
    )
    return sum(prices, Decimal(0))
