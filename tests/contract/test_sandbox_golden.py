"""The worked examples of the API's documentation, as studied in talon-semantics: 2.9 to 7.6."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.service import Sandbox

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")

COUPON = {"type": "checkCoupon", "redeem": True}


def discount(value, **target):
    block = {"type": "awardDiscount", "name": "off", "value": value, "partial": False}
    return {**block, "target": target or {"type": "cart"}}


def campaign(number, title, *blocks, **more):
    rules = {"promotionRules": [{"title": title, "blocks": list(blocks)}]}
    return {"id": number, "name": f"campaign {number}", "ruleset": rules, **more}


class Api:
    """One world with these campaigns; answers with their numbers as sent."""

    def __init__(self, *campaigns, **seed):
        content = {"campaigns": list(campaigns), **seed}
        self.sandbox = Sandbox(parse(wire.decode(json.dumps(content).encode())))

    def send(self, method, path, body=None):
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": "ApiKey-v1 sbx-golden"}
        answer = self.sandbox.handle(wire.Request(method, path, headers, raw))
        assert isinstance(answer, wire.Answer)
        assert answer.status < 300, answer.body
        return wire.decode(answer.body)

    def session(self, name="order", want=(), **content):
        body = {"customerSession": content, "responseContent": list(want)}
        return self.send("PUT", f"/v2/customer_sessions/{name}", body)


def props(said, kind):
    return [effect["props"] for effect in said["effects"] if effect["effectType"] == kind]


def test_emu_20_2_9__a_v1_exchange():
    api = Api(
        campaign(
            12,
            "Mug promo",
            COUPON,
            {**discount("{{$Session.CartTotal * 0.1}}"), "name": "Mug promo"},
            coupons=[{"value": "FREESTUFF"}],
        )
    )
    mug = {"name": "Mug", "sku": "mug-1", "quantity": 2, "price": 20}
    body = {"profileId": "user_7", "coupon": "FREESTUFF", "total": 40, "cartItems": [mug]}
    said = api.send("PUT", "/v1/customer_sessions/order-1001", body)
    assert said["session"] == {
        "integrationId": "order-1001",
        "created": said["session"]["created"],
        "applicationId": 1,
        "profileId": "user_7",
        "coupon": "FREESTUFF",
        "referral": "",
        "state": "open",
        "cartItems": [{**mug, "position": 0}],
        "identifiers": [],
        "total": 40,
        "attributes": {},
        "firstSession": True,
        "discounts": {"Mug promo": 4},
    }
    assert said["profile"]["integrationId"] == "user_7"
    assert (said["profile"]["closedSessions"], said["profile"]["totalSales"]) == (0, 0)
    event = said["event"]
    assert (event["type"], event["sessionId"]) == ("talon_session_updated", "order-1001")
    assert event["effects"] == [
        [12, 12, 0, ["acceptCoupon", "FREESTUFF"]],
        [12, 12, 0, ["setDiscount", "Mug promo", 4]],
    ]
    assert (event["ledgerEntries"], event["meta"]) == ([], {})


def test_emu_20_2_9__a_v1_rejection():
    said = Api().send("PUT", "/v1/customer_sessions/order-1001", {"coupon": "NOPE"})
    assert said["event"]["effects"] == [[-1, -1, -1, ["rejectCoupon", "NOPE"]]]
    reason = {"campaignId": -1, "couponId": -1, "reason": "CouponNotFound"}
    assert said["event"]["meta"]["couponRejectionReason"] == reason


def test_emu_20_2_9__state_is_cumulative():
    api = Api(campaign(1, "r", COUPON, discount(5), coupons=[{"value": "FIVE"}]))
    path = "/v1/customer_sessions/s"
    api.send("PUT", path, {"cartItems": [{"name": "A", "sku": "a", "quantity": 1, "price": 9}]})
    api.send("PUT", path, {"coupon": "FIVE"})
    said = api.send("PUT", path, {"state": "closed"})["session"]
    assert (said["state"], said["coupon"], said["discounts"]) == ("closed", "FIVE", {"off": 5})
    assert len(said["cartItems"]) == 1


def test_emu_20_2_10__ten_percent_of_99_99():
    ten = {**discount("{{$Item.Price * 0.1}}", type="allItems"), "name": "10% off per item"}
    api = Api(campaign(193, "", COUPON, ten, coupons=[{"value": "TEST-1"}]))
    item = {"name": "A", "sku": "a", "quantity": 1, "price": 99.99}
    want = ["customerSession", "loyalty", "ruleFailureReasons"]
    said = api.session(want=want, profileId="", couponCodes=["TEST-1"], cartItems=[item])
    envelope = {"campaignId": 193, "rulesetId": 193, "ruleIndex": 0, "ruleName": ""}
    assert said["effects"] == [
        {
            **envelope,
            "effectType": "acceptCoupon",
            "props": {"value": "TEST-1"},
            "triggeredByCoupon": 1,
        },
        {
            **envelope,
            "effectType": "setDiscountPerItem",
            "props": {
                "name": "10% off per item#0",
                "value": Decimal("9.999"),
                "position": 0,
                "subPosition": 0,
            },
            "triggeredByCoupon": 1,
        },
    ]
    assert (said["createdCoupons"], said["createdReferrals"]) == ([], [])
    assert (said["loyalty"], said["ruleFailureReasons"]) == ({"programs": {}}, [])
    session = said["customerSession"]
    told = {"profileId": "", "state": "open", "firstSession": True, "referralCode": ""}
    totals = {"total": Decimal("99.99"), "cartItemTotal": Decimal("99.99")}
    expected = {**told, **totals, "additionalCostTotal": 0, "couponCodes": ["TEST-1"]}
    assert {name: session[name] for name in expected} == expected
    assert "couponCodes" not in api.session("none", want=want)["customerSession"]


def test_emu_20_2_10__omit_keeps_and_empty_clears():
    api = Api(campaign(1, "r", COUPON, discount(1), coupons=[{"value": "CODE"}]))
    item = {"name": "A", "sku": "a", "quantity": 1, "price": 9}
    want = ["customerSession"]
    api.session(couponCodes=["CODE"], referralCode="REF1", cartItems=[item])
    kept = api.session(want=want)["customerSession"]
    assert (kept["couponCodes"], kept["referralCode"]) == (["CODE"], "REF1")
    assert kept["total"] == 9
    cleared = api.session(want=want, couponCodes=[], referralCode="")["customerSession"]
    assert ("couponCodes" in cleared, cleared["referralCode"]) == (False, "")


def test_emu_20_4_2__return_of_one_unit():
    api = Api(campaign(1, "r", discount(5, type="allItems")))
    items = [{"name": n, "sku": n, "quantity": 2, "price": 20} for n in ("a", "b")]
    api.session(profileId="ada", cartItems=items, state="closed")
    body = {
        "return": {"returnedCartItems": [{"position": 1, "quantity": 1}]},
        "responseContent": ["customerSession", "customerProfile", "previousReturns"],
    }
    said = api.send("POST", "/v2/customer_sessions/order/returns", body)
    [back] = said["effects"]
    assert back["effectType"] == "rollbackDiscount"
    place = {"cartItemPosition": 1, "cartItemSubPosition": 0}
    assert back["props"] == {"name": "off#1", "value": 5, **place}
    assert said["customerSession"]["state"] == "partially_returned"
    line = said["customerSession"]["cartItems"][1]
    assert (line["returnedQuantity"], line["remainingQuantity"]) == (1, 1)
    assert said["customerProfile"]["totalSales"] == 60
    assert said["return"]["returnedCartItems"] == [{"position": 1, "quantity": 1}]
    assert said["previousReturns"] == []
    again = api.send("POST", "/v2/customer_sessions/order/returns", body)
    assert again["previousReturns"] == [said["return"]]


def test_emu_20_4_2__close_cancel_and_what_stays():
    made = {
        "type": "createCoupon",
        "campaignId": 2,
        "recipientId": "{{$Profile.IntegrationId}}",
        "storeInSession": False,
    }
    api = Api(
        campaign(1, "r", COUPON, discount(5), made, coupons=[{"value": "CODE", "usageLimit": 1}]),
        campaign(2, "s"),
    )
    item = {"name": "A", "sku": "a", "quantity": 1, "price": 9}
    content = {"profileId": "ada", "couponCodes": ["CODE"], "cartItems": [item]}
    want = ["coupons", "customerProfile"]
    closed = api.session(want=want, **content, state="closed")
    assert closed["coupons"][0]["usageCounter"] == 1
    assert closed["customerProfile"]["closedSessions"] == 1
    assert closed["customerProfile"]["totalSales"] == 9
    other = api.session("second", **content)
    assert props(other, "rejectCoupon")[0]["rejectionReason"] == "CouponLimitReached"
    cancelled = api.session(want=want, state="cancelled")
    kinds = [effect["effectType"] for effect in cancelled["effects"]]
    assert kinds == ["rollbackCoupon", "rollbackDiscount"]
    assert cancelled["coupons"][0]["usageCounter"] == 0
    assert cancelled["customerProfile"]["closedSessions"] == 0
    assert cancelled["customerProfile"]["totalSales"] == 0
    wallet = api.sandbox.rooms.enter("golden").world.applications["default"].coupons
    assert [code for code in wallet if code != "CODE"] == [closed["createdCoupons"][0]["value"]]


def test_emu_20_4_2__reopen_gives_back_what_the_close_took():
    api = Api(campaign(1, "r", COUPON, discount(5), coupons=[{"value": "CODE"}]))
    item = {"name": "A", "sku": "a", "quantity": 1, "price": 9}
    want = ["coupons", "customerProfile", "customerSession"]
    content = {"profileId": "ada", "couponCodes": ["CODE"], "cartItems": [item]}
    api.session(**content, state="closed")
    said = api.send("PUT", "/v2/customer_sessions/order/reopen")
    assert [e["effectType"] for e in said["effects"]] == ["rollbackCoupon", "rollbackDiscount"]
    again = api.session(want=want)
    assert again["customerSession"]["state"] == "open"
    assert again["coupons"][0]["usageCounter"] == 0
    assert again["customerProfile"]["totalSales"] == 0
    assert api.session(want=want, state="closed")["coupons"][0]["usageCounter"] == 1


@pytest.mark.parametrize(("cascading", "second"), [(True, 9), (False, 10)])
def test_emu_20_7_5__two_times_ten_percent(cascading, second):
    api = Api(
        campaign(1, "a", discount("{{$Session.Total * 0.1}}")),
        campaign(2, "b", discount("{{$Session.Total * 0.1}}")),
        application={"enableCascadingDiscounts": cascading},
    )
    item = {"name": "A", "sku": "a", "quantity": 1, "price": 100}
    found = props(api.session(cartItems=[item]), "setDiscount")
    assert [entry["value"] for entry in found] == [10, second]
    scopes = {entry.get("scope") for entry in found}
    assert scopes == ({"sessionTotal"} if cascading else {None})


def test_emu_20_7_5__cascading_per_unit():
    half = discount("{{$Item.Price * 0.5}}", type="allItems")
    api = Api(
        campaign(1, "a", half),
        campaign(2, "b", half),
        application={"enableCascadingDiscounts": True},
    )
    item = {"name": "A", "sku": "a", "quantity": 2, "price": 8}
    found = props(api.session(cartItems=[item]), "setDiscountPerItem")
    assert [entry["value"] for entry in found] == [4, 4, 2, 2]
    assert {entry["scope"] for entry in found} == {"price"}


def test_emu_20_7_6__one_effect_per_unit():
    api = Api(campaign(1, "a", discount(1, type="allItems")))
    items = [{"name": n, "sku": n, "quantity": q, "price": 5} for n, q in (("a", 2), ("b", 1))]
    found = props(api.session(cartItems=items), "setDiscountPerItem")
    places = [(entry["position"], entry["subPosition"]) for entry in found]
    assert places == [(0, 0), (0, 1), (1, 0)]


def test_emu_20_7_6__one_effect_per_line_in_2020():
    api = Api(campaign(1, "a", discount(1, type="allItems")), decisions={"dialect": "2020"})
    items = [{"name": n, "sku": n, "quantity": q, "price": 5} for n, q in (("a", 2), ("b", 1))]
    found = props(api.session(cartItems=items), "setDiscountPerItem")
    assert found == [
        {"name": "off#0", "value": 2, "position": 0},
        {"name": "off#1", "value": 1, "position": 1},
    ]
