"""Discounts: on the session, on pieces of the cart, on additional costs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from functools import partial
from typing import Any

from . import expressions, totals
from .attempt import Attempt, EffectFailedError, OverBudgetError, runs
from .conditions import selected
from .scope import ZERO
from .state import Json, Selector
from .totals import Unit
from .values import item_getter

Base = tuple[Hashable, Decimal]
_SCOPES: dict[str, str] = {"cartItems": "cart", "additionalCosts": "costs", "sessionTotal": "all"}
_EVERYTHING = Selector()


@runs("awardDiscount")
def award_discount(attempt: Attempt, block: Json) -> None:
    """Discount what the block targets."""
    _TARGETS[block["target"]["type"]](attempt, block)


def _cart(attempt: Attempt, block: Json) -> None:
    scope = attempt.names.scope
    settings = scope.application.settings
    wanted = expressions.number(block["value"], _reduced(attempt))
    where = settings.discount_scope if settings.cascading else "sessionTotal"
    bases = [(_SCOPES[where], _whole(attempt, where)), _everything(attempt)][
        : 1 + (where != "sessionTotal")
    ]
    value = _take(attempt, block, wanted, *bases)
    if value <= 0:
        return
    props = {"name": block["name"], "value": value}
    if settings.cascading:
        props["scope"] = where
    attempt.add("setDiscount", _partly(props, block, wanted))


def _whole(attempt: Attempt, where: str) -> Decimal:
    scope = attempt.names.scope
    known = {"cartItems": scope.cart_total, "additionalCosts": scope.cost_total}
    return known.get(where, scope.discountable)


def _everything(attempt: Attempt) -> Base:
    return "all", attempt.names.scope.discountable


def _reduced(attempt: Attempt) -> expressions.Resolve:
    """Return the values of names; cascading discounts see what was already granted."""
    if not attempt.names.scope.application.settings.cascading:
        return attempt.value
    granted = attempt.evaluation.granted
    keys = {"$Session.Total": "all", "$Session.AdditionalCostTotal": "costs"}
    keys |= dict.fromkeys(("$Session.CartTotal", "$Session.CartItemTotal"), "cart")

    def resolve(name: str) -> Any:
        value = attempt.value(name)
        return value - granted.of(keys[name]) if name in keys else value

    return resolve


def _take(attempt: Attempt, block: Json, wanted: Decimal, *bases: Base) -> Decimal:
    """Return the discount that bases and budgets allow, booked; a partial one may be less."""
    if wanted <= 0:
        return ZERO
    if block.get("partial"):
        wanted = attempt.left("setDiscount", wanted)
        if wanted <= 0:
            raise OverBudgetError("the budget {} has nothing left", "setDiscount")
    value = attempt.evaluation.granted.take(wanted, *bases)
    if value > 0:
        attempt.spend("setDiscount", value)
        attempt.spend("setDiscountEffect")
    return value


def _partly(props: Json, block: Json, wanted: Decimal) -> Json:
    if block.get("partial") and props["value"] < wanted:
        props["desiredValue"] = wanted
    return props


def _chosen(attempt: Attempt, target: Json) -> list[Unit]:
    name = target.get("name", "")
    selector = attempt.names.campaign.selectors[name] if name else _EVERYTHING
    found = selected(attempt.names.scope, selector)
    if not found:
        raise EffectFailedError("no item of the cart is selected")
    return found


def _items(attempt: Attempt, block: Json) -> None:
    units = _chosen(attempt, block["target"])
    if block["target"].get("prorated"):
        _prorated(attempt, block, units)
    elif block.get("partial") or _is_cascading(attempt):
        _one_by_one(attempt, block, units)
    else:
        _at_once(attempt, block, units)


def _one_by_one(attempt: Attempt, block: Json, units: list[Unit]) -> None:
    everything, wanted_of = _everything(attempt), _by_unit(attempt, block["value"])
    for unit in units:
        wanted = wanted_of(unit)
        value = _take_unit(attempt, block, wanted, unit, everything)
        if value > 0:
            _add_unit(attempt, block, unit, value, wanted)


def _at_once(attempt: Attempt, block: Json, units: list[Unit]) -> None:
    """Discount every piece; what is common to all is booked once."""
    granted, (key, base) = attempt.evaluation.granted, _everything(attempt)
    left, position, wanted, name = base - granted.of(key), -1, ZERO, ""
    total, before, wanted_of = ZERO, len(attempt.effects), _by_unit(attempt, block["value"])
    for unit in units:
        if unit.position != position:
            position, wanted = unit.position, wanted_of(unit)
            name = f"{block['name']}#{position}"
        place = (position, unit.sub_position)
        value = granted.take_of(place, unit.price, wanted, left - total)
        if value > 0:
            total += value
            attempt.add("setDiscountPerItem", _piece(name, value, unit))
    if total:
        granted.add(key, total)
        granted.add("cart", total)
        attempt.spend("setDiscount", total)
        attempt.spend("setDiscountEffect", Decimal(len(attempt.effects) - before))


def _is_cascading(attempt: Attempt) -> bool:
    return attempt.names.scope.application.settings.cascading


def _take_unit(
    attempt: Attempt, block: Json, wanted: Decimal, unit: Unit, everything: Base
) -> Decimal:
    key = (unit.position, unit.sub_position)
    value = _take(attempt, block, wanted, (key, unit.price), everything)
    if value > 0:
        attempt.evaluation.granted.add("cart", value)
    return value


def _by_unit(attempt: Attempt, value: Any) -> Callable[[Unit], Decimal]:
    """Return a value as a function of a piece of the cart."""
    formula, reduced = expressions.formula(value), _reduced(attempt)
    return lambda unit: formula(partial(_of_unit, attempt, reduced, unit))


def _of_unit(attempt: Attempt, reduced: expressions.Resolve, unit: Unit, name: str) -> Any:
    if "$Item." not in name:
        return reduced(name)
    if name == "$Item.Price" and _is_cascading(attempt):
        return unit.price - attempt.evaluation.granted.of((unit.position, unit.sub_position))
    return item_getter(name)(unit.item)


def _add_unit(
    attempt: Attempt, block: Json, unit: Unit, value: Decimal, wanted: Decimal, **more: Decimal
) -> None:
    props = _piece(f"{block['name']}#{unit.position}", value, unit) | more
    if _is_cascading(attempt):
        props["scope"] = "price"
    attempt.add("setDiscountPerItem", _partly(props, block, wanted))


def _piece(name: str, value: Decimal, unit: Unit) -> Json:
    return {
        "name": name,
        "value": value,
        "position": unit.position,
        "subPosition": unit.sub_position,
    }


def _prorated(attempt: Attempt, block: Json, units: list[Unit]) -> None:
    """Share one discount among the pieces, by their price; the last takes what is left."""
    total = sum((unit.price for unit in units), ZERO)
    wanted = expressions.number(block["value"], _reduced(attempt))
    desired = wanted = min(wanted, total)
    if block.get("partial"):
        wanted = attempt.left("setDiscount", wanted)
    if wanted <= 0 or total <= 0:
        raise EffectFailedError("there is nothing to discount")
    given, everything = ZERO, _everything(attempt)
    for unit in units:
        share = wanted - given if unit is units[-1] else _share(wanted, unit, total)
        value = _take_unit(attempt, {**block, "partial": False}, share, unit, everything)
        given += share
        if value > 0:
            more = {"totalDiscount": wanted}
            if desired > wanted:
                more["desiredTotalDiscount"] = desired
            _add_unit(attempt, {**block, "partial": False}, unit, value, share, **more)


def _share(wanted: Decimal, unit: Unit, total: Decimal) -> Decimal:
    return expressions.shortened(wanted * unit.price / total)


def _cost(attempt: Attempt, block: Json) -> None:
    inner = block["target"].get("target", {"type": "cart"})
    if inner["type"] != "cart":
        _cost_per_item(attempt, block, inner)
        return
    scope, name = attempt.names.scope, block["target"]["additionalCost"]["name"]
    cost = scope.session.additional_costs.get(name)
    if cost is None:
        raise EffectFailedError('the session has no additional cost "{}"', name)
    wanted = expressions.number(block["value"], _reduced(attempt))
    base = (("cost", name), totals.amount(cost["price"]))
    value = _take(attempt, block, wanted, base, _everything(attempt))
    if value > 0:
        attempt.evaluation.granted.add("costs", value)
        props = {"name": block["name"], **_named(attempt, name), "value": value}
        attempt.add("setDiscountPerAdditionalCost", _partly(props, block, wanted))


def _named(attempt: Attempt, name: str) -> Json:
    known = attempt.names.scope.world.additional_costs
    return {"additionalCostId": known.get(name, 0), "additionalCost": name}


def _cost_per_item(attempt: Attempt, block: Json, target: Json) -> None:
    name = block["target"]["additionalCost"]["name"]
    units = _chosen(attempt, target)
    if any(name not in unit.item.get("additionalCosts", {}) for unit in units):
        raise EffectFailedError('an item has no additional cost "{}"', name)
    wanted_of = _by_unit(attempt, block["value"])
    for unit in units:
        wanted = wanted_of(unit)
        price = totals.amount(unit.item["additionalCosts"][name]["price"])
        base = (("cost", name, unit.position, unit.sub_position), price)
        value = _take(attempt, block, wanted, base, _everything(attempt))
        if value > 0:
            attempt.evaluation.granted.add("costs", value)
            place = {"position": unit.position, "subPosition": unit.sub_position}
            props = {"name": f"{block['name']}#{unit.position}", **_named(attempt, name)}
            props |= {"value": value, **place}
            attempt.add("setDiscountPerAdditionalCostPerItem", _partly(props, block, wanted))


_TARGETS: dict[str, Callable[[Attempt, Json], None]] = {
    "cart": _cart,
    "allItems": _items,
    "selector": _items,
    "additionalCost": _cost,
}
