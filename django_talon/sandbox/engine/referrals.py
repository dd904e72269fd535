"""Referral codes: creation, validity, redemption by a friend's closing session."""

from __future__ import annotations

from datetime import datetime

from . import budgets, codes, profiles
from .errors import RefusedError, invalid, problem
from .state import Application, Campaign, Effect, Json, Referral, Session, World


def create(world: World, application: Application, request: Json) -> Referral:
    """Make a new code for an advocate; campaign budgets are ignored, as documented."""
    campaign = application.campaigns.get(request["campaignId"])
    if campaign is None or "referrals" not in campaign.features:
        raise _no_campaign(world, request["campaignId"])
    code = codes.fresh(world, application, application.referrals, campaign.referral_codes)
    if code is None:
        details = f"the pattern {campaign.referral_codes.pattern} has no free code left"
        raise invalid(problem("Invalid campaign", details, pointer="/campaignId"))
    profiles.ensure(world, request["advocateProfileIntegrationId"])
    referral = Referral(
        id=world.ids.next("referral"),
        created=world.clock(),
        campaign_id=campaign.id,
        code=code,
        advocate=request["advocateProfileIntegrationId"],
        friend=request.get("friendProfileIntegrationId") or "",
        usage_limit=request.get("usageLimit") or 0,
        start_date=request.get("startDate"),
        expiry_date=request.get("expiryDate"),
        attributes=request.get("attributes") or {},
    )
    application.referrals[referral.code] = referral
    return referral


def _no_campaign(world: World, number: int) -> RefusedError:
    details = f"campaign {number} does not exist or has no referrals"
    refused = invalid(problem("Invalid campaign", details, pointer="/campaignId"))
    refused.status = world.decisions.unknown_campaign
    return refused


def rejection(
    world: World, application: Application, session: Session, now: datetime
) -> Effect | None:
    """Return the rejectReferral effect for the session's code if it is not valid, else None."""
    referral = application.referrals.get(session.referral_code)
    props = {"value": session.referral_code, "rejectionReason": "ReferralNotFound"}
    if referral is None:
        return Effect("rejectReferral", props)
    reason = invalidity(world, application, referral, session, now)
    if reason is None:
        return None
    owner = referral.campaign_id
    return Effect("rejectReferral", {**props, "rejectionReason": reason}, owner, owner)


def invalidity(
    world: World, application: Application, referral: Referral, session: Session, now: datetime
) -> str | None:
    """Return the first reason against a referral code in a session."""
    campaign = application.campaigns[referral.campaign_id]
    if not campaign.is_running(now):
        return "ReferralPartOfNotRunningCampaign"
    if world.decisions.advocate_must_exist and referral.advocate not in world.profiles:
        return "AdvocateNotFound"
    return (
        _by_time(referral, now)
        or _by_friend(application, referral, session.profile_id)
        or _by_budget(application, campaign, referral, session, now)
    )


def _by_budget(
    application: Application,
    campaign: Campaign,
    referral: Referral,
    session: Session,
    now: datetime,
) -> str | None:
    try:
        drawn = budgets.entries(
            campaign.id, campaign.limits, "redeemReferral", session, (None, referral), now
        )
        for key, limit in drawn:
            if application.spent.get(key, 0) >= limit.limit:
                per_profile = "Profile" in limit.entities
                return "ProfileLimitReached" if per_profile else "CampaignLimitReached"
    except budgets.ProfileRequiredError:
        return "ProfileLimitReached"
    return None


def _by_time(referral: Referral, now: datetime) -> str | None:
    if referral.start_date is not None and referral.start_date > now:
        return "ReferralStartDateInFuture"
    if referral.expiry_date is not None and referral.expiry_date <= now:
        return "ReferralExpired"
    exhausted = referral.usage_limit and referral.usage_counter >= referral.usage_limit
    return "ReferralLimitReached" if exhausted else None


def _by_friend(application: Application, referral: Referral, profile_id: str) -> str | None:
    if profile_id and profile_id == referral.advocate:
        return "ReferralRecipientIdSameAsAdvocate"
    if referral.friend not in ("", profile_id):
        return "ReferralRecipientDoesNotMatch"
    siblings = (r for r in application.referrals.values() if r.campaign_id == referral.campaign_id)
    if profile_id and any(profile_id in sibling.referred for sibling in siblings):
        return "ReferralCustomerAlreadyReferred"
    return None


def redeem(application: Application, session: Session, code: str) -> None:
    """Count the referral a closing session used, and remember the friend."""
    if code:
        referral = application.referrals[code]
        referral.usage_counter += 1
        referral.referred.append(session.profile_id)
    session.redeemed_referral = code


def restore(application: Application, session: Session) -> None:
    """Give back what ``redeem`` counted."""
    if session.redeemed_referral:
        referral = application.referrals[session.redeemed_referral]
        referral.usage_counter -= 1
        referral.referred.remove(session.profile_id)
    session.redeemed_referral = ""
