"""Frozen pictures of shop rows: what would be sent. The core knows only these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


class SnapshotError(Exception):
    """A shop row cannot be sent as it is. The message names the row and the mapping entry."""


@dataclass(frozen=True)
class ItemSnapshot:
    """One line of a cart or order."""

    #: The shop's own key of the line (its primary key as text).
    key: str
    sku: str
    name: str
    quantity: int
    #: Of one unit, before discounts, in the Application's currency.
    price: Decimal
    category: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity


@dataclass(frozen=True)
class SessionSnapshot:
    """The content of a customer session as the shop's database has it now."""

    items: tuple[ItemSnapshot, ...]
    #: Integration id of the customer profile; empty for an anonymous session.
    profile_id: str = ""
    #: API name of the cost -> amount in the Application's currency.
    additional_costs: Mapping[str, Decimal] = field(default_factory=dict)
    coupon_codes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subtotal(self) -> Decimal:
        return sum((item.total for item in self.items), Decimal(0))

    @property
    def total(self) -> Decimal:
        """What lines and costs come to before discounts."""
        return self.subtotal + sum(self.additional_costs.values(), Decimal(0))


@dataclass(frozen=True)
class ProfileSnapshot:
    """A customer profile as the shop's database has it now."""

    profile_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
