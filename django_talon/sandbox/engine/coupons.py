"""Coupon codes: validity in its documented order, reservations, redemption, inventory."""

from __future__ import annotations

from datetime import datetime

from . import profiles
from .errors import invalid, not_found, problem
from .state import Application, Campaign, Coupon, Effect, Session, World


def rejection(application: Application, code: str, profile_id: str, now: datetime) -> Effect | None:
    """Return the rejectCoupon effect for a code that is not valid, else None."""
    coupon = application.coupons.get(code)
    if coupon is None:
        return _reject(code, "CouponNotFound")
    reason = invalidity(application, coupon, profile_id, now)
    return _reject(code, reason, coupon) if reason else None


def invalidity(
    application: Application, coupon: Coupon, profile_id: str, now: datetime
) -> str | None:
    """Return the first reason against a coupon (talon-semantics 6.1, steps 2 to 7)."""
    campaign = application.campaigns[coupon.campaign_id]
    if not campaign.is_running(now):
        return "CouponPartOfNotRunningCampaign"
    return (
        _by_time(coupon, now)
        or _by_usage(coupon)
        or _by_customer(coupon, profile_id)
        or _by_budget(application, campaign, profile_id)
    )


def _by_time(coupon: Coupon, now: datetime) -> str | None:
    if coupon.start_date is not None and coupon.start_date > now:
        return "CouponStartDateInFuture"
    if coupon.expiry_date is not None and coupon.expiry_date <= now:
        return "CouponExpired"
    return None


def _by_usage(coupon: Coupon) -> str | None:
    exhausted = coupon.usage_limit and coupon.usage_counter >= coupon.usage_limit
    return "CouponLimitReached" if exhausted else None


def _by_customer(coupon: Coupon, profile_id: str) -> str | None:
    if coupon.recipient_integration_id not in ("", profile_id):
        return "CouponRecipientDoesNotMatch"
    if not coupon.is_reservation_mandatory:
        return None
    if not profile_id:
        return "ProfileRequired"
    return None if profile_id in coupon.reserved_for else "CouponReservationRequired"


def _by_budget(application: Application, campaign: Campaign, profile_id: str) -> str | None:
    own = [c for c in application.coupons.values() if c.campaign_id == campaign.id]
    for limit in campaign.limits:
        if limit.action != "redeemCoupon":
            continue
        if not limit.entities and sum(c.usage_counter for c in own) >= limit.limit:
            return "CampaignLimitReached"
        if limit.entities and not profile_id:
            return "ProfileRequired"
        if limit.entities and sum(c.redeemed_by[profile_id] for c in own) >= limit.limit:
            return "ProfileLimitReached"
    return None


def _reject(code: str, reason: str, coupon: Coupon | None = None) -> Effect:
    props = {"value": code, "rejectionReason": reason}
    if coupon is None:
        return Effect("rejectCoupon", props)
    owner = coupon.campaign_id
    return Effect("rejectCoupon", props, owner, owner, triggered_by_coupon=coupon.id)


def redeem(application: Application, session: Session, codes: list[str]) -> None:
    """Count the coupons a closing session used."""
    for code in codes:
        coupon = application.coupons[code]
        coupon.usage_counter += 1
        coupon.redeemed_by[session.profile_id] += 1
    session.redeemed_coupons = list(codes)


def restore(application: Application, session: Session) -> None:
    """Give back what ``redeem`` counted."""
    for code in session.redeemed_coupons:
        coupon = application.coupons[code]
        coupon.usage_counter -= 1
        coupon.redeemed_by[session.profile_id] -= 1
    session.redeemed_coupons = []


def find(application: Application, code: str) -> Coupon:
    """Return the coupon with this code, or raise the 404."""
    coupon = application.coupons.get(code)
    if coupon is None:
        raise not_found("Coupon", code)
    return coupon


def reserve(world: World, application: Application, code: str, profile_ids: list[str]) -> Coupon:
    """Reserve a coupon for profiles, creating unknown ones; repeating it changes nothing."""
    coupon = find(application, code)
    _refuse_unreservable(application, coupon, world.clock())
    for profile_id in profile_ids:
        profiles.ensure(world, profile_id)
        coupon.reserved_for.setdefault(profile_id, world.clock())
    return coupon


def _refuse_unreservable(application: Application, coupon: Coupon, now: datetime) -> None:
    reason = "CouponRecipientDoesNotMatch" if coupon.recipient_integration_id else None
    campaign = application.campaigns[coupon.campaign_id]
    if not campaign.is_running(now):
        reason = "CouponPartOfNotRunningCampaign"
    reason = reason or _by_time(coupon, now) or _by_usage(coupon)
    if reason:
        details = f'coupon "{coupon.value}" cannot be reserved: {reason}'
        raise invalid(problem("Invalid coupon", details, parameter="couponValue"))


def release(application: Application, code: str, profile_ids: list[str]) -> None:
    """Remove the reservations of these profiles; who holds none is no error."""
    coupon = find(application, code)
    for profile_id in profile_ids:
        coupon.reserved_for.pop(profile_id, None)


def wallet(application: Application, profile_id: str) -> list[Coupon]:
    """Return the coupons reserved for a profile, redeemed ones too."""
    return [
        coupon
        for coupon in application.coupons.values()
        if coupon.implicitly_reserved or profile_id in coupon.reserved_for
    ]


def wallet_state(application: Application, coupon: Coupon, profile_id: str, now: datetime) -> str:
    """Return active, used, expired, pending or disabled (talon-semantics 2.5)."""
    campaign = application.campaigns[coupon.campaign_id]
    ended = campaign.end_time is not None and campaign.end_time <= now
    if campaign.state != "enabled" or ended:
        return "disabled"
    reason = _by_time(coupon, now)
    if reason == "CouponStartDateInFuture":
        return "pending"
    if coupon.redeemed_by[profile_id] or _by_usage(coupon):
        return "used"
    return "expired" if reason else "active"
