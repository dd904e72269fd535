"""The bodies of the emulated operations, and their translation to the engine's names."""

from __future__ import annotations

from typing import Any

from ..engine.errors import invalid
from ..wire import Json
from . import bodies_2020, cart, parts
from .attributes import additional_costs, attributes, event_type
from .fields import BODY, Check, Form, date_time, many, shape, text, whole

MOST_PROFILES, LONGEST_ID = 1000, parts.LONGEST_ID

_campaign_ids = many(whole(1), 1000)
_allocation = shape({"experimentID": whole(0), "variantID": whole(0)}, {})
_store = text(1, 1000)
_cards = many(text(1, 108), 1)

_session_v2 = shape(
    {},
    {
        "profileId": parts.profile_id,
        "couponCodes": parts.coupon_codes,
        "referralCode": parts.code,
        "state": parts.state,
        "cartItems": cart.items,
        "additionalCosts": additional_costs,
        "identifiers": parts.identifiers,
        "attributes": attributes("CustomerSession"),
        "storeIntegrationId": _store,
        "evaluableCampaignIds": _campaign_ids,
        "loyaltyCards": _cards,
        "experimentVariantAllocations": many(_allocation, 1000),
    },
)

_OF_ALL = ("customerProfile", "triggeredCampaigns", "loyalty")
_OF_SESSIONS = ("customerSession", "coupons", "referral", "event", "previousReturns")
_OF_RULES = ("awardedGiveaways", "ruleFailureReasons")
_OF_DRY_RUNS = ("campaignEligibility", "achievements")
_content_of_session = parts.content(
    *_OF_ALL, *_OF_SESSIONS, *_OF_RULES, *_OF_DRY_RUNS, "unlockedRewards"
)
_content_of_return = parts.content(*_OF_ALL, *_OF_SESSIONS)
_content = parts.content(*_OF_ALL, "event", *_OF_RULES, *_OF_DRY_RUNS)
_content_of_v3 = parts.content(*_OF_ALL, "advancedEvent", *_OF_RULES)

_returned_item = shape({}, {"position": whole(0), "quantity": whole(1), "sku": text(1, 1000)})
_one_profile = shape(
    {"integrationId": parts.integration_id}, {"attributes": attributes("CustomerProfile")}
)
_event: dict[str, Check] = {
    "attributes": attributes("Event"),
    "storeIntegrationId": _store,
    "evaluableCampaignIds": _campaign_ids,
    "loyaltyCards": _cards,
}

BODIES: dict[str, Check] = {
    **bodies_2020.V1,
    "updateCustomerSessionV2": shape(
        {"customerSession": _session_v2}, {"responseContent": _content_of_session}
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
    "trackEventV2": shape(
        {"type": event_type, "profileId": parts.integration_id},
        {**_event, "responseContent": _content},
    ),
    "trackEventV3": shape(
        {
            "type": event_type,
            "profileId": parts.integration_id,
            "integrationId": parts.integration_id,
        },
        {
            **_event,
            "connectedSessionId": parts.integration_id,
            "responseContent": _content_of_v3,
        },
    ),
    "returnCartItems": shape(
        {"return": shape({"returnedCartItems": many(_returned_item, cart.MOST_ITEMS)}, {})},
        {"responseContent": _content_of_return},
    ),
    "updateCustomerProfilesV2": shape({"customerProfiles": many(_one_profile, MOST_PROFILES)}, {}),
    "createCouponReservation": parts.reservations,
    "deleteCouponReservation": parts.reservations,
    "createReferral": shape(
        {"campaignId": whole(1), "advocateProfileIntegrationId": parts.integration_id},
        {
            "friendProfileIntegrationId": parts.profile_id,
            "startDate": date_time,
            "expiryDate": date_time,
            "usageLimit": whole(0, 999_999),
            "attributes": attributes("Referral"),
        },
    ),
}


def checked(operation: str, body: Any, form: Form, *, is_2020: bool = False) -> Json:
    """Return the checked body of an operation, or raise the 400 with all of its problems."""
    check = (bodies_2020.BODIES if is_2020 else BODIES).get(operation)
    if check is None:
        return {}
    value: Json = check(body, BODY, form)
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
