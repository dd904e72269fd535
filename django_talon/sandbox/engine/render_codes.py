"""Coupons, referrals and campaigns in the shape in which the API shows them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from . import budgets, coupons
from .state import Application, Campaign, CodeSettings, Coupon, Json, Limit, Referral
from .writing import present, time


def coupon(entity: Coupon) -> Json:
    """Return a ``Coupon``."""
    return {
        "id": entity.id,
        "created": time(entity.created),
        "campaignId": entity.campaign_id,
        "value": entity.value,
        "usageLimit": entity.usage_limit,
        "usageCounter": entity.usage_counter,
        "reservation": entity.reservation,
        "isReservationMandatory": entity.is_reservation_mandatory,
        "implicitlyReserved": entity.implicitly_reserved,
        "reservationCounter": len(entity.reserved_for),
        "attributes": entity.attributes,
        "discountCounter": entity.discount_counter,
        **_money(entity),
        "limits": [_limit(limit) for limit in entity.limits],
        **present(
            startDate=entity.start_date,
            expiryDate=entity.expiry_date,
            recipientIntegrationId=entity.recipient_integration_id,
        ),
    }


def _money(entity: Coupon) -> Json:
    shown: Json = {"reservationLimit": entity.reservation_limit} if entity.reservation_limit else {}
    if entity.discount_limit:
        left = entity.discount_limit - entity.discount_counter
        shown |= {"discountLimit": entity.discount_limit, "discountRemainder": left}
    return shown


def _limit(limit: Limit) -> Json:
    shown: Json = {"action": limit.action, "limit": limit.limit, "entities": list(limit.entities)}
    return {**shown, "period": limit.period} if limit.period else shown


def session_coupon(entity: Coupon, profile_id: str) -> Json:
    """Return an ``IntegrationCoupon``: a coupon as one profile sees it."""
    return {**coupon(entity), "profileRedemptionCount": entity.redeemed_by[profile_id]}


def inventory_coupon(
    application: Application, entity: Coupon, profile_id: str, now: datetime
) -> Json:
    """Return an ``InventoryCoupon``."""
    state = coupons.wallet_state(application, entity, profile_id, now)
    return {**session_coupon(entity, profile_id), "state": state}


def referral(entity: Referral) -> Json:
    """Return a ``Referral``."""
    return {
        "id": entity.id,
        "created": time(entity.created),
        "campaignId": entity.campaign_id,
        "advocateProfileIntegrationId": entity.advocate,
        "code": entity.code,
        "usageCounter": entity.usage_counter,
        "usageLimit": entity.usage_limit,
        "attributes": entity.attributes,
        **present(
            friendProfileIntegrationId=entity.friend,
            startDate=entity.start_date,
            expiryDate=entity.expiry_date,
        ),
    }


def inventory_referral(entity: Referral) -> Json:
    """Return an ``InventoryReferral``."""
    return {**referral(entity), "referredCustomers": entity.referred}


def campaign(entity: Campaign, application: Application, now: datetime) -> Json:
    """Return a ``Campaign``."""
    return {
        "id": entity.id,
        "created": time(application.created),
        "applicationId": application.id,
        "userId": 1,
        "name": entity.name,
        "description": entity.description,
        "state": entity.state,
        "frontendState": _frontend_state(entity, now),
        "activeRulesetId": entity.id,
        "tags": list(entity.tags),
        "features": list(entity.features),
        "attributes": entity.attributes,
        "limits": [_limit(limit) for limit in entity.limits],
        "couponSettings": _codes(entity.coupon_codes),
        "referralSettings": _codes(entity.referral_codes),
        "type": "advanced",
        "reevaluateOnReturn": False,
        "storesImported": False,
        **_counters(entity, application),
        **present(startTime=entity.start_time, endTime=entity.end_time),
    }


_COUNTERS = {
    "couponRedemptionCount": "redeemCoupon",
    "referralRedemptionCount": "redeemReferral",
    "discountCount": "setDiscount",
    "discountEffectCount": "setDiscountEffect",
    "couponCreationCount": "createCoupon",
    "referralCreationCount": "createReferral",
    "customEffectCount": "customEffect",
    "addFreeItemEffectCount": "addFreeItemEffect",
    "awardedGiveawaysCount": "awardGiveaway",
    "callApiEffectCount": "callApi",
}


def _counters(entity: Campaign, application: Application) -> Json:
    spent = application.spent
    return {n: spent.get(budgets.tally(entity.id, a), Decimal(0)) for n, a in _COUNTERS.items()}


def _codes(settings: CodeSettings) -> Json:
    return {"validCharacters": list(settings.characters), "couponPattern": settings.pattern}


def _frontend_state(entity: Campaign, now: datetime) -> str:
    if entity.state != "enabled":
        return entity.state
    if entity.start_time is not None and entity.start_time > now:
        return "scheduled"
    ended = entity.end_time is not None and entity.end_time <= now
    return "expired" if ended else "running"
