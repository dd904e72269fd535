"""The bodies of the emulated operations, and their translation to the engine's names."""

from __future__ import annotations

from typing import Any

from ..engine.errors import invalid
from ..wire import Json
from .attributes import additional_costs, attributes, event_type
from .fields import (
    Check,
    Form,
    choice,
    date_time,
    many,
    mapping,
    number,
    shape,
    text,
    whole,
)

MOST_ITEMS, MOST_UNITS, MOST_PROFILES, LONGEST_ID, LONGEST_CODE = 1000, 10_000, 1000, 1000, 100

_state = choice("open", "closed", "cancelled")
_profile_id = text(0, LONGEST_ID)
_identifiers = many(text(1, 1000), 5)
_campaign_ids = many(whole(1), 1000)

_read_only: dict[str, Check] = {
    "position": number(0),
    "returnedQuantity": whole(0),
    "remainingQuantity": whole(0),
    "catalogItemID": whole(0),
    "selectedPriceType": text(),
    "adjustmentReferenceId": text(),
    "adjustmentEffectiveFrom": date_time,
    "adjustmentEffectiveUntil": date_time,
    "prices": mapping,
}
_adjustment = shape(
    {"payFromLoyaltyProgram": whole(0), "pointPayment": number(1)}, {"remainingPrice": number(0)}
)
_allocation = shape({"experimentID": whole(0), "variantID": whole(0)}, {})
_cart_item = shape(
    {"sku": text(1, 1000), "quantity": whole(1), "price": number(0)},
    {
        "name": text(1, 1000),
        "category": text(),
        "product": shape({"name": text(1, 1000)}, {}),
        "weight": number(),
        "height": number(),
        "width": number(),
        "length": number(),
        "attributes": attributes("CartItem"),
        "additionalCosts": additional_costs,
        "adjustment": _adjustment,
        **_read_only,
    },
)


def _cart_items(value: Any, pointer: str, form: Form) -> Any:
    items = many(_cart_item, MOST_ITEMS)(value, pointer, form)
    if not form.problems and sum(item["quantity"] for item in items) > MOST_UNITS:
        form.reject("Out of range", f"must have at most {MOST_UNITS} units", pointer)
    if form.problems:
        return items
    return [{k: v for k, v in item.items() if k not in _read_only} for item in items]


_session_v2 = shape(
    {},
    {
        "profileId": _profile_id,
        "couponCodes": many(text(1, LONGEST_CODE), 1000),
        "referralCode": text(0, LONGEST_CODE),
        "state": _state,
        "cartItems": _cart_items,
        "additionalCosts": additional_costs,
        "identifiers": _identifiers,
        "attributes": attributes("CustomerSession"),
        "storeIntegrationId": text(1, 1000),
        "evaluableCampaignIds": _campaign_ids,
        "loyaltyCards": many(text(1, 108), 1),
        "experimentVariantAllocations": many(_allocation, 1000),
    },
)

_CONTENT = (
    "customerSession",
    "customerProfile",
    "coupons",
    "triggeredCampaigns",
    "referral",
    "loyalty",
    "event",
    "awardedGiveaways",
    "ruleFailureReasons",
    "previousReturns",
    "campaignEligibility",
    "achievements",
    "unlockedRewards",
)
_content = many(choice(*_CONTENT), len(_CONTENT))

_returned_item = shape({}, {"position": whole(0), "quantity": whole(1), "sku": text(1, 1000)})
_one_profile = shape(
    {"integrationId": text(1, LONGEST_ID)}, {"attributes": attributes("CustomerProfile")}
)
_new_profile = shape({}, {"attributes": attributes("CustomerProfile")})

