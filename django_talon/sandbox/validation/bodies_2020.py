"""The bodies of 2020: the operations of V1, and fewer fields for those that live on."""

from __future__ import annotations

from . import cart, parts
from .attributes import additional_costs, attributes, event_type
from .fields import Check, date_time, number, shape, whole

_session_v2 = shape(
    {},
    {
        "profileId": parts.profile_id,
        "couponCodes": parts.coupon_codes,
        "referralCode": parts.code,
        "state": parts.state,
        "cartItems": cart.items_2020,
        "additionalCosts": additional_costs,
        "identifiers": parts.identifiers,
        "attributes": attributes("CustomerSession"),
    },
)
_content = parts.content(
    "customerSession",
    "customerProfile",
    "coupons",
    "triggeredCampaigns",
    "referral",
    "loyalty",
    "event",
)

#: Today these have no such operations.
V1: dict[str, Check] = {
    "updateCustomerSession": shape(
        {},
        {
            "profileId": parts.profile_id,
            "coupon": parts.code,
            "referral": parts.code,
            "state": parts.state,
            "cartItems": cart.items_2020,
            "identifiers": parts.identifiers,
            "total": number(),
            "attributes": attributes("CustomerSession"),
        },
    ),
    "updateCustomerProfile": parts.new_profile,
    "trackEvent": shape(
        {
            "type": event_type,
            "attributes": attributes("Event"),
            "sessionId": parts.integration_id,
        },
        {"profileId": parts.profile_id},
    ),
}

BODIES: dict[str, Check] = {
    **V1,
    "updateCustomerSessionV2": shape(
        {"customerSession": _session_v2}, {"responseContent": _content}
    ),
    "updateCustomerProfileV2": parts.new_profile,
    "createCouponReservation": parts.reservations,
    "deleteCouponReservation": parts.reservations,
    "createReferral": shape(
        {"campaignId": whole(1), "advocateProfileIntegrationId": parts.integration_id},
        {
            "friendProfileIntegrationId": parts.profile_id,
            "startDate": date_time,
            "expiryDate": date_time,
        },
    ),
}
