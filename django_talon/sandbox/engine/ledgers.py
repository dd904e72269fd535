"""Loyalty points and achievements of a profile, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

ZERO = Decimal(0)
BALANCES = ("current", "pending", "negative", "tentativeCurrent")
_DURATION = re.compile(r"^([1-9]\d{0,4})([hDWMY])$")
_HOURS = {"h": 1, "D": 24, "W": 7 * 24, "M": 30 * 24, "Y": 365 * 24}


def duration(text: str) -> timedelta:
    """Return the time of ``12h``, ``30D``, ``2W``, ``1M`` (30 days) or ``1Y`` (365 days)."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 12h, 30D, 2W, 1M or 1Y")
    return timedelta(hours=int(match.group(1)) * _HOURS[match.group(2)])


@dataclass(frozen=True)
class Program:
    """A loyalty program. ``pending`` and ``validity`` are those of points just granted.

    ``takes_back`` says that reopening and returning take active points back, too, and
    ``goes_negative`` that they do so when the points are spent.
    """

    id: int
    name: str
    title: str
    subledgers: tuple[str, ...] = ()
    pending: timedelta | None = None
    validity: timedelta | None = None
    takes_back: bool = False
    goes_negative: bool = False


@dataclass
class Lot:
    """Points that were granted together; ``left`` of them are neither spent nor taken back."""

    uuid: str
    program: int
    subledger: str
    name: str
    amount: Decimal
    left: Decimal
    start: datetime | None = None
    expiry: datetime | None = None

    def is_pending(self, now: datetime) -> bool:
        """Say whether the points cannot be spent yet."""
        return self.start is not None and self.start > now

    def is_expired(self, now: datetime) -> bool:
        """Say whether the points are past their time."""
        return self.expiry is not None and self.expiry <= now


@dataclass
class Spending:
    """Points that were deducted together, from which lots."""

    uuid: str
    program: int
    subledger: str
    amount: Decimal
    parts: dict[str, Decimal] = field(default_factory=dict)


@dataclass
class Account:
    """All points of a profile, in every program."""

    lots: dict[str, Lot] = field(default_factory=dict)
    spendings: dict[str, Spending] = field(default_factory=dict)

    def of(self, program: int, subledger: str) -> list[Lot]:
        """Return the lots of a ledger; those that expire first come first."""
        found = [x for x in self.lots.values() if (x.program, x.subledger) == (program, subledger)]
        return sorted(found, key=lambda lot: (lot.expiry is None, lot.expiry or lot.uuid))

    def balances(self, program: int, subledger: str, now: datetime) -> dict[str, Decimal]:
        """Return the sums of a ledger, in points."""
        lots = self.of(program, subledger)
        active = [x.left for x in lots if not x.is_pending(now) and not x.is_expired(now)]
        spent = [x for x in self.spendings.values()
                 if (x.program, x.subledger) == (program, subledger)]  # fmt: skip
        return {
            "current": sum((left for left in active if left > 0), ZERO),
            "negative": sum((-left for left in active if left < 0), ZERO),
            "pending": sum((x.left for x in lots if x.is_pending(now)), ZERO),
            "expired": sum((x.left for x in lots if x.is_expired(now)), ZERO),
            "spent": sum((one.amount for one in spent), ZERO),
        }

    def spend(self, spending: Spending, now: datetime) -> None:
        """Take points from the active lots, those that expire first before others."""
        missing = spending.amount
        for lot in self.of(spending.program, spending.subledger):
            if lot.left > 0 and not lot.is_pending(now) and not lot.is_expired(now):
                taken = min(lot.left, missing)
                lot.left -= taken
                spending.parts[lot.uuid] = taken
                missing -= taken
        self.spendings[spending.uuid] = spending

    def unspend(self, uuid: str) -> None:
        """Put deducted points back where they came from."""
        for lot, taken in self.spendings.pop(uuid).parts.items():
            self.lots[lot].left += taken


@dataclass(frozen=True)
class Achievement:
    """What a campaign wants done ``target`` times, or to that amount."""

    id: int
    name: str
    title: str
    target: Decimal
    campaign_id: int
    description: str = ""
    rolls_back: bool = False


@dataclass
class Progress:
    """How far a profile is; ``id`` is that of the progress tracker."""

    id: int
    value: Decimal
    started: datetime
    completed: datetime | None = None