BODIES: dict[str, Check] = {
    "updateCustomerSessionV2": shape(
        {"customerSession": _session_v2}, {"responseContent": _content}
    ),
    "updateCustomerSession": shape(
        {},
        {
            "profileId": _profile_id,
            "coupon": text(0, LONGEST_CODE),
            "referral": text(0, LONGEST_CODE),
            "state": _state,
            "cartItems": _cart_items,
            "identifiers": _identifiers,
            "total": number(),
            "attributes": attributes("CustomerSession"),
        },
    ),
    "updateCustomerProfileV2": shape(
        {},
        {
            "attributes": attributes("CustomerProfile"),
            "responseContent": _content,
            "evaluableCampaignIds": _campaign_ids,
            "audiencesChanges": shape(
                {"adds": many(whole(1), 1000), "deletes": many(whole(1), 1000)}, {}
            ),
        },
    ),
    "updateCustomerProfile": _new_profile,
    "trackEvent": shape(
        {
            "type": event_type,
            "attributes": attributes("Event"),
            "sessionId": text(1, LONGEST_ID),
        },
        {"profileId": _profile_id},
    ),
    "trackEventV2": shape(
        {"type": event_type, "profileId": text(1, LONGEST_ID)},
        {
            "attributes": attributes("Event"),
            "storeIntegrationId": text(1, 1000),
            "evaluableCampaignIds": _campaign_ids,
            "loyaltyCards": many(text(1, 108), 1),
            "responseContent": _content,
        },
    ),
    "trackEventV3": shape(
        {
            "type": event_type,
            "profileId": text(1, LONGEST_ID),
            "integrationId": text(1, LONGEST_ID),
        },
        {
            "attributes": attributes("Event"),
            "connectedSessionId": text(1, LONGEST_ID),
            "storeIntegrationId": text(1, 1000),
            "evaluableCampaignIds": _campaign_ids,
            "loyaltyCards": many(text(1, 108), 1),
            "responseContent": _content,
        },
    ),
    "returnCartItems": shape(
        {"return": shape({"returnedCartItems": many(_returned_item, MOST_ITEMS)}, {})},
        {"responseContent": _content},
    ),
    "updateCustomerProfilesV2": shape({"customerProfiles": many(_one_profile, MOST_PROFILES)}, {}),
    "createCouponReservation": shape({"integrationIDs": many(text(1, LONGEST_ID), 1000)}, {}),
    "deleteCouponReservation": shape({"integrationIDs": many(text(1, LONGEST_ID), 1000)}, {}),
    "createReferral": shape(
        {"campaignId": whole(1), "advocateProfileIntegrationId": text(1, LONGEST_ID)},
        {
            "friendProfileIntegrationId": _profile_id,
            "startDate": date_time,
            "expiryDate": date_time,
            "usageLimit": whole(0, 999_999),
            "attributes": attributes("Referral"),
        },
    ),
}


def checked(operation: str, body: Any, form: Form) -> Json:
    """Return the checked body of an operation, or raise the 400 with all of its problems."""
    check = BODIES.get(operation)
    if check is None:
        return {}
    value: Json = check(body, "", form)
    if form.problems:
        raise invalid(*form.problems, reason="; ".join(form.hints))
    return value


_NAMES = {
    "profileId": "profile_id",
    "couponCodes": "coupon_codes",
    "referralCode": "referral_code",
    "state": "state",
    "cartItems": "cart_items",
    "additionalCosts": "additional_costs",
    "identifiers": "identifiers",
    "attributes": "attributes",
}


def changes_v2(session: Json) -> Json:
    """Return what a V2 body changes, under the engine's names."""
    changes = {ours: session[name] for name, ours in _NAMES.items() if name in session}
    extras = {name: value for name, value in session.items() if name not in _NAMES}
    if extras:
        changes["extras"] = extras
    changes["client_total"] = None
    return changes


def changes_v1(session: Json) -> Json:
    """Return what a V1 body changes: one coupon, one referral, the client's own total."""
    changes = {ours: session[name] for name, ours in _NAMES.items() if name in session}
    if "coupon" in session:
        changes["coupon_codes"] = [session["coupon"]] if session["coupon"] else []
    if "referral" in session:
        changes["referral_code"] = session["referral"]
    if "total" in session:
        changes["client_total"] = session["total"]
    return changes
