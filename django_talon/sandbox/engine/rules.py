"""Running the campaigns' rules over a session, event or profile, once per valid code."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from . import conditions, discounts, grants, minting
from .attempt import Attempt, OverBudgetError
from .scope import Evaluation, Names, Scope
from .state import Campaign, Coupon, Effect, Group, Json, Referral

__all__ = ["Evaluation", "Scope", "evaluate"]

_BLOCK_MODULES = (conditions, discounts, grants, minting)
_REFERRAL_EFFECTS = {"acceptReferral", "rejectReferral"}


def evaluate(scope: Scope, evaluation: Evaluation) -> Evaluation:
    """Run every running campaign in the order of its group; return the evaluation."""
    _Run(scope, evaluation).group(scope.application.group)
    return evaluation


class _Run:
    def __init__(self, scope: Scope, evaluation: Evaluation) -> None:
        self.scope = scope
        self.evaluation = evaluation
        self.session_event = scope.event is None or scope.event.type.startswith("talon_session_")
        self.coupons: defaultdict[int, list[Coupon]] = defaultdict(list)
        for coupon in scope.coupons:
            self.coupons[coupon.campaign_id].append(coupon)

    def group(self, group: Group) -> bool:
        """Run a group by its mode; say whether a campaign of it was triggered."""
        if group.mode == "stackable":
            triggered = [self._element(element, group) for element in group.elements]
            return any(triggered)
        if group.mode == "listOrder":
            return self._first(group)
        return self._by_discount(group)

    def _element(self, element: Group | int, group: Group) -> bool:
        if isinstance(element, Group):
            return self.group(element)
        campaign = self.scope.application.campaigns[element]
        if not campaign.is_running(self.scope.now):
            return False
        if group.id:
            self.evaluation.groups[element] = group
        ids = self.scope.campaign_ids
        if ids is not None and element not in ids:
            self._exclude(element, "CampaignNotInEvaluationSet")
            return False
        return self._campaign(campaign)

    def _first(self, group: Group) -> bool:
        for place, element in enumerate(group.elements):
            if self._element(element, group):
                for other in group.elements[place + 1 :]:
                    self._exclude(other, "CampaignIsNotFirst")
                return True
        return False

    def _by_discount(self, group: Group) -> bool:
        """Try every element alone, then keep the one with the most (or least) discount."""
        tried = [self._trial(element, group) for element in group.elements]
        values = [value for value in tried if value is not None]
        if not values:
            for element in group.elements:
                self._element(element, group)
            return False
        best = max(values) if group.mode == "highestDiscount" else min(values)
        chosen = tried.index(best)
        for place, element in enumerate(group.elements):
            if place == chosen or tried[place] is None:
                self._element(element, group)
            else:
                self._exclude(element, "CampaignGaveLowerDiscount")
        return True

    def _trial(self, element: Group | int, group: Group) -> Decimal | None:
        evaluation = self.evaluation
        mark, failures = evaluation.mark(), len(evaluation.failures)
        triggered = self._element(element, group)
        value = evaluation.discounted_since(mark)
        evaluation.rewind(mark)
        evaluation.failures.cut(failures)
        return value if triggered else None

    def _exclude(self, element: Group | int, why: str) -> None:
        if isinstance(element, Group):
            for inner in element.elements:
                self._exclude(inner, why)
            return
        self.evaluation.excluded[element] = why
        campaign = self.scope.application.campaigns[element]
        for coupon in self.coupons[element]:
            reason = {"rejectionReason": "CouponPartOfNotTriggeredCampaign"}
            props = {"value": coupon.value, **reason, "campaignExclusionReason": why}
            self.evaluation.effects.append(_owned(campaign, "rejectCoupon", props, coupon.id))
        referral = self._referral_of(campaign)
        if referral is not None:
            reason = {"rejectionReason": "ReferralPartOfNotTriggeredCampaign"}
            props = {"value": referral.code, **reason, "campaignExclusionReason": why}
            self.evaluation.effects.append(_owned(campaign, "rejectReferral", props))

    def _referral_of(self, campaign: Campaign) -> Referral | None:
        referral = self.scope.referral
        return referral if referral is not None and referral.campaign_id == campaign.id else None

    def _campaign(self, campaign: Campaign) -> bool:
        referral, coupons = self._referral_of(campaign), self.coupons.get(campaign.id)
        if coupons is None and referral is None:
            triggered = self._without_code(campaign)
        else:
            passes: list[Coupon | None] = [*(coupons or ())] or [None]
            tried = [self._with_code(campaign, coupon, referral) for coupon in passes]
            triggered = any(tried)
        if triggered:
            self.evaluation.triggered.append(campaign.id)
        return triggered

    def _without_code(self, campaign: Campaign) -> bool:
        names, triggered = Names(self.scope, campaign, None, None), False
        for index, rule in enumerate(campaign.rules):
            if not self.session_event and not rule.checks_event:
                continue
            if rule.gate is not None:
                value = rule.gate.find(names)
                if not rule.gate.test(value):
                    group = self.evaluation.groups.get(campaign.id)
                    self.evaluation.failures.silent(campaign, index, value, group)
                    continue
            triggered = Attempt(names, index, rule, self.evaluation).run().passed or triggered
        return triggered

    def _with_code(
        self, campaign: Campaign, coupon: Coupon | None, referral: Referral | None
    ) -> bool:
        names = Names(self.scope, campaign, coupon, referral)
        attempts = [
            Attempt(names, index, rule, self.evaluation).run()
            for index, rule in enumerate(campaign.rules)
            if self.session_event or rule.checks_event
        ]
        self._reject_unaccepted(names, attempts)
        return any(attempt.passed for attempt in attempts)

    def _reject_unaccepted(self, names: Names, attempts: list[Attempt]) -> None:
        campaign, coupon, referral = names.campaign, names.coupon, names.referral
        effects, is_2020 = self.evaluation.effects, self.scope.world.decisions.is_2020
        if coupon is not None and not any(a.accepts("acceptCoupon") for a in attempts):
            why = _why([a for a in attempts if a.rule.checks_coupon], "Coupon", is_2020)
            props = {"value": coupon.value, **why}
            effects.append(_owned(campaign, "rejectCoupon", props, coupon.id))
        decided = any(e.effect_type in _REFERRAL_EFFECTS for e in effects)
        if referral is not None and not decided:
            why = _why([a for a in attempts if a.rule.checks_referral], "Referral", is_2020)
            props = {"value": referral.code, **why}
            effects.append(_owned(campaign, "rejectReferral", props))


def _why(relevant: list[Attempt], kind: str, is_2020: bool) -> Json:
    failure = relevant[-1].failure if relevant else None
    if failure is None:
        reason = "ValidConditionMissing" if is_2020 else "RejectedByCondition"
        return {
            "rejectionReason": f"{kind}{reason}",
            "details": "no rule of the campaign checks the code",
        }
    places = {"conditionIndex": failure.condition, "effectIndex": failure.effect}
    known: Json = {name: place for name, place in places.items() if place is not None}
    reason = (
        "EffectCouldNotBeApplied" if failure.effect is not None else f"{kind}RejectedByCondition"
    )
    if isinstance(failure.error, OverBudgetError) and failure.error.action.startswith("redeem"):
        reason = "CampaignLimitReached"
    return {"rejectionReason": reason, **known, "details": str(failure.error)}


def _owned(campaign: Campaign, kind: str, props: Json, coupon_id: int | None = None) -> Effect:
    return Effect(kind, props, campaign.id, campaign.id, -1, "", coupon_id)
