"""The shapes of 2020: answers of today reduced to the fields there were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from .state import Effect, Json

_COUPON = (
    "id created campaignId value usageLimit discountLimit startDate expiryDate usageCounter"
    " discountCounter discountRemainder attributes referralId recipientIntegrationId importId"
    " reservation batchId"
)
_REFERRAL = (
    "id created campaignId advocateProfileIntegrationId friendProfileIntegrationId startDate"
    " expiryDate code usageCounter usageLimit"
)
_PROFILE = (
    "integrationId created attributes accountId closedSessions totalSales loyaltyMemberships"
    " lastActivity"
)
_SESSION = (
    "integrationId created applicationId profileId couponCodes referralCode state cartItems"
    " additionalCosts identifiers attributes firstSession total cartItemTotal additionalCostTotal"
)
_SESSION_V1 = (
    "integrationId created applicationId profileId coupon referral state cartItems identifiers"
    " total attributes firstSession discounts"
)
_ITEM = "name sku quantity price category weight height width length position attributes adjustment"
_EVENT = "id created applicationId profileId type attributes sessionId effects ledgerEntries meta"
_CAMPAIGN = (
    "id created applicationId userId name description startTime endTime attributes state"
    " activeRulesetId tags features couponSettings referralSettings limits discountCount"
    " couponRedemptionCount referralRedemptionCount couponCreationCount discountEffectCount"
    " lastActivity updated createdBy updatedBy"
)
_EFFECT = "campaignId rulesetId ruleIndex ruleName effectType props"
_LIMIT = "action limit entities"
_ACTIONS = ("redeemCoupon", "redeemReferral", "setDiscount", "createCoupon", "setDiscountEffect")
_FEATURES = ("coupons", "referrals", "loyalty")

_LISTED = {
    "setDiscount": ("name", "value"),
    "setDiscountPerItem": ("name", "value", "position"),
    "rejectCoupon": ("value", "rejectionReason"),
    "rejectReferral": ("value", "rejectionReason"),
    "rollbackDiscount": ("name", "value"),
    "addFreeItem": ("sku", "name"),
    "addLoyaltyPoints": ("name", "programId", "subLedgerId", "value", "recipientIntegrationId"),
    "deductLoyaltyPoints": ("ruleTitle", "programId", "subLedgerId", "value"),
}
_YOUNGER = {
    "setDiscountPerAdditionalCost",
    "setDiscountPerAdditionalCostPerItem",
    "rollbackReferral",
    "customEffect",
    "awardGiveaway",
    "willAwardGiveaway",
    "reserveCoupon",
    "addToAudience",
    "removeFromAudience",
    "rollbackAddedLoyaltyPoints",
    "rollbackDeductedLoyaltyPoints",
    "increaseAchievementProgress",
    "rollbackIncreasedAchievementProgress",
}
_REASONS = {
    "ProfileRequired": "ProfileLimitReached",
    "CouponReservationRequired": "CouponRecipientDoesNotMatch",
    "CouponPartOfNotTriggeredCampaign": "CouponRejectedByCondition",
    "ReferralPartOfNotTriggeredCampaign": "ReferralRejectedByCondition",
    "AdvocateNotFound": "ReferralNotFound",
    "ReferralCustomerAlreadyReferred": "ReferralLimitReached",
}


def _only(names: str, shown: Json) -> Json:
    return {name: shown[name] for name in names.split() if name in shown}


def coupon(shown: Json) -> Json:
    """Return a ``Coupon`` of 2020."""
    return _only(_COUPON, shown)


def referral(shown: Json) -> Json:
    """Return a ``Referral`` of 2020."""
    return _only(_REFERRAL, shown)


def profile(shown: Json) -> Json:
    """Return a ``CustomerProfile`` of 2020."""
    return _only(_PROFILE, shown)


def _items(shown: Json) -> list[Json]:
    return [
        {"name": item.get("product", {}).get("name", item["sku"]), **_only(_ITEM, item)}
        for item in shown["cartItems"]
    ]


def session(shown: Json) -> Json:
    """Return a ``CustomerSessionV2`` of 2020."""
    return {**_only(_SESSION, shown), "cartItems": _items(shown)}


def session_v1(shown: Json) -> Json:
    """Return a ``CustomerSession`` of V1."""
    return {**_only(_SESSION_V1, shown), "cartItems": _items(shown)}


def event(shown: Json) -> Json:
    """Return an ``Event`` of 2020."""
    return _only(_EVENT, shown)


def campaign(shown: Json) -> Json:
    """Return a ``Campaign`` of 2020."""
    limits = [_only(_LIMIT, limit) for limit in shown["limits"] if limit["action"] in _ACTIONS]
    features = [feature for feature in shown["features"] if feature in _FEATURES]
    return {**_only(_CAMPAIGN, shown), "limits": limits, "features": features}


def loyalty(shown: Json) -> Json:
    """Return a ``Loyalty`` of 2020: what can be spent, and nothing else."""
    programs = {
        number: {
            **_only("title name", program),
            "ledger": _only("currentBalance", program["ledger"]),
            "subLedgers": {
                name: _only("currentBalance", ledger)
                for name, ledger in program["subLedgers"].items()
            },
        }
        for number, program in shown["programs"].items()
    }
    return {"programs": programs}


def effect(shown: Json) -> Json:
    """Return an ``Effect`` envelope of 2020."""
    return _only(_EFFECT, shown)


def effects(found: Iterable[Effect]) -> list[Effect]:
    """Return effects as 2020 had them: one per line of the cart, none of the younger types."""
    merged: dict[Any, Effect] = {}
    for number, entry in enumerate(found):
        if entry.effect_type in _YOUNGER:
            continue
        key, old = _key(entry, number), _old(entry)
        if key in merged:
            value = merged[key].props["value"] + old.props["value"]
            old = replace(old, props={**old.props, "value": value})
        merged[key] = old
    return list(merged.values())


def _key(entry: Effect, number: int) -> Any:
    if entry.effect_type not in {"setDiscountPerItem", "rollbackDiscount"}:
        return number
    owner = (entry.effect_type, entry.campaign_id, entry.rule_index, entry.triggered_by_coupon)
    return (*owner, entry.props["name"])


def _old(entry: Effect) -> Effect:
    names = _LISTED.get(entry.effect_type, tuple(entry.props))
    props = {name: entry.props[name] for name in names if name in entry.props}
    if entry.effect_type == "addLoyaltyPoints":
        props["expiryCondition"] = entry.props.get("expiryDate", "")
    if "rejectionReason" in props:
        props["rejectionReason"] = _REASONS.get(props["rejectionReason"], props["rejectionReason"])
    return replace(entry, props=props)
