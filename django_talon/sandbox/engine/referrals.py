"""Referral codes: creation, validity, redemption by a friend's closing session."""

from __future__ import annotations

from datetime import datetime

from . import profiles
from .errors import invalid, problem
from .state import Application, Effect, Json, Referral, Session, World


def create(world: World, application: Application, request: Json) -> Referral:
    """Make a new code for an advocate; campaign budgets are ignored, as documented."""
    campaign = application.campaigns.get(request["campaignId"])
    if campaign is None or "referrals" not in campaign.features:
        details = f"campaign {request['campaignId']} does not exist or has no referrals"
        raise invalid(problem("Invalid campaign", details, pointer="/campaignId"))
    profiles.ensure(world, request["advocateProfileIntegrationId"])
    referral = Referral(
        id=world.ids.next("referral"),
        created=world.clock(),
        campaign_id=campaign.id,
        code=_new_code(world, application, campaign.referral_pattern, campaign.referral_characters),
        advocate=request["advocateProfileIntegrationId"],
        friend=request.get("friendProfileIntegrationId") or "",
        usage_limit=request.get("usageLimit") or 0,
        start_date=request.get("startDate"),
        expiry_date=request.get("expiryDate"),
        attributes=request.get("attributes") or {},
    )
    application.referrals[referral.code] = referral
    return referral


def _new_code(world: World, application: Application, pattern: str, characters: str) -> str:
    code = world.ids.code(pattern, characters)
    while code in application.referrals:
        code = world.ids.code(pattern, characters)
    return code


def rejection(application: Application, code: str, profile_id: str, now: datetime) -> Effect | None:
    """Return the rejectReferral effect for a code that is not valid, else None."""
    referral = application.referrals.get(code)
    props = {"value": code, "rejectionReason": "ReferralNotFound"}
    if referral is None:
        return Effect("rejectReferral", props)
    reason = invalidity(application, referral, profile_id, now)
    if reason is None:
        return None
    owner = referral.campaign_id
    return Effect("rejectReferral", {**props, "rejectionReason": reason}, owner, owner)


def invalidity(
    application: Application, referral: Referral, profile_id: str, now: datetime
) -> str | None:
    """Return the first reason against a referral code in a session of this profile."""
    if not application.campaigns[referral.campaign_id].is_running(now):
        return "ReferralPartOfNotRunningCampaign"
    return _by_time(referral, now) or _by_friend(application, referral, profile_id)


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
