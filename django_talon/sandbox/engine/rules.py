"""Running the rules of the campaigns over a session, event or profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from . import expressions, operators, totals
from .blocks import CONDITIONS, mentions
from .state import (
    Application,
    Campaign,
    Coupon,
    Effect,
    Event,
    Json,
    Profile,
    Referral,
    Rule,
    Session,
)


class ConditionNotMetError(Exception):
    """A condition of a rule does not hold."""


class EffectFailedError(Exception):
    """An effect cannot be applied; rules are atomic, so none of its rule's effects is."""


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
    triggered: list[int] = field(default_factory=list)
    redeemed_coupons: list[str] = field(default_factory=list)
    redeemed_referral: str = ""
    granted: Granted = field(default_factory=Granted)


def evaluate(scope: Scope, evaluation: Evaluation) -> Evaluation:
    """Run every running campaign in the order of the file; return the evaluation."""
    for campaign in scope.application.campaigns.values():
        if _is_evaluated(campaign, scope):
            _evaluate_campaign(scope, campaign, evaluation)
    return evaluation


def _is_evaluated(campaign: Campaign, scope: Scope) -> bool:
    if scope.campaign_ids is not None:
        return campaign.id in scope.campaign_ids
    return campaign.is_running(scope.now)


def _evaluate_campaign(scope: Scope, campaign: Campaign, evaluation: Evaluation) -> None:
    own = [coupon for coupon in scope.coupons if coupon.campaign_id == campaign.id]
    referral = scope.referral if _owns(campaign, scope.referral) else None
    passes: list[Coupon | None] = [*own] or [None]
    for coupon in passes:
        accepted = [
            _Attempt(scope, campaign, index, rule, coupon, referral, evaluation).run()
            for index, rule in enumerate(campaign.rules)
            if _concerns(rule, scope)
        ]
        _reject_unaccepted(campaign, coupon, referral, accepted, evaluation)
        if any(attempt.passed for attempt in accepted) and campaign.id not in evaluation.triggered:
            evaluation.triggered.append(campaign.id)


def _owns(campaign: Campaign, referral: Referral | None) -> bool:
    return referral is not None and referral.campaign_id == campaign.id


def _concerns(rule: Rule, scope: Scope) -> bool:
    """Custom and profile events run only the rules that check an event (V1 and V2 alike)."""
    if scope.event is None or scope.event.type.startswith("talon_session_"):
        return True
    return mentions(rule.blocks, "checkEvent")


def _reject_unaccepted(
    campaign: Campaign,
    coupon: Coupon | None,
    referral: Referral | None,
    attempts: list[_Attempt],
    evaluation: Evaluation,
) -> None:
    if coupon is not None and not any(a.accepts("acceptCoupon") for a in attempts):
        props = {"value": coupon.value, **_why(attempts, "Coupon", "checkCoupon")}
        evaluation.effects.append(_owned(campaign, "rejectCoupon", props, coupon.id))
    accepted = any(e.effect_type == "acceptReferral" for e in evaluation.effects)
    rejected = any(e.effect_type == "rejectReferral" for e in evaluation.effects)
    if referral is not None and not accepted and not rejected:
        props = {"value": referral.code, **_why(attempts, "Referral", "checkReferral")}
        evaluation.effects.append(_owned(campaign, "rejectReferral", props))


def _why(attempts: list[_Attempt], kind: str, check: str) -> Json:
    relevant = [attempt for attempt in attempts if mentions(attempt.rule.blocks, check)]
    if not relevant:
        return {
            "rejectionReason": f"{kind}RejectedByCondition",
            "details": "no rule of the campaign checks the code",
        }
    failure = relevant[-1].failure
    known = {key: failure[key] for key in ("conditionIndex", "effectIndex") if key in failure}
    reason = "EffectCouldNotBeApplied" if "effectIndex" in known else f"{kind}RejectedByCondition"
    return {"rejectionReason": reason, **known, "details": failure.get("details", "")}


