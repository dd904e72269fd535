"""What the rules look at, and what comes of looking."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from . import totals
from .state import (
    Application,
    Campaign,
    Coupon,
    Effect,
    Event,
    Failures,
    Giveaway,
    Group,
    Profile,
    Referral,
    Session,
    World,
)

ZERO = Decimal(0)


class Ledger:
    """Amounts by key, with the way back to any earlier moment."""

    def __init__(self) -> None:
        self.amounts: dict[Hashable, Decimal] = {}
        self._before: list[tuple[Hashable, Decimal]] = []

    def of(self, key: Hashable) -> Decimal:
        """Return what was booked on a key."""
        return self.amounts.get(key, ZERO)

    def add(self, key: Hashable, value: Decimal) -> None:
        """Book an amount."""
        before = self.amounts.get(key, ZERO)
        self._before.append((key, before))
        self.amounts[key] = before + value

    def take_of(self, key: Hashable, base: Decimal, wanted: Decimal, most: Decimal) -> Decimal:
        """Return as much of ``wanted`` as a base still has, ``most`` or less, and book it."""
        before = self.amounts.get(key, ZERO)
        value = min(wanted, base - before, most)
        if value > 0:
            self._before.append((key, before))
            self.amounts[key] = before + value
        return value

    def take(self, wanted: Decimal, *bases: tuple[Hashable, Decimal]) -> Decimal:
        """Return as much of ``wanted`` as every base still has, and book it on each."""
        value = wanted
        for key, base in bases:
            left = base - self.amounts.get(key, ZERO)
            value = min(value, left)
        if value <= 0:
            return ZERO
        for key, _ in bases:
            self.add(key, value)
        return value

    def mark(self) -> int:
        """Return this moment."""
        return len(self._before)

    def rewind(self, mark: int) -> None:
        """Forget what was booked since that moment."""
        while len(self._before) > mark:
            key, before = self._before.pop()
            self.amounts[key] = before


@dataclass
class Scope:
    """What the rules look at: whose session or event it is, and which codes are valid in it.

    ``audiences`` are the ids that a profile update has just added and removed.
    """

    world: World
    application: Application
    session: Session
    profile: Profile | None
    now: datetime
    event: Event | None = None
    coupons: list[Coupon] = field(default_factory=list)
    referral: Referral | None = None
    campaign_ids: list[int] | None = None
    dry: bool = False
    audiences: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())

    @cached_property
    def units(self) -> list[totals.Unit]:
        """Every piece of every line."""
        return list(totals.units(self.session.cart_items))

    @cached_property
    def discountable(self) -> Decimal:
        """What discounts may add up to; a V1 client need not have sent a total."""
        return max(self.total, self.cart_total + self.cost_total)

    @cached_property
    def total(self) -> Decimal:
        """The session's total before discounts."""
        own = self.session.client_total
        return own if own is not None else self.cart_total + self.cost_total

    @cached_property
    def cart_total(self) -> Decimal:
        """The sum of price times quantity."""
        return totals.cart_item_total(self.session)

    @cached_property
    def cost_total(self) -> Decimal:
        """All additional costs."""
        return totals.additional_cost_total(self.session)

    @cached_property
    def advocate(self) -> Profile | None:
        """Who owns the referral code of the session."""
        return self.world.profiles.get(self.referral.advocate) if self.referral else None


class _Mark(NamedTuple):
    effects: int
    triggered: int
    coupons: int
    changes: int
    created_coupons: int
    created_referrals: int
    giveaways: int
    referral: str
    granted: int
    spending: int


@dataclass
class Evaluation:
    """What came of it: effects in evaluation order, silent rules with their reasons.

    ``changes`` are done if the evaluation is stored, ``spending`` is booked at close.
    """

    effects: list[Effect] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)
    triggered: list[int] = field(default_factory=list)
    redeemed_coupons: list[str] = field(default_factory=list)
    redeemed_referral: str = ""
    changes: list[Callable[[], None]] = field(default_factory=list)
    created_coupons: list[Coupon] = field(default_factory=list)
    created_referrals: list[Referral] = field(default_factory=list)
    giveaways: list[Giveaway] = field(default_factory=list)
    granted: Ledger = field(default_factory=Ledger)
    spending: Ledger = field(default_factory=Ledger)
    excluded: dict[int, str] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)

    def mark(self) -> _Mark:
        """Return this moment."""
        return _Mark(
            len(self.effects),
            len(self.triggered),
            len(self.redeemed_coupons),
            len(self.changes),
            len(self.created_coupons),
            len(self.created_referrals),
            len(self.giveaways),
            self.redeemed_referral,
            self.granted.mark(),
            self.spending.mark(),
        )

    def rewind(self, mark: _Mark) -> None:
        """Forget what came since that moment, but for the reasons of silent rules."""
        del self.effects[mark.effects :], self.triggered[mark.triggered :]
        del self.redeemed_coupons[mark.coupons :], self.changes[mark.changes :]
        del self.created_coupons[mark.created_coupons :]
        del self.created_referrals[mark.created_referrals :], self.giveaways[mark.giveaways :]
        self.redeemed_referral = mark.referral
        self.granted.rewind(mark.granted)
        self.spending.rewind(mark.spending)

    def discounted_since(self, mark: _Mark) -> Decimal:
        """Return the sum of the discounts since that moment."""
        news = self.effects[mark.effects :]
        values = (e.props["value"] for e in news if e.effect_type.startswith("setDiscount"))
        return sum(values, ZERO)


class Names(NamedTuple):
    """Whose values are asked for: the scope, and the campaign and codes of one attempt."""

    scope: Scope
    campaign: Campaign
    coupon: Coupon | None
    referral: Referral | None
