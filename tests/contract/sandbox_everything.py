"""A seed with a campaign for every block the engine runs, and calls that make it answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.service import Sandbox

COUPON = {"type": "checkCoupon", "redeem": True}
REFERRAL = {"type": "checkReferral", "redeem": True}
EVENT = {"type": "checkEvent", "eventType": "newsletter"}
AUDIENCE = {"id": 1, "name": "Regulars"}


def discount(value: Any, **target: Any) -> dict[str, Any]:
    """Return a discount block."""
    wanted = target or {"type": "cart"}
    return {
        "type": "awardDiscount",
        "name": "off",
        "value": value,
        "target": wanted,
        "partial": False,
    }


def campaign(number: int, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a campaign of one rule with a coupon CODE-<number> where it checks one."""
    described = {
        "id": number,
        "name": f"campaign {number}",
        "features": ["coupons", "referrals"],
        "ruleset": {"promotionRules": [{"title": f"rule {number}", "blocks": list(blocks)}]},
        **more,
    }
    if COUPON in blocks:
        described.setdefault("coupons", [{"value": f"CODE-{number}"}])
    return described


def attribute(target: str, name: str, value: Any) -> dict[str, Any]:
    """Return a block that sets an attribute."""
    return {
        "type": "updateAttributeValue",
        "operator": "setTo",
        "attribute": {"id": 1, "entity": target, "name": name, "title": name, "type": "string"},
        "value": value,
        "target": {"type": target},
    }


SHIPPING = {"type": "additionalCost", "additionalCost": {"id": 1, "name": "shipping"}}
NOTE = {"type": "showNotification", "notificationType": "Info", "title": "Hi", "body": "Hi"}
CUSTOM = {
    "type": "triggerCustomEffect",
    "customEffect": {"id": 7, "name": "badge", "title": "Badge"},
    "params": {"total": "{{$Session.Total}}"},
}