def _owned(campaign: Campaign, kind: str, props: Json, coupon_id: int | None = None) -> Effect:
    return Effect(kind, props, campaign.id, campaign.id, -1, "", coupon_id)


class _Attempt:
    """One rule, tried for one code (or none): all of its effects, or none and the reason."""

    def __init__(
        self,
        scope: Scope,
        campaign: Campaign,
        index: int,
        rule: Rule,
        coupon: Coupon | None,
        referral: Referral | None,
        evaluation: Evaluation,
    ) -> None:
        self.scope, self.campaign, self.index, self.rule = scope, campaign, index, rule
        self.coupon, self.referral, self.evaluation = coupon, referral, evaluation
        self.effects: list[Effect] = []
        self.redeems: set[str] = set()
        self.failure: Json = {}
        self.passed = False
        self._conditions = self._awards = -1

    def accepts(self, effect_type: str) -> bool:
        """Say whether the rule passed and accepted the code."""
        return self.passed and any(e.effect_type == effect_type for e in self.effects)

    def run(self) -> _Attempt:
        """Try the rule; on failure leave the evaluation as it was, but for the reason."""
        before = dict(self.evaluation.granted.amounts)
        try:
            self._all(list(self.rule.blocks))
        except (ConditionNotMetError, EffectFailedError, expressions.ExpressionError) as error:
            self.evaluation.granted.amounts = before
            self.effects = [e for e in self.effects if e.props.get("_onFailure")]
            self._note(error)
        else:
            self.passed = True
        self._publish()
        return self

    def _publish(self) -> None:
        for effect in self.effects:
            effect.props.pop("_onFailure", None)
            if not self._repeats_acceptance(effect):
                self.evaluation.effects.append(effect)
        if self.passed and "coupon" in self.redeems and self.coupon is not None:
            if self.coupon.value not in self.evaluation.redeemed_coupons:
                self.evaluation.redeemed_coupons.append(self.coupon.value)
        if self.passed and "referral" in self.redeems and self.referral is not None:
            self.evaluation.redeemed_referral = self.referral.code

    def _repeats_acceptance(self, effect: Effect) -> bool:
        return effect.effect_type in {"acceptCoupon", "acceptReferral"} and any(
            (e.effect_type, e.props) == (effect.effect_type, effect.props)
            for e in self.evaluation.effects
        )

    def _note(self, error: Exception) -> None:
        index = (
            {"conditionIndex": self._conditions}
            if isinstance(error, ConditionNotMetError)
            else {"effectIndex": self._awards}
        )
        self.failure = {
            "campaignID": self.campaign.id,
            "campaignName": self.campaign.name,
            "rulesetID": self.campaign.id,
            "ruleIndex": self.index,
            "ruleName": self.rule.title,
            **self._codes(),
            **index,
            "details": str(error),
        }
        self.evaluation.failures.append(self.failure)

    def _codes(self) -> Json:
        codes: Json = {}
        if self.coupon is not None:
            codes |= {"couponID": self.coupon.id, "couponValue": self.coupon.value}
        if self.referral is not None:
            codes |= {"referralID": self.referral.id, "referralValue": self.referral.code}
        return codes

    def _all(self, blocks: list[Json]) -> None:
        for block in blocks:
            self._block(block)

    def _block(self, block: Json) -> None:
        try:
            if block["type"] in CONDITIONS:
                self._conditions += 1
            elif block["type"] != "group":
                self._awards += 1
            _BLOCKS[block["type"]](self, block)
        except ConditionNotMetError:
            for effect in block.get("onFailure", []):
                self._notify(effect, {"_onFailure": True})
            raise

    def _group(self, block: Json) -> None:
        if block["operator"] == "all":
            self._all(block["blocks"])
            return
        passed = [self._passes(inner) for inner in block["blocks"]]
        if any(passed) == (block["operator"] == "none"):
            raise ConditionNotMetError(f"group {block['operator']}: {sum(passed)} of it hold")

    def _passes(self, block: Json) -> bool:
        kept = len(self.effects)
        try:
            self._block(block)
        except ConditionNotMetError:
            del self.effects[kept:]
            return False
        return True

    def _check_attribute(self, block: Json) -> None:
        value = self._resolve(block["attribute"])
        if not operators.OPERATORS[block["operator"]](value, block):
            wanted = block.get("value", [block.get("min"), block.get("max")])
            told = f"{block['attribute']} is {value}, wanted {block['operator']} {wanted}"
            raise ConditionNotMetError(told)

    def _check_coupon(self, block: Json) -> None:
        if self.coupon is None:
            raise ConditionNotMetError("no valid coupon code of this campaign in the session")
        self._add("acceptCoupon", {"value": self.coupon.value})
        if block["redeem"]:
            self.redeems.add("coupon")

    def _check_referral(self, block: Json) -> None:
        if self.referral is None:
            raise ConditionNotMetError("no valid referral code of this campaign in the session")
        self._add("acceptReferral", {"value": self.referral.code})
        if block["redeem"]:
            self.redeems.add("referral")

    def _check_event(self, block: Json) -> None:
        kind = self.scope.event.type if self.scope.event else ""
        if kind != block["eventType"]:
            raise ConditionNotMetError(f"the event is {kind or 'none'}")

    def _award_discount(self, block: Json) -> None:
        _TARGETS[block["target"]["type"]](self, block)

    def _discount_cart(self, block: Json) -> None:
        wanted = expressions.number(block["value"], self._resolve)
        value = self._take(wanted)
        if value > 0:
            self._add("setDiscount", {"name": block["name"], "value": value})

    def _discount_items(self, block: Json) -> None:
        chosen = list(self._units(block["target"]))
        if not chosen:
            raise EffectFailedError("no item of the cart is selected")
        for unit in chosen:
            wanted = expressions.number(block["value"], self._resolver(unit.item))
            key = (unit.position, unit.sub_position)
            value = self._take(wanted, (key, unit.price))
            if value > 0:
                self._add("setDiscountPerItem", _per_item(block["name"], value, unit))

    def _units(self, target: Json) -> Iterator[totals.Unit]:
        predicates = self.campaign.selectors.get(target.get("name", ""), ())
        for unit in totals.units(self.scope.session.cart_items):
            resolve = self._resolver(unit.item)
            if all(matches(predicate, resolve) for predicate in predicates):
                yield unit

    def _discount_cost(self, block: Json) -> None:
        name = block["target"]["additionalCost"]["name"]
        cost = self.scope.session.additional_costs.get(name)
        if cost is None:
            raise EffectFailedError(f'the session has no additional cost "{name}"')
        wanted = expressions.number(block["value"], self._resolve)
        value = self._take(wanted, (name, totals.amount(cost["price"])))
        if value > 0:
            props = {"name": block["name"], "additionalCostId": self.scope.costs.get(name, 0)}
            props |= {"additionalCost": name, "value": value}
            self._add("setDiscountPerAdditionalCost", props)

    def _take(self, wanted: Decimal, *bases: tuple[Any, Decimal]) -> Decimal:
        whole = ("session", totals.total(self.scope.session))
        return self.evaluation.granted.take(wanted, whole, *bases)

    def _award_item(self, block: Json) -> None:
        quantity = expressions.number(block["quantity"], self._resolve)
        for _ in range(int(quantity)):
            self._add("addFreeItem", {"sku": block["sku"], "name": block["name"]})

    def _show_notification(self, block: Json) -> None:
        self._notify(block, {})

    def _notify(self, block: Json, marker: Json) -> None:
        props = {
            "notificationType": block["notificationType"],
            "title": expressions.text(block["title"], self._resolve),
            "body": expressions.text(block.get("body", ""), self._resolve),
        }
        self._add("showNotification", props | marker)

    def _add(self, effect_type: str, props: Json) -> None:
        coupon_id = self.coupon.id if self.coupon else None
        ids = (self.campaign.id, self.campaign.id, self.index, self.rule.title)
        self.effects.append(Effect(effect_type, props, *ids, coupon_id))

    def _resolver(self, item: Json) -> expressions.Resolve:
        return lambda name: _item_value(item, name) if "$Item." in name else self._resolve(name)

    def _resolve(self, name: str) -> Any:
        entity, _, rest = name[1:].partition(".")
        if rest.startswith("Attributes."):
            attributes = self._attributes(entity)
            return attributes.get(rest.partition(".")[2])
        reader = _VALUES[name]
        return reader(self)

    def _attributes(self, entity: str) -> Json:
        scope = self.scope
        owner = {"Session": scope.session, "Profile": scope.profile, "Event": scope.event}[entity]
        return owner.attributes if owner is not None else {}


