"""What the rules look at, and what comes of looking."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .state import Application, Coupon, Effect, Event, Json, Profile, Referral, Session


@dataclass
class Granted:
    """What this evaluation has discounted so far, so that nothing is discounted below zero."""

    amounts: dict[Any, Decimal] = field(default_factory=dict)

    def take(self, wanted: Decimal, *bases: tuple[Any, Decimal]) -> Decimal:
        """Return as much of ``wanted`` as every base still has, and book it on each."""
        left = [base - self.amounts.get(key, Decimal(0)) for key, base in bases]
        value = max(Decimal(0), min(wanted, *left))
        for key, _ in bases:
            self.amounts[key] = self.amounts.get(key, Decimal(0)) + value
        return value


@dataclass
class Scope:
    """What the rules look at: whose session or event it is, and which codes are valid in it."""

    application: Application
    session: Session
    profile: Profile | None
    now: datetime
    costs: dict[str, int]
    event: Event | None = None
    coupons: list[Coupon] = field(default_factory=list)
    referral: Referral | None = None
    campaign_ids: list[int] | None = None


@dataclass
class Evaluation:
    """What came of it: effects in evaluation order, silent rules with their reasons."""

    effects: list[Effect] = field(default_factory=list)
    failures: list[Json] = field(default_factory=list)
    triggered: dict[int, None] = field(default_factory=dict)
    redeemed_coupons: dict[str, None] = field(default_factory=dict)
    redeemed_referral: str = ""
    granted: Granted = field(default_factory=Granted)