SEED: dict[str, Any] = {
    "attributes": {
        "CustomerProfile": {"tier": "string"},
        "CustomerSession": {"channel": "string"},
        "CartItem": {"brand": "string"},
        "Event": {"source": "string"},
        "Referral": {"origin": "string"},
    },
    "eventTypes": ["newsletter"],
    "additionalCosts": ["shipping", "wrapping"],
    "audiences": [AUDIENCE],
    "giveaways": [{"id": 3, "name": "Vouchers", "codes": ["V-1", "V-2", "V-3"]}],
    "collections": {"brands": ["acme", "umbrella"]},
    "evaluationGroups": [{"mode": "listOrder", "elements": [17, 18]}],
    "campaigns": [
        campaign(1, COUPON, discount("{{$Session.CartTotal * 0.1}}")),
        campaign(2, COUPON, discount("{{$Item.Price * 0.1}}", type="allItems")),
        campaign(3, COUPON, discount(3, type="allItems", prorated=True)),
        campaign(4, COUPON, discount(1, **SHIPPING, target={"type": "cart"})),
        campaign(5, COUPON, discount(1, **SHIPPING, target={"type": "allItems"})),
        campaign(6, COUPON, {"type": "awardItem", "sku": "gift", "name": "Gift", "quantity": "1"}),
        campaign(
            7,
            REFERRAL,
            discount(2),
            referrals=[{"code": "FRIEND", "advocateProfileIntegrationId": "ada"}],
        ),
        campaign(
            8,
            COUPON,
            {
                "type": "createCoupon",
                "campaignId": 1,
                "recipientId": "{{$Profile.IntegrationId}}",
                "storeInSession": False,
                "discountLimit": 10,
                "expiryDate": "2099-01-01T00:00:00Z",
            },
            {"type": "createReferral", "campaignId": 7, "friendId": "", "storeInSession": False},
        ),
        campaign(9, COUPON, {"type": "reserveCoupon", "couponValue": "CODE-1"}),
        campaign(
            10,
            COUPON,
            attribute("session", "channel", "web"),
            attribute("profile", "tier", "gold"),
            attribute("allItems", "brand", "acme"),
        ),
        campaign(
            11,
            COUPON,
            {"type": "triggerWebhook", "webhook": {"id": 5, "title": "Hook"}},
            CUSTOM,
            {**CUSTOM, "target": {"type": "allItems"}},
        ),
        campaign(
            12,
            COUPON,
            {
                "type": "awardGiveaway",
                "giveawayPool": {"id": 3, "name": "Vouchers"},
                "profile": "Current",
            },
        ),
        campaign(
            13,
            COUPON,
            {
                "type": "updateAudienceMembership",
                "operator": "add",
                "profile": "Current",
                "audience": AUDIENCE,
            },
        ),
        campaign(
            14,
            {
                "type": "checkAudience",
                "operator": "justJoined",
                "profile": "Current",
                "audience": AUDIENCE,
            },
            NOTE,
        ),
        campaign(15, EVENT, NOTE),
        campaign(
            16,
            COUPON,
            discount("{{$Session.CartTotal}}"),
            coupons=[
                {
                    "value": "CARD-16",
                    "discountLimit": 5,
                    "usageLimit": 3,
                    "expiryDate": "2099-01-01T00:00:00Z",
                    "limits": [{"action": "redeemCoupon", "limit": 2, "entities": ["Profile"]}],
                }
            ],
        ),
        campaign(17, COUPON, discount(1)),
        campaign(18, COUPON, discount(2)),
        campaign(
            19,
            COUPON,
            discount("{{$Session.CartTotal}}"),
            limits=[
                {"action": "setDiscount", "limit": 4, "entities": ["Profile"], "period": "daily"},
                {"action": "redeemCoupon", "limit": 9},
            ],
        ),
        campaign(
            20,
            COUPON,
            {**discount("{{$Session.CartTotal}}"), "partial": True},
            limits=[{"action": "setDiscount", "limit": 4}],
        ),
        campaign(
            21,
            COUPON,
            {
                **CUSTOM,
                "type": "checkAttribute",
                "attribute": "$Session.Total",
                "operator": "greaterThan",
                "value": 10**9,
                "onFailure": [NOTE],
            }
            | {},
            coupons=[{"value": "CODE-21"}],
        ),
        campaign(
            22,
            {
                "type": "checkAttribute",
                "attribute": "$Session.Total",
                "operator": "greaterThan",
                "value": 10**9,
                "onFailure": [NOTE],
            },
            discount(1),
        ),
        campaign(23, NOTE, state="disabled", coupons=[{"value": "OFF-23"}]),
        campaign(
            24,
            COUPON,
            NOTE,
            coupons=[
                {"value": "HARD-24", "isReservationMandatory": True},
                {"value": "VIP-24", "recipientIntegrationId": "vip"},
                {"value": "OLD-24", "expiryDate": "2020-01-01T00:00:00Z"},
            ],
        ),
    ],
}
SEED["campaigns"][20]["ruleset"]["promotionRules"][0]["blocks"][1] = {
    "type": "checkAttribute",
    "attribute": "$Session.Total",
    "operator": "greaterThan",
    "value": 10**9,
}
PROGRAM = {"id": 3, "name": "club", "title": "The Club"}
STEPS = {"id": 8, "name": "TenOrders", "title": "Ten orders", "target": 10}
POINTS = {"type": "awardLoyaltyPoints", "name": "thanks", "program": PROGRAM, "value": 5}
SEED["loyaltyPrograms"] = [{**PROGRAM, "subledgers": ["miles"], "activePointsDeduction": True}]
SEED["campaigns"] += [
    campaign(30, POINTS, {**POINTS, "subledger": "miles", "target": {"type": "allItems"}}),
    campaign(31, {"type": "deductLoyaltyPoints", "name": "pay", "program": PROGRAM, "value": 1}),
    campaign(
        32,
        {
            "type": "updateAchievementProgress",
            "operator": "increaseBy",
            "value": "1",
            "achievement": STEPS,
        },
        achievements=[STEPS],
    ),
]
CODES = [f"CODE-{number}" for number in range(1, 22) if number not in {7, 14, 15, 16, 17}]
CODES += ["CODE-17", "CARD-16", "OFF-23", "HARD-24", "VIP-24", "OLD-24", "NOPE"]
CONTENT = [
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
    "achievements",
    "campaignEligibility",
]
PROFILE_CONTENT = [
    name
    for name in CONTENT
    if name not in {"customerSession", "coupons", "referral", "previousReturns"}
]
_NOT_OF_V3 = {"event", "achievements", "campaignEligibility"}
CONTENT_2020 = CONTENT[:7]


def items() -> list[dict[str, Any]]:
    """Return a cart of three lines, with costs of their own."""
    costs = {"shipping": {"price": 2}}
    rows = [("mug-1", "Mug", 2, 10.5), ("bag", "Bag", 1, 20), ("pen", "Pen", 3, 1.25)]
    return [
        {"sku": sku, "name": name, "quantity": quantity, "price": price, "additionalCosts": costs}
        for sku, name, quantity, price in rows
    ]


