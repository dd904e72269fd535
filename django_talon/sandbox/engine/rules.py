"""Running the campaigns' rules over a session, event or profile, once per valid code."""

from __future__ import annotations

from .attempt import Attempt
from .blocks import mentions
from .scope import Evaluation, Scope
from .state import Campaign, Coupon, Effect, Json, Referral, Rule
from .values import Names

__all__ = ["Evaluation", "Scope", "evaluate"]

_REFERRAL_EFFECTS = {"acceptReferral", "rejectReferral"}


def evaluate(scope: Scope, evaluation: Evaluation) -> Evaluation:
    """Run every running campaign in the order of the file; return the evaluation."""
    for campaign in scope.application.campaigns.values():
        if _is_evaluated(campaign, scope):
            _evaluate_campaign(scope, campaign, evaluation)
    return evaluation


def _is_evaluated(campaign: Campaign, scope: Scope) -> bool:
    chosen = scope.campaign_ids is None or campaign.id in scope.campaign_ids
    return chosen and campaign.is_running(scope.now)


def _evaluate_campaign(scope: Scope, campaign: Campaign, evaluation: Evaluation) -> None:
    own = [coupon for coupon in scope.coupons if coupon.campaign_id == campaign.id]
    referral = scope.referral if _owns(campaign, scope.referral) else None
    passes: list[Coupon | None] = [*own] or [None]
    for coupon in passes:
        names = Names(scope, campaign, coupon, referral)
        attempts = [
            Attempt(names, index, rule, evaluation).run()
            for index, rule in enumerate(campaign.rules)
            if _concerns(rule, scope)
        ]
        _reject_unaccepted(names, attempts, evaluation)
        if any(attempt.passed for attempt in attempts):
            evaluation.triggered[campaign.id] = None


def _owns(campaign: Campaign, referral: Referral | None) -> bool:
    return referral is not None and referral.campaign_id == campaign.id


def _concerns(rule: Rule, scope: Scope) -> bool:
    """Custom and profile events run only the rules that check an event (V1 and V2 alike)."""
    if scope.event is None or scope.event.type.startswith("talon_session_"):
        return True
    return mentions(rule.blocks, "checkEvent")


def _reject_unaccepted(names: Names, attempts: list[Attempt], evaluation: Evaluation) -> None:
    campaign, coupon, referral = names.campaign, names.coupon, names.referral
    if coupon is not None and not any(a.accepts("acceptCoupon") for a in attempts):
        props = {"value": coupon.value, **_why(attempts, "Coupon", "checkCoupon")}
        evaluation.effects.append(_owned(campaign, "rejectCoupon", props, coupon.id))
    decided = any(e.effect_type in _REFERRAL_EFFECTS for e in evaluation.effects)
    if referral is not None and not decided:
        props = {"value": referral.code, **_why(attempts, "Referral", "checkReferral")}
        evaluation.effects.append(_owned(campaign, "rejectReferral", props))


def _why(attempts: list[Attempt], kind: str, check: str) -> Json:
    relevant = [attempt for attempt in attempts if mentions(attempt.rule.blocks, check)]
    if not relevant:
        return {
            "rejectionReason": f"{kind}RejectedByCondition",
            "details": "no rule of the campaign checks the code",
        }
    failure = relevant[-1].failure
    known: Json = {k: failure[k] for k in ("conditionIndex", "effectIndex") if k in failure}
    reason = "EffectCouldNotBeApplied" if "effectIndex" in known else f"{kind}RejectedByCondition"
    return {"rejectionReason": reason, **known, "details": failure.get("details", "")}


def _owned(campaign: Campaign, kind: str, props: Json, coupon_id: int | None = None) -> Effect:
    return Effect(kind, props, campaign.id, campaign.id, -1, "", coupon_id)
