"""Coupon codes: validity in its documented order, reservations, redemption, inventory."""

from __future__ import annotations

from datetime import datetime

from . import budgets, profiles
from .errors import invalid, not_found, problem
from .state import Application, Campaign, Coupon, Effect, Session, World


def rejection(
    world: World, application: Application, code: str, session: Session, now: datetime
) -> Effect | None:
    """Return the rejectCoupon effect for a code that is not valid, else None."""
    coupon = application.coupons.get(code)
    if coupon is None:
        return _reject(code, "CouponNotFound")
    reason = invalidity(world, application, coupon, session, now)
    return _reject(code, reason, coupon) if reason else None


def invalidity(
    world: World, application: Application, coupon: Coupon, session: Session, now: datetime
) -> str | None:
    """Return the first reason against a coupon (talon-semantics 6.1, steps 2 to 7)."""
    campaign = application.campaigns[coupon.campaign_id]
    if not campaign.is_running(now):
        return "CouponPartOfNotRunningCampaign"
    return (
        _by_time(coupon, now)
        or _by_usage(coupon)
        or _by_customer(world, coupon, session.profile_id)
        or _by_budget(application, campaign, coupon, session, now)
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


def is_mandatory(world: World, coupon: Coupon) -> bool:
    """Say whether only holders of a reservation may redeem the coupon.

    In 2020 that is what ``reservation`` false meant; today it means a personal code.
    """
    if world.decisions.is_2020 and not coupon.reservation:
        return True
    return coupon.is_reservation_mandatory


def _by_customer(world: World, coupon: Coupon, profile_id: str) -> str | None:
    if coupon.recipient_integration_id not in ("", profile_id):
        return "CouponRecipientDoesNotMatch"
    if not is_mandatory(world, coupon):
        return None
    if not profile_id:
        return "ProfileRequired"
    return None if profile_id in coupon.reserved_for else "CouponReservationRequired"


def _by_budget(
    application: Application, campaign: Campaign, coupon: Coupon, session: Session, now: datetime
) -> str | None:
    for owner, limits in ((campaign.id, campaign.limits), (coupon.value, coupon.limits)):
        try:
            drawn = budgets.entries(owner, limits, "redeemCoupon", session, (coupon, None), now)
            for key, limit in drawn:
                if application.spent.get(key, 0) >= limit.limit:
                    per_profile = "Profile" in limit.entities
                    return "ProfileLimitReached" if per_profile else "CampaignLimitReached"
        except budgets.ProfileRequiredError:
            return "ProfileRequired"
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
    coupon = application.coupons.get(application.settings.code(code))
    if coupon is None:
        raise not_found("Coupon", code)
    return coupon


def reserve(world: World, application: Application, code: str, profile_ids: list[str]) -> Coupon:
    """Reserve a coupon for profiles, creating unknown ones; repeating it changes nothing."""
    coupon = find(application, code)
    _refuse_unreservable(application, coupon, world.clock())
    _refuse_strangers(world, coupon, profile_ids)
    for profile_id in profile_ids:
        profiles.ensure(world, profile_id)
        hold(coupon, profile_id, world.clock())
    return coupon


def hold(coupon: Coupon, profile_id: str, now: datetime) -> None:
    """Note a reservation; one that is there stays as it is."""
    coupon.reserved_for.setdefault(profile_id, now)


def is_full(coupon: Coupon) -> bool:
    """Say whether the reservations that rules may make are used up."""
    return bool(coupon.reservation_limit) and len(coupon.reserved_for) >= coupon.reservation_limit


def _refuse_strangers(world: World, coupon: Coupon, profile_ids: list[str]) -> None:
    if not world.decisions.reservation_creates_profile:
        unknown = [name for name in profile_ids if name not in world.profiles]
        if unknown:
            details = f'there is no customer profile "{unknown[0]}"'
            raise invalid(problem("Invalid profile", details, pointer="/integrationIDs"))
    holders = {*coupon.reserved_for, *profile_ids}
    if not coupon.reservation and not world.decisions.is_2020 and len(holders) > 1:
        details = f'coupon "{coupon.value}" can be reserved for one customer only'
        raise invalid(problem("Invalid coupon", details, parameter="couponValue"))


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