class Caller:
    """One world of a sandbox with this seed, called without a socket."""

    def __init__(self, dialect: str, **more: Any) -> None:
        content = {**SEED, "decisions": {"dialect": dialect, **more}}
        self.sandbox = Sandbox(parse(wire.decode(json.dumps(content).encode())))
        self.said: list[tuple[str, int, Any]] = []

    def send(self, operation: str, method: str, path: str, body: Any = None) -> Any:
        """Send one call, keep its answer with its operation, and return its payload."""
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": "ApiKey-v1 sbx-everything"}
        answer: Any = self.sandbox.handle(
            wire.Request(method, quote(path, safe="/?=&"), headers, raw)
        )
        payload = json.loads(answer.body) if answer.body else None
        self.said.append((operation, answer.status, payload))
        return payload

    def session(self, name: str, *, query: str = "", **content: Any) -> Any:
        """Update a session and ask for every section."""
        wanted = CONTENT if self.sandbox.rooms.seed.decisions.dialect != "2020" else CONTENT_2020
        body = {"customerSession": content, "responseContent": wanted}
        return self.send(
            "updateCustomerSessionV2", "PUT", f"/v2/customer_sessions/{name}{query}", body
        )

    def session_v1(self, name: str, *, query: str = "", **content: Any) -> Any:
        """Update a V1 session."""
        return self.send(
            "updateCustomerSession", "PUT", f"/v1/customer_sessions/{name}{query}", content
        )


def seed_calls(caller: Caller) -> None:
    """Make the calls that both dialects have."""
    cart = {"cartItems": items(), "additionalCosts": {"shipping": {"price": 5}}}
    if caller.sandbox.rooms.seed.decisions.dialect == "2020":
        for line in cart["cartItems"]:
            del line["additionalCosts"]
    caller.session("open", profileId="bob", couponCodes=CODES, referralCode="FRIEND", **cart)
    caller.session("open", query="?dry=true", profileId="bob", couponCodes=CODES, **cart)
    for number in (*range(1, 7), *range(8, 14), 19, 20):
        name = f"one-{number}"
        caller.session(name, profileId="bob", couponCodes=[f"CODE-{number}"], **cart)
        caller.session(name, state="closed")
        caller.session(name, state="closed")
        caller.session(name, state="cancelled")
    caller.session("anonymous", profileId="", referralCode="NOPE", couponCodes=["CARD-16"], **cart)
    caller.session("friend", profileId="eve", referralCode="FRIEND", state="closed", **cart)
    caller.session("friend", state="cancelled")
    caller.session("bad", state="lost", cartItems=[{"sku": 1}])
    path = "/v2/customer_profiles"
    caller.send("updateCustomerProfileV2", "PUT", f"{path}/bob", {"attributes": {"tier": "gold"}})
    caller.send("updateCustomerProfileV2", "PUT", f"{path}/bob", {"attributes": {"x": "gold"}})
    path = "/v1/coupon_reservations"
    holders = {"integrationIDs": ["bob", "carl"]}
    caller.send("createCouponReservation", "POST", f"{path}/CODE-1", holders)
    caller.send("createCouponReservation", "POST", f"{path}/VIP-24", holders)
    caller.send("createCouponReservation", "POST", f"{path}/NOPE", holders)
    caller.send("createCouponReservation", "POST", f"{path}/CODE-1", {})
    caller.send("getReservedCustomers", "GET", f"{path}/customerprofiles/CODE-1")
    caller.send("getReservedCustomers", "GET", f"{path}/customerprofiles/NOPE")
    caller.send("deleteCouponReservation", "DELETE", f"{path}/CODE-1", {"integrationIDs": ["carl"]})
    caller.send("deleteCouponReservation", "DELETE", f"{path}/NOPE", holders)
    caller.send("deleteCouponReservation", "DELETE", f"{path}/CODE-1", {})
    wish = {
        "campaignId": 7,
        "advocateProfileIntegrationId": "bob",
        "expiryDate": "2099-01-01T00:00:00Z",
    }
    caller.send("createReferral", "POST", "/v1/referrals", wish)
    caller.send("createReferral", "POST", "/v1/referrals", {**wish, "campaignId": 99})
    every = "profile=true&referrals=true&coupons=true&loyalty=true&giveaways=true&achievements=true"
    for name in ("bob", "nobody"):
        path = f"/v1/customer_profiles/{name}/inventory"
        caller.send("getCustomerInventory", "GET", f"{path}?{every}")
    caller.send("deleteCustomerData", "DELETE", "/v1/customer_data/eve")
    caller.send("deleteCustomerData", "DELETE", "/v1/customer_data/nobody")


