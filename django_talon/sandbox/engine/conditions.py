"""The conditions of rules: each returns, or raises why it does not hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from . import expressions, operators
from .attempt import Attempt, runs
from .errors import ConditionNotMetError
from .scope import Scope
from .state import Json, Selector
from .totals import Unit
from .values import item_getter

_OPERANDS = ("value", "min", "max", "start", "end")


@runs("group")
def group(attempt: Attempt, block: Json) -> None:
    """All of the blocks, at least one, or none of them."""
    if block["operator"] == "all":
        attempt.all(block["blocks"])
        return
    passed = [attempt.passes(inner) for inner in block["blocks"]]
    if any(passed) == (block["operator"] == "none"):
        told = "group {}: {} of {} blocks hold"
        raise ConditionNotMetError(told, block["operator"], sum(passed), len(passed))


@runs("checkAttribute")
def check_attribute(attempt: Attempt, block: Json) -> None:
    """Compare the value of a name, or of a selector."""
    name = block["attribute"]
    if name.startswith("$Selectors."):
        value = selected_value(attempt, name.partition(".")[2])
    else:
        value = attempt.value(name)
    if not operators.OPERATORS[block["operator"]](value, operands(block, attempt)):
        wanted = block.get("value", block.get("values", block.get("min")))
        raise ConditionNotMetError("{} is {}, wanted {} {}", name, value, block["operator"], wanted)


def operands(block: Json, attempt: Attempt) -> Json:
    """Return the block with its templates and collections filled in."""
    if block["operator"].endswith("inCollection)") or block["operator"] == "inCollection":
        return {**block, "value": attempt.names.scope.world.collections[block["value"]]}
    for name in _OPERANDS:
        value = block.get(name)
        if type(value) is str and value.startswith("{{"):
            resolved = expressions.operand(value, attempt.value)
            block = {**block, name: resolved}
    return block


def selected(scope: Scope, selector: Selector) -> list[Unit]:
    """Return the pieces of the cart that a selector chooses."""
    if not selector.predicates:
        return scope.units
    lines = [selector.chooses(item) for item in scope.session.cart_items]
    return [unit for unit in scope.units if lines[unit.position]]


def selected_value(attempt: Attempt, name: str) -> Any:
    """Return what a selector comes to: its items, or the number it reduces them to."""
    selector = attempt.names.campaign.selectors[name]
    units = selected(attempt.names.scope, selector)
    if selector.reduced == "count":
        return len(units)
    if selector.reduced == "empty":
        return not units
    if not selector.mapped:
        return [unit.item for unit in units]
    values = [_mapped(attempt, selector.mapped, unit) for unit in units]
    return _REDUCTIONS[selector.reduced](values) if selector.reduced else values


def _mapped(attempt: Attempt, expression: str, unit: Unit) -> Decimal:
    def resolve(name: str) -> Any:
        return item_getter(name)(unit.item) if "$Item." in name else attempt.value(name)

    return expressions.number(expression, resolve)


_REDUCTIONS: dict[str, Any] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "max": lambda values: max(values, default=None),
    "min": lambda values: min(values, default=None),
}


@runs("checkCoupon")
def check_coupon(attempt: Attempt, block: Json) -> None:
    """A valid coupon code of this campaign is in the session."""
    coupon = attempt.names.coupon
    if coupon is None:
        raise ConditionNotMetError("no valid coupon code of this campaign in the session")
    if block["redeem"]:
        if coupon.value not in attempt.evaluation.redeemed_coupons and (
            "coupon" not in attempt.redeems
        ):
            attempt.spend("redeemCoupon")
        attempt.redeems.add("coupon")
    attempt.add("acceptCoupon", {"value": coupon.value})


@runs("checkReferral")
def check_referral(attempt: Attempt, block: Json) -> None:
    """A valid referral code of this campaign is in the session."""
    referral = attempt.names.referral
    if referral is None:
        raise ConditionNotMetError("no valid referral code of this campaign in the session")
    if block["redeem"]:
        if not attempt.evaluation.redeemed_referral and "referral" not in attempt.redeems:
            attempt.spend("redeemReferral")
        attempt.redeems.add("referral")
    attempt.add("acceptReferral", {"value": referral.code})


@runs("checkEvent")
def check_event(attempt: Attempt, block: Json) -> None:
    """The rules run for an event of this type, and its matchers hold."""
    kind = attempt.value("$Event.Type")
    if kind != block["eventType"]:
        raise ConditionNotMetError("the event is {}", kind or "none")
    attempt.all(block.get("matchers", ()))


@runs("checkAudience")
def check_audience(attempt: Attempt, block: Json) -> None:
    """The profile is in an audience, or has just joined or left it."""
    scope, audience = attempt.names.scope, block["audience"]["id"]
    profile = scope.profile if block["profile"] == "Current" else scope.advocate
    joined, left = scope.audiences if block["profile"] == "Current" else (frozenset(), frozenset())
    is_member = profile is not None and audience in profile.audiences
    holds = {
        "member": is_member,
        "not(member)": not is_member,
        "justJoined": audience in joined,
        "justLeft": audience in left,
    }
    if not holds[block["operator"]]:
        raise ConditionNotMetError("audience {}: not {}", audience, block["operator"])


@runs("checkBudget")
def check_budget(attempt: Attempt, block: Json) -> None:
    """A budget of the campaign still has something, or enough."""
    wanted = Decimal(block.get("value", 1)) if block["operator"] == "enoughFor" else None
    left = attempt.left(block["action"], Decimal(10) ** 18)
    if left <= 0 or (wanted is not None and left < wanted):
        raise ConditionNotMetError("the budget {} has {} left", block["action"], left)
