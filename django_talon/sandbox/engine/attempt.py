"""Trying one rule: all of its effects, or none of them and the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from . import expressions, operators, totals
from .blocks import CONDITIONS
from .scope import Evaluation
from .state import Effect, Json, Rule
from .values import Names, item_value, value_of


class ConditionNotMetError(Exception):
    """A condition of a rule does not hold."""


class EffectFailedError(Exception):
    """An effect cannot be applied; rules are atomic, so none of its rule's effects is."""


@dataclass
class Attempt:
    """One rule, tried for one coupon code (or none)."""

    names: Names
    index: int
    rule: Rule
    evaluation: Evaluation
    effects: list[Effect] = field(default_factory=list)
    failure_effects: list[Effect] = field(default_factory=list)
    redeems: set[str] = field(default_factory=set)
    failure: Json = field(default_factory=dict)
    passed: bool = False
    conditions: int = -1
    awards: int = -1

    def accepts(self, effect_type: str) -> bool:
        """Say whether the rule passed and accepted a code."""
        return self.passed and any(e.effect_type == effect_type for e in self.effects)

    def run(self) -> Attempt:
        """Try the rule; on failure leave the evaluation as it was, but for the reason."""
        before = dict(self.evaluation.granted.amounts)
        try:
            self._all(self.rule.blocks)
        except (ConditionNotMetError, EffectFailedError, expressions.ExpressionError) as error:
            self.evaluation.granted.amounts = before
            self.evaluation.effects += self.failure_effects
            self._note(error)
        else:
            self.passed = True
            self._publish()
        return self

    def _publish(self) -> None:
        evaluation, names = self.evaluation, self.names
        evaluation.effects += [e for e in self.effects if not self._repeats_acceptance(e)]
        if "coupon" in self.redeems and names.coupon is not None:
            evaluation.redeemed_coupons[names.coupon.value] = None
        if "referral" in self.redeems and names.referral is not None:
            evaluation.redeemed_referral = names.referral.code

    def _repeats_acceptance(self, effect: Effect) -> bool:
        return effect.effect_type in {"acceptCoupon", "acceptReferral"} and any(
            (e.effect_type, e.props) == (effect.effect_type, effect.props)
            for e in self.evaluation.effects
        )

    def _note(self, error: Exception) -> None:
        campaign = self.names.campaign
        self.failure = {
            "campaignID": campaign.id,
            "campaignName": campaign.name,
            "rulesetID": campaign.id,
            "ruleIndex": self.index,
            "ruleName": self.rule.title,
            **self._codes(),
            "details": str(error),
        }
        if isinstance(error, ConditionNotMetError):
            self.failure["conditionIndex"] = self.conditions
        else:
            self.failure["effectIndex"] = self.awards
        self.evaluation.failures.append(self.failure)

    def _codes(self) -> Json:
        codes: Json = {}
        if self.names.coupon is not None:
            codes |= {"couponID": self.names.coupon.id, "couponValue": self.names.coupon.value}
        if self.names.referral is not None:
            referral = self.names.referral
            codes |= {"referralID": referral.id, "referralValue": referral.code}
        return codes

    def _all(self, blocks: tuple[Json, ...] | list[Json]) -> None:
        for block in blocks:
            self._block(block)

    def _block(self, block: Json) -> None:
        kind = block["type"]
        self.conditions += kind in CONDITIONS
        self.awards += kind not in CONDITIONS and kind != "group"
        try:
            _BLOCKS[kind](self, block)
        except ConditionNotMetError:
            self.failure_effects += [self._notification(e) for e in block.get("onFailure", [])]
            raise

    def _group(self, block: Json) -> None:
        if block["operator"] == "all":
            self._all(block["blocks"])
            return
        passed = [self._passes(inner) for inner in block["blocks"]]
        if any(passed) == (block["operator"] == "none"):
            told = f"{sum(passed)} of {len(passed)} blocks hold"
            raise ConditionNotMetError(f"group {block['operator']}: {told}")

    def _passes(self, block: Json) -> bool:
        effects, failed = len(self.effects), len(self.failure_effects)
        try:
            self._block(block)
        except ConditionNotMetError:
            del self.effects[effects:], self.failure_effects[failed:]
            return False
        return True

    def _check_attribute(self, block: Json) -> None:
        value = self._value(block["attribute"])
        if not operators.OPERATORS[block["operator"]](value, block):
            wanted = block.get("value", [block.get("min"), block.get("max")])
            told = f"{block['attribute']} is {value}, wanted {block['operator']} {wanted}"
            raise ConditionNotMetError(told)

    def _check_coupon(self, block: Json) -> None:
        if self.names.coupon is None:
            raise ConditionNotMetError("no valid coupon code of this campaign in the session")
        self._add("acceptCoupon", {"value": self.names.coupon.value})
        if block["redeem"]:
            self.redeems.add("coupon")

    def _check_referral(self, block: Json) -> None:
        if self.names.referral is None:
            raise ConditionNotMetError("no valid referral code of this campaign in the session")
        self._add("acceptReferral", {"value": self.names.referral.code})
        if block["redeem"]:
            self.redeems.add("referral")

    def _check_event(self, block: Json) -> None:
        kind = self._value("$Event.Type")
        if kind != block["eventType"]:
            raise ConditionNotMetError(f"the event is {kind or 'none'}")

    def _award_discount(self, block: Json) -> None:
        _TARGETS[block["target"]["type"]](self, block)

    def _discount_cart(self, block: Json) -> None:
        value = self._take(expressions.number(block["value"], self._value))
        if value > 0:
            self._add("setDiscount", {"name": block["name"], "value": value})

    def _discount_items(self, block: Json) -> None:
        chosen = list(self._units(block["target"]))
        if not chosen:
            raise EffectFailedError("no item of the cart is selected")
        for unit in chosen:
            wanted = expressions.number(block["value"], self._values_with(unit.item))
            value = self._take(wanted, ((unit.position, unit.sub_position), unit.price))
            if value > 0:
                self._add("setDiscountPerItem", _per_item(block["name"], value, unit))

    def _units(self, target: Json) -> Iterator[totals.Unit]:
        predicates = self.names.campaign.selectors.get(target.get("name", ""), ())
        for unit in totals.units(self.names.scope.session.cart_items):
            values = self._values_with(unit.item)
            if all(_holds(predicate, values) for predicate in predicates):
                yield unit

    def _discount_cost(self, block: Json) -> None:
        name, scope = block["target"]["additionalCost"]["name"], self.names.scope
        cost = scope.session.additional_costs.get(name)
        if cost is None:
            raise EffectFailedError(f'the session has no additional cost "{name}"')
        wanted = expressions.number(block["value"], self._value)
        value = self._take(wanted, (name, totals.amount(cost["price"])))
        if value > 0:
            cost_id = scope.costs.get(name, 0)
            props = {"name": block["name"], "additionalCostId": cost_id, "additionalCost": name}
            self._add("setDiscountPerAdditionalCost", {**props, "value": value})

    def _take(self, wanted: Decimal, *bases: tuple[Any, Decimal]) -> Decimal:
        whole = ("session", totals.discountable(self.names.scope.session))
        return self.evaluation.granted.take(wanted, whole, *bases)

    def _award_item(self, block: Json) -> None:
        quantity = int(expressions.number(block["quantity"], self._value))
        for _ in range(min(quantity, _MOST_FREE_ITEMS)):
            self._add("addFreeItem", {"sku": block["sku"], "name": block["name"]})

    def _show_notification(self, block: Json) -> None:
        self.effects.append(self._notification(block))

    def _notification(self, block: Json) -> Effect:
        props = {
            "notificationType": block["notificationType"],
            "title": expressions.text(block["title"], self._value),
            "body": expressions.text(block.get("body", ""), self._value),
        }
        return self._effect("showNotification", props)

    def _add(self, effect_type: str, props: Json) -> None:
        self.effects.append(self._effect(effect_type, props))

    def _effect(self, effect_type: str, props: Json) -> Effect:
        campaign, coupon = self.names.campaign, self.names.coupon
        ids = (campaign.id, campaign.id, self.index, self.rule.title)
        return Effect(effect_type, props, *ids, coupon.id if coupon else None)

    def _value(self, name: str) -> Any:
        return value_of(self.names, name)

    def _values_with(self, item: Json) -> expressions.Resolve:
        return lambda name: item_value(item, name) if "$Item." in name else self._value(name)