def matches(block: Json, resolve: expressions.Resolve) -> bool:
    """Say whether a selector's predicate holds for one item."""
    if block["type"] == "checkAttribute":
        return operators.OPERATORS[block["operator"]](resolve(block["attribute"]), block)
    passed = [matches(inner, resolve) for inner in block["blocks"]]
    if block["operator"] == "all":
        return all(passed)
    return any(passed) == (block["operator"] == "atLeastOne")


def _per_item(name: str, value: Decimal, unit: totals.Unit) -> Json:
    return {
        "name": f"{name}#{unit.position}",
        "value": value,
        "position": unit.position,
        "subPosition": unit.sub_position,
    }


_ITEM_KEYS = {"Price": "price", "Quantity": "quantity", "SKU": "sku", "Name": "name"}


def _item_value(item: Json, name: str) -> Any:
    field_name = name.removeprefix("$Item.")
    if field_name.startswith("Attributes."):
        return item.get("attributes", {}).get(field_name.partition(".")[2])
    return item.get(_ITEM_KEYS.get(field_name, "category"))


_VALUES: dict[str, Callable[[_Attempt], Any]] = {
    "$Session.Total": lambda a: totals.total(a.scope.session),
    "$Session.CartTotal": lambda a: totals.cart_item_total(a.scope.session),
    "$Session.CartItemTotal": lambda a: totals.cart_item_total(a.scope.session),
    "$Session.AdditionalCostTotal": lambda a: totals.additional_cost_total(a.scope.session),
    "$Session.State": lambda a: a.scope.session.state,
    "$Session.FirstSession": lambda a: a.scope.session.first_session,
    "$Session.IntegrationId": lambda a: a.scope.session.integration_id,
    "$Profile.IntegrationId": lambda a: a.scope.profile.integration_id if a.scope.profile else "",
    "$Profile.ClosedSessions": lambda a: a.scope.profile.closed_sessions if a.scope.profile else 0,
    "$Profile.TotalSales": lambda a: a.scope.profile.total_sales if a.scope.profile else Decimal(0),
    "$Campaign.Id": lambda a: a.campaign.id,
    "$Campaign.Name": lambda a: a.campaign.name,
    "$Coupon.Value": lambda a: a.coupon.value if a.coupon else "",
    "$Referral.Code": lambda a: a.referral.code if a.referral else "",
    "$Referral.AdvocateId": lambda a: a.referral.advocate if a.referral else "",
    "$Event.Type": lambda a: a.scope.event.type if a.scope.event else "",
}

_BLOCKS: dict[str, Callable[[_Attempt, Json], None]] = {
    "group": _Attempt._group,
    "checkAttribute": _Attempt._check_attribute,
    "checkCoupon": _Attempt._check_coupon,
    "checkReferral": _Attempt._check_referral,
    "checkEvent": _Attempt._check_event,
    "awardDiscount": _Attempt._award_discount,
    "awardItem": _Attempt._award_item,
    "showNotification": _Attempt._show_notification,
}

_TARGETS: dict[str, Callable[[_Attempt, Json], None]] = {
    "cart": _Attempt._discount_cart,
    "allItems": _Attempt._discount_items,
    "selector": _Attempt._discount_items,
    "additionalCost": _Attempt._discount_cost,
}
