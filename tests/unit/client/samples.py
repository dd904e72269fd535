"""Answers as they come over the wire."""

from __future__ import annotations

import json

from tests.unit.client.servers import OK

NOW = "2026-08-01T10:00:00Z"
COUPON = {
    "id": 1,
    "created": NOW,
    "campaignId": 2,
    "value": "SAVE10",
    "usageLimit": 1,
    "usageCounter": 0,
}
REFERRAL = {
    "id": 1,
    "created": NOW,
    "campaignId": 2,
    "advocateProfileIntegrationId": "u1",
    "code": "ABCD",
    "usageCounter": 0,
    "usageLimit": 0,
}
PROFILE = {
    "integrationId": "u1",
    "created": NOW,
    "attributes": {"Name": "Ada"},
    "accountId": 1,
    "closedSessions": 0,
    "totalSales": 9.999,
    "lastActivity": NOW,
    "loyaltyMemberships": None,
}
SESSION_2020 = {
    "integrationId": "s1",
    "created": NOW,
    "applicationId": 59,
    "profileId": "u1",
    "coupon": "",
    "referral": "",
    "state": "open",
    "cartItems": [],
    "total": 40,
    "attributes": {},
    "firstSession": True,
    "discounts": {"ten": 4.10},
}
EVENT = {
    "id": 1,
    "created": NOW,
    "applicationId": 59,
    "type": "talon_session_updated",
    "attributes": {},
    "effects": [],
    "ledgerEntries": [],
}
STATE_2020 = {"session": SESSION_2020, "profile": PROFILE, "event": EVENT}
STATE = json.loads(OK)
SESSION = {
    "id": 1,
    "integrationId": "s1",
    "created": NOW,
    "updated": NOW,
    "applicationId": 59,
    "profileId": "u1",
    "state": "closed",
    "cartItems": [],
    "attributes": {},
    "firstSession": True,
    "updateCount": 2,
    "total": 9.999,
    "cartItemTotal": 9.999,
    "additionalCostTotal": 0,
    "cartItemAdditionalCostTotal": 0,
}
EVENT_V3 = {
    "id": 1,
    "created": NOW,
    "applicationId": 59,
    "type": "rated",
    "attributes": {},
    "effects": [],
    "integrationId": "e1",
    "connectedSessionId": "s1",
}
RETURN = {
    "id": 1,
    "created": NOW,
    "applicationId": 59,
    "accountId": 1,
    "returnedCartItems": [{"position": 0, "quantity": 1}],
    "eventId": 5,
    "sessionId": 6,
    "sessionIntegrationId": "s1",
}
ENVELOPE = {"campaignId": 1, "rulesetId": 2, "ruleIndex": 0, "ruleName": ""}
EFFECTS = [
    {**ENVELOPE, "effectType": "setDiscount", "props": {"name": "ten off", "value": 1.98}},
    {
        **ENVELOPE,
        "effectType": "rejectCoupon",
        "props": {"value": "NOPE", "rejectionReason": "CouponNotFound"},
    },
]
#: Whatever was asked, this answers it.
STATE_OF_ALL = {
    **STATE,
    **STATE_2020,
    **COUPON,
    **REFERRAL,
    **EVENT_V3,
    "effects": EFFECTS,
    "customerSession": SESSION,
    "integrationStates": [{"customerProfile": PROFILE}],
    "totalResultSize": 0,
    "data": [],
}