_MOST_FREE_ITEMS = 1000


def _holds(block: Json, values: expressions.Resolve) -> bool:
    """Say whether a selector's predicate holds for one item."""
    if block["type"] == "checkAttribute":
        return operators.OPERATORS[block["operator"]](values(block["attribute"]), block)
    passed = [_holds(inner, values) for inner in block["blocks"]]
    if block["operator"] == "all":
        return all(passed)
    return any(passed) == bool(block["operator"] == "atLeastOne")


def _per_item(name: str, value: Decimal, unit: totals.Unit) -> Json:
    return {
        "name": f"{name}#{unit.position}",
        "value": value,
        "position": unit.position,
        "subPosition": unit.sub_position,
    }


_BLOCKS: dict[str, Callable[[Attempt, Json], None]] = {
    "group": Attempt._group,
    "checkAttribute": Attempt._check_attribute,
    "checkCoupon": Attempt._check_coupon,
    "checkReferral": Attempt._check_referral,
    "checkEvent": Attempt._check_event,
    "awardDiscount": Attempt._award_discount,
    "awardItem": Attempt._award_item,
    "showNotification": Attempt._show_notification,
}

_TARGETS: dict[str, Callable[[Attempt, Json], None]] = {
    "cart": Attempt._discount_cart,
    "allItems": Attempt._discount_items,
    "selector": Attempt._discount_items,
    "additionalCost": Attempt._discount_cost,
}
