"""Running the campaigns' rules over a session, event or profile, once per valid code."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from . import conditions, discounts, grants, loyalty, minting
from .attempt import Attempt, OverBudgetError
from .scope import Evaluation, Names, Scope
from .state import Campaign, Coupon, Effect, Group, Json, Referral, Rule

__all__ = ["Evaluation", "Scope", "evaluate"]

_BLOCK_MODULES = (conditions, discounts, grants, loyalty, minting)
_REFERRAL_EFFECTS = {"acceptReferral", "rejectReferral"}


def evaluate(scope: Scope, evaluation: Evaluation) -> Evaluation:
    """Run every running campaign in the order of its group; return the evaluation."""
    _Run(scope, evaluation).group(scope.application.group)
    return evaluation


class _Run:
    def __init__(self, scope: Scope, evaluation: Evaluation) -> None:
        self.scope = scope
        self.campaigns = scope.application.campaigns
        self.evaluation = evaluation
        self.session_event = scope.event is None or scope.event.type.startswith("talon_session_")
        self.coupons: defaultdict[int, list[Coupon]] = defaultdict(list)
        for coupon in scope.coupons:
            self.coupons[coupon.campaign_id].append(coupon)
        self.coded = set(self.coupons)
        if scope.referral is not None:
            self.coded.add(scope.referral.campaign_id)

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
        campaign, ids = self.campaigns[element], self.scope.campaign_ids
        if not (campaign.is_running(self.scope.now) or self._is_chosen(campaign)):
            return False
        if group.id:
            self.evaluation.groups[element] = group
        if ids is not None and element not in ids:
            self._exclude(element, "CampaignNotInEvaluationSet")
            return False
        coded = element in self.coded
        triggered = self._with_codes(campaign) if coded else self._without_code(campaign)
        if triggered:
            self.evaluation.triggered.append(element)
        return triggered

    def _is_chosen(self, campaign: Campaign) -> bool:
        """Say whether a dry run asks for a campaign that is switched off."""
        named = campaign.id in (self.scope.campaign_ids or ())
        return self.scope.dry and campaign.state == "disabled" and named

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
        campaign = self.campaigns[element]
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

    def _without_code(self, campaign: Campaign) -> bool:
        triggered = False
        for index, rule in enumerate(campaign.rules):
            if self.session_event or rule.checks_event:
                triggered = self._rule(campaign, index, rule) or triggered
        return triggered

    def _rule(self, campaign: Campaign, index: int, rule: Rule) -> bool:
        """Try a rule, unless a look at its gate tells that it fails."""
        evaluation, gate = self.evaluation, rule.gate
        if gate is not None and not gate.test(value := gate.find(self.scope)):
            evaluation.failures.silent(campaign, index, value, evaluation.groups.get(campaign.id))
            return False
        names = Names(self.scope, campaign, None, None)
        return Attempt(names, index, rule, evaluation).run(0 if gate is None else 1).passed

    def _with_codes(self, campaign: Campaign) -> bool:
        """Try the rules once for each coupon code of the campaign, and its referral code."""
        referral = self._referral_of(campaign)
        passes: list[Coupon | None] = [*self.coupons[campaign.id]] or [None]
        tried = [self._with_code(campaign, coupon, referral) for coupon in passes]
        return any(tried)

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
        reason = "ProfileLimitReached" if failure.error.per_profile else "CampaignLimitReached"
    return {"rejectionReason": reason, **known, "details": str(failure.error)}


def _owned(campaign: Campaign, kind: str, props: Json, coupon_id: int | None = None) -> Effect:
    return Effect(kind, props, campaign.id, campaign.id, -1, "", coupon_id)