def calls_of_today(caller: Caller) -> None:
    """Make the calls that only the current dialect has."""
    seed_calls(caller)
    sessions = "/v2/customer_sessions"
    cart = {"cartItems": items(), "additionalCosts": {"shipping": {"price": 5}}}
    for name in ("open", "one-2", "friend", "nothing"):
        caller.send("getCustomerSession", "GET", f"{sessions}/{name}")
    caller.session(
        "back", profileId="bob", couponCodes=["CODE-2", "CODE-5"], state="closed", **cart
    )
    rows = {"return": {"returnedCartItems": [{"position": 0, "quantity": 1}, {"sku": "pen"}]}}
    asked = {**rows, "responseContent": ["customerSession", "previousReturns", "customerProfile"]}
    caller.send("returnCartItems", "POST", f"{sessions}/back/returns?dry=true", asked)
    caller.send("returnCartItems", "POST", f"{sessions}/back/returns", asked)
    caller.send("returnCartItems", "POST", f"{sessions}/back/returns", asked)
    caller.send("returnCartItems", "POST", f"{sessions}/nothing/returns", rows)
    caller.send("getCustomerSession", "GET", f"{sessions}/back")
    caller.session("back", state="cancelled")
    caller.session("again", profileId="bob", couponCodes=["CODE-1"], state="closed", **cart)
    caller.send("reopenCustomerSession", "PUT", f"{sessions}/again/reopen")
    caller.send("reopenCustomerSession", "PUT", f"{sessions}/again/reopen")
    caller.send("reopenCustomerSession", "PUT", f"{sessions}/nothing/reopen")
    profiles = {
        "customerProfiles": [{"integrationId": "x"}, {"integrationId": "y", "attributes": {}}]
    }
    for query in ("", "?silent=no", "?silent=maybe"):
        caller.send("updateCustomerProfilesV2", "PUT", f"/v2/customer_profiles{query}", profiles)
    body: dict[str, Any] = {"audiencesChanges": {"adds": [1], "deletes": []}}
    body["responseContent"] = PROFILE_CONTENT
    path = "/v2/customer_profiles/new?runRuleEngine=true"
    caller.send("updateCustomerProfileV2", "PUT", f"{path}&dry=true", body)
    caller.send("updateCustomerProfileV2", "PUT", path, body)
    event = {"type": "newsletter", "profileId": "bob", "responseContent": PROFILE_CONTENT}
    for query in ("", "?silent=no", "?silent=no&dry=true", "?dry=x"):
        caller.send("trackEventV2", "POST", f"/v2/events{query}", event)
    for number, query in enumerate(("", "?silent=no", "?silent=no&dry=true", "?dry=x")):
        asked = [name for name in PROFILE_CONTENT if name not in _NOT_OF_V3]
        advanced = {**event, "integrationId": f"e-{number}"}
        advanced["responseContent"] = [*asked, "advancedEvent"]
        caller.send("trackEventV3", "POST", f"/v3/events{query}", advanced)
    caller.send("trackEventV3", "POST", "/v3/events", {**advanced, "integrationId": "e-0"})
    caller.send("getEventV3", "GET", "/v3/events/e-0")
    caller.send("getEventV3", "GET", "/v3/events/nothing")


def calls_of_2020(caller: Caller) -> None:
    """Make the calls that only the dialect of 2020 has."""
    seed_calls(caller)
    lines = [{k: v for k, v in line.items() if k != "additionalCosts"} for line in items()]
    for number in (1, 2, 3, 6, 8, 10):
        name = f"old-{number}"
        caller.session_v1(name, profileId="bob", coupon=f"CODE-{number}", total=40, cartItems=lines)
        caller.session_v1(name, state="closed")
        caller.session_v1(name, state="cancelled")
    caller.session_v1("old", query="?dry=true", coupon="NOPE", total=5)
    caller.session_v1("old", coupon="HARD-24", referral="NOPE")
    caller.session_v1("bad", state="lost")
    caller.send(
        "updateCustomerProfile", "PUT", "/v1/customer_profiles/bob", {"attributes": {"tier": "x"}}
    )
    caller.send("updateCustomerProfile", "PUT", "/v1/customer_profiles/bob?dry=true", {})
    caller.send(
        "updateCustomerProfile", "PUT", "/v1/customer_profiles/bob", {"attributes": {"x": 1}}
    )
    event = {"type": "newsletter", "sessionId": "old-1", "attributes": {}, "profileId": "bob"}
    caller.send("trackEvent", "POST", "/v1/events", event)
    caller.send("trackEvent", "POST", "/v1/events?dry=true", event)
    caller.send("trackEvent", "POST", "/v1/events", {**event, "profileId": "eve"})
