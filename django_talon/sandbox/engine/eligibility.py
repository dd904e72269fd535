"""Which campaigns and rules a dry run would have triggered, and why the others would not."""

from __future__ import annotations

from . import render
from .attempt import EffectFailedError
from .scope import Evaluation
from .state import Application, Campaign, Coupon, Failure, Json, Rule
from .writing import present


def of(application: Application, evaluation: Evaluation, kind: str) -> list[Json]:
    """Return a ``CampaignEligibility`` for each campaign that was looked at.

    ``kind`` is the type of the event that the rules ran for.
    """
    looked_at = {*evaluation.triggered, *evaluation.excluded}
    looked_at |= {failure.campaign.id for failure in evaluation.failures}
    known = [c for number, c in application.campaigns.items() if number in looked_at]
    is_session = kind.startswith("talon_session_")
    return [_campaign(application, one, evaluation, is_session=is_session) for one in known]


def _campaign(
    application: Application, campaign: Campaign, evaluation: Evaluation, *, is_session: bool
) -> Json:
    rules = [(n, r) for n, r in enumerate(campaign.rules) if is_session or r.checks_event]
    failures = [one for one in evaluation.failures if one.campaign.id == campaign.id]
    skipped = campaign.id in evaluation.excluded
    passes = _passes(application, campaign, evaluation, failures)
    tried = [] if skipped else [(_tried(rules, failures, one), one) for one in passes]
    skipping = {"passed": False, "details": {"failureCode": "SKIPPED"}}
    return {
        **_base(application, campaign),
        "eligibility": [_verdict(*one) for one in tried] or [skipping],
        "rules": [
            {
                "title": rule.title,
                "eligibility": [_of_rule(found[place], coupon) for found, coupon in tried],
            }
            for place, rule in rules
        ],
    }


def _base(application: Application, campaign: Campaign) -> Json:
    return {
        "id": campaign.id,
        "applicationId": application.id,
        "name": campaign.name,
        "description": campaign.description,
        "attributes": campaign.attributes,
        "state": "enabled",
        "tags": list(campaign.tags),
        "features": list(campaign.features),
        **present(startTime=campaign.start_time, endTime=campaign.end_time),
    }


def _passes(
    application: Application, campaign: Campaign, evaluation: Evaluation, failures: list[Failure]
) -> list[Coupon | None]:
    """Return the codes for which the campaign's rules were tried, None for no code."""
    by_id = {coupon.id: coupon for coupon in application.coupons.values()}
    numbers = [failure.coupon.id for failure in failures if failure.coupon is not None]
    numbers += [
        effect.triggered_by_coupon
        for effect in evaluation.effects
        if effect.campaign_id == campaign.id
        and effect.rule_index >= 0
        and effect.triggered_by_coupon is not None
    ]
    return [by_id[number] for number in dict.fromkeys(numbers) if number in by_id] or [None]


def _tried(
    rules: list[tuple[int, Rule]], failures: list[Failure], coupon: Coupon | None
) -> dict[int, Failure | None]:
    """Return for each rule why it failed, None where it passed."""
    code = coupon.value if coupon is not None else None
    why = {
        failure.place: failure
        for failure in failures
        if (failure.coupon.value if failure.coupon is not None else None) == code
    }
    return {place: why.get(place) for place, _ in rules}


def _verdict(found: dict[int, Failure | None], coupon: Coupon | None) -> Json:
    passed = any(failure is None for failure in found.values())
    shown: Json = {"passed": passed, **_code(coupon)}
    return shown if passed else {**shown, "details": {"failureCode": "ALL_RULES_FAILED"}}


def _of_rule(failure: Failure | None, coupon: Coupon | None) -> Json:
    if failure is None:
        return {"passed": True, **_code(coupon)}
    told = render.failure(failure)
    names = ("couponID", "couponValue", "referralID", "referralValue")
    places = ("conditionIndex", "effectIndex", "details")
    is_effect = isinstance(failure.error, EffectFailedError)
    details: Json = {"failureCode": "EFFECT_FAILED" if is_effect else "CONDITION_NOT_MET"}
    details |= {name: told[name] for name in (*names, *places) if name in told}
    return {"passed": False, **_code(coupon), "details": details}


def _code(coupon: Coupon | None) -> Json:
    return {"couponCode": coupon.value} if coupon is not None else {}
