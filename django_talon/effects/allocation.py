"""From effects to amounts: what each line and each cost is reduced by, to the cent.

Talon.One answers unrounded. Everything is added up exactly, rounded once, and
the rounded total is then given to the lines so that their sum is that total.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django_talon.conf import conf
from django_talon.effects import typed
from django_talon.shop.snapshots import ItemSnapshot
from django_talon.shop.values import digits

ZERO = Decimal(0)
DISCOUNTS = ("setDiscount", "setDiscountPerItem", "setDiscountPerAdditionalCost")


@dataclass(frozen=True)
class NamedDiscount:
    """What one rule takes off, in the Application's currency, rounded."""

    name: str
    amount: Decimal


@dataclass(frozen=True)
class LineDiscount:
    """What a line is reduced by, and what is left of it."""

    discount: Decimal
    total: Decimal


@dataclass(frozen=True)
class Allocation:
    """All discounts of one answer, rounded; every sum is exact."""

    subtotal: Decimal = ZERO
    additional_costs: Decimal = ZERO
    discount: Decimal = ZERO
    #: Line key -> its part of the discount.
    lines: Mapping[str, LineDiscount] = field(default_factory=dict)
    #: API name of an additional cost -> its part of the discount.
    costs: Mapping[str, LineDiscount] = field(default_factory=dict)
    discounts: Sequence[NamedDiscount] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return self.subtotal + self.additional_costs - self.discount


@dataclass
class _Raw:
    """Unrounded amounts while the effects are read; a slot is a line or a cost."""

    room: dict[str, Decimal]
    taken: dict[str, Decimal]
    names: dict[str, Decimal]

    def left(self) -> Decimal:
        """Return what is left of everything; lines of a negative price lessen it."""
        return max(ZERO, sum(self.room.values(), ZERO) - sum(self.taken.values(), ZERO))

    def left_of(self, slot: str) -> Decimal:
        return max(ZERO, self.room[slot] - self.taken[slot])

    def take(self, name: str, wanted: dict[str, Decimal]) -> Decimal:
        """Take at most what is left of each slot and of all; return how much that was."""
        left = before = self.left()
        for slot, amount in wanted.items():
            part = max(ZERO, min(amount, self.left_of(slot), left))
            self.taken[slot] += part
            left -= part
        self.names[name] = self.names.get(name, ZERO) + before - left
        return before - left

    def spread(self, name: str, amount: Decimal, slots: Sequence[str]) -> Decimal:
        """Take an amount off several slots, each in proportion to what is left of it."""
        left = {slot: self.left_of(slot) for slot in slots}
        whole = sum(left.values(), ZERO)
        if whole <= 0 or amount <= 0:
            return ZERO
        share = min(amount, whole, self.left())
        with decimal.localcontext() as context:
            context.prec = 50
            return self.take(name, {slot: share * part / whole for slot, part in left.items()})


def allocate(
    items: Sequence[ItemSnapshot],
    additional_costs: Mapping[str, Decimal],
    effects: Iterable[Any],
    currency: str,
) -> Allocation:
    """Work out what the effects take off these lines and costs.

    Discounts of single units come first, then those of the whole session, and
    nothing falls below zero. Rounds once, as ``TALON_ONE["ROUNDING"]`` says.
    """
    item_slots = [f"line {position}" for position in range(len(items))]
    cost_slots = [f"cost {name}" for name in additional_costs]
    room = dict(zip(item_slots, (item.total for item in items), strict=True))
    room.update(zip(cost_slots, additional_costs.values(), strict=True))
    raw = _Raw(room, dict.fromkeys(room, ZERO), {})
    effects = typed(effects, *DISCOUNTS)
    for effect in effects:
        _single(raw, effect)
    for effect in _last_of_each_name(effects):
        _session_wide(raw, effect, item_slots, cost_slots)
    return _rounded(raw, items, additional_costs, currency)


def _single(raw: _Raw, effect: Any) -> None:
    slot = ""
    if effect.effect_type == "setDiscountPerItem":
        slot = f"line {int(effect.props.position)}"
    elif effect.effect_type == "setDiscountPerAdditionalCost":
        slot = f"cost {effect.props.additional_cost}"
    if slot in raw.room:
        # Talon.One ends the name of a discount per item with "#<position>".
        raw.take(effect.props.name.split("#")[0], {slot: effect.props.value})


def _last_of_each_name(effects: Iterable[Any]) -> list[Any]:
    """Of several ``setDiscount`` with the same campaign, rule and name the last one counts."""
    last = {
        (effect.campaign_id, effect.rule_index, effect.props.name): effect
        for effect in effects
        if effect.effect_type == "setDiscount"
    }
    return list(last.values())


def _session_wide(raw: _Raw, effect: Any, items: list[str], costs: list[str]) -> None:
    scope = getattr(effect.props, "scope", None)
    value = effect.props.value
    if scope == "additionalCosts":
        raw.spread(effect.props.name, value, costs)
        return
    taken = raw.spread(effect.props.name, value, items)
    if scope != "cartItems":
        raw.spread(effect.props.name, value - taken, costs)


def _rounded(
    raw: _Raw,
    items: Sequence[ItemSnapshot],
    additional_costs: Mapping[str, Decimal],
    currency: str,
) -> Allocation:
    cent = Decimal(1).scaleb(-digits(currency))
    rooms = {slot: room.quantize(cent, conf.ROUNDING) for slot, room in raw.room.items()}
    discount = sum(raw.taken.values(), ZERO).quantize(cent, conf.ROUNDING)
    discount = min(discount, sum(rooms.values(), ZERO))
    parts = share_out(discount, raw.taken, cent, rooms)
    names = share_out(discount, raw.names, cent)
    lines = {
        item.key: _line(parts, rooms, f"line {position}") for position, item in enumerate(items)
    }
    return Allocation(
        subtotal=sum((rooms[f"line {position}"] for position in range(len(items))), ZERO),
        additional_costs=sum((rooms[f"cost {name}"] for name in additional_costs), ZERO),
        discount=discount,
        lines=lines,
        costs={name: _line(parts, rooms, f"cost {name}") for name in additional_costs},
        discounts=[NamedDiscount(name, amount) for name, amount in names.items() if amount],
    )


def _line(parts: Mapping[str, Decimal], rooms: Mapping[str, Decimal], slot: str) -> LineDiscount:
    return LineDiscount(parts[slot], rooms[slot] - parts[slot])


def share_out(
    amount: Decimal,
    exact: Mapping[str, Decimal],
    cent: Decimal,
    rooms: Mapping[str, Decimal] | None = None,
) -> dict[str, Decimal]:
    """Round each exact part so that the sum is ``amount`` (largest remainder).

    ``amount`` is a multiple of ``cent`` and differs from the exact sum by less
    than one cent for each part. No part exceeds its room or falls below zero.
    """
    parts = {key: value.quantize(cent, decimal.ROUND_DOWN) for key, value in exact.items()}
    rest = amount - sum(parts.values(), ZERO)
    step = cent.copy_sign(rest)
    by_remainder = sorted(exact, key=lambda key: parts[key] - exact[key], reverse=rest < 0)
    while rest:
        before = rest
        for key in by_remainder:
            most = parts[key] + cent if rooms is None else rooms[key]
            if rest and ZERO <= parts[key] + step <= most:
                parts[key] += step
                rest -= step
        if rest == before:
            break
    return parts
