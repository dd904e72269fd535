"""The emulated operations over a real socket, spoken to without our client."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import uuid4

import pytest

from django_talon.sandbox.operations import ABSENT
from django_talon.testing import SandboxServer

from .sandbox_wire import World, effects, item, raw


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"ops-{uuid4().hex[:8]}")


ALL = ["customerSession", "customerProfile", "coupons", "triggeredCampaigns", "event"]


def test_session_v2__ten_percent_unrounded(world):
    said = world.session(
        want=[*ALL, "ruleFailureReasons", "loyalty"],
        profileId="u1",
        couponCodes=["WELCOME10"],
        cartItems=[item(99.99)],
        attributes={"channel": "web"},
        additionalCosts={"shipping": {"price": 4.95}},
    )
    assert said.status == 200
    assert effects(said) == [("acceptCoupon", "WELCOME10"), ("setDiscount", Decimal("9.999"))]
    session = said.body["customerSession"]
    assert (session["total"], session["cartItemTotal"]) == (Decimal("104.94"), Decimal("99.99"))
    assert session["cartItems"][0]["position"] == 0
    assert said.body["customerProfile"]["integrationId"] == "u1"
    assert said.body["coupons"][0]["value"] == "WELCOME10"
    assert [c["id"] for c in said.body["triggeredCampaigns"]] == [1]
    assert said.body["event"]["type"] == "talon_session_updated"
    assert said.body["loyalty"] == {"programs": {}}
    assert {r["campaignID"] for r in said.body["ruleFailureReasons"]} == {2, 3, 4, 5, 6, 7}
    assert world.send("GET", "/v2/customer_sessions/s1").body["customerSession"] == session


def test_session_v2__sections_only_when_asked(world):
    assert set(world.session(cartItems=[]).body) == {
        "effects",
        "createdCoupons",
        "createdReferrals",
    }


def test_session_v2__life(world):
    content = {"profileId": "u1", "couponCodes": ["ONCE10"], "cartItems": [item(50)]}
    world.session(**content)
    assert effects(world.session(state="closed", **content))[0] == ("acceptCoupon", "ONCE10")
    assert effects(world.session(state="closed", **content))[0] == ("acceptCoupon", "ONCE10")
    coupon = world.server.state(world.name)["coupons"]["ONCE10"]
    assert coupon["usageCounter"] == 1
    refused = world.session(state="open")
    assert (refused.status, refused.body["errors"][0]["source"]["pointer"]) == (
        400,
        "/customerSession/state",
    )
    cancelled = world.session(state="cancelled")
    assert effects(cancelled) == [("rollbackCoupon", "ONCE10"), ("rollbackDiscount", 5)]
    state = world.server.state(world.name)
    assert state["coupons"]["ONCE10"]["usageCounter"] == 0
    assert state["profiles"]["u1"]["closedSessions"] == 0
    assert world.send("GET", "/v2/customer_sessions/s1").body["effects"] == []


def test_session_v2__dry_changes_nothing(world):
    said = world.session(query="?dry=true", couponCodes=["WELCOME10"], cartItems=[item(10)])
    assert effects(said)[1] == ("setDiscount", 1)
    assert world.send("GET", "/v2/customer_sessions/s1").status == 404
    assert world.session(query="?dry=perhaps").status == 400
    assert world.session(query="?now=2020-01-01&dry=true").status == 400
    assert world.session(query="?now=soon&dry=true").status == 400
    late = world.session(query="?now=2999-01-01T00:00:00Z&dry=true", cartItems=[item(300)])
    assert effects(late)[0] == ("setDiscount", 10)


def test_session_v2__guest_to_other_profile_is_refused(world):
    world.session(profileId="guest-1")
    refused = world.session(profileId="u1")
    assert (refused.status, refused.body["errors"][0]["source"]["pointer"]) == (
        400,
        "/customerSession/profileId",
    )
    world.session("anonymous", profileId="")
    assert world.session("anonymous", profileId="u1").status == 200


def test_session_v2__per_unit_discounts_and_free_things(world):
    said = world.session(
        couponCodes=["MUGS5", "FREESHIP", "GIFT"],
        cartItems=[{"sku": "tee", "name": "Tee", "quantity": 1, "price": 20}, item(10, 2)],
        additionalCosts={"shipping": {"price": 4.95}},
    )
    assert effects(said) == [
        ("acceptCoupon", "MUGS5"),
        ("setDiscountPerItem", Decimal("0.5"), 1, 0),
        ("setDiscountPerItem", Decimal("0.5"), 1, 1),
        ("acceptCoupon", "FREESHIP"),
        ("setDiscountPerAdditionalCost", Decimal("4.95")),
        ("acceptCoupon", "GIFT"),
        ("addFreeItem",),
    ]


def test_session_v1(world):
    body = {"profileId": "u1", "coupon": "WELCOME10", "total": 40, "cartItems": [item(20, 2)]}
    said = world.send("PUT", "/v1/customer_sessions/s1", body)
    assert said.status == 200
    assert said.body["session"]["discounts"] == {"10 % welcome discount": 4}
    assert said.body["event"]["effects"] == [
        [1, 1, 0, ["acceptCoupon", "WELCOME10"]],
        [1, 1, 0, ["setDiscount", "10 % welcome discount", 4]],
    ]
    assert said.body["coupon"]["value"] == "WELCOME10"
    again = world.send("PUT", "/v1/customer_sessions/s1", {"coupon": "NOPE"})
    assert again.body["session"]["total"] == 40
    assert again.body["event"]["meta"]["couponRejectionReason"]["reason"] == "CouponNotFound"
    dry = world.send("PUT", "/v1/customer_sessions/s1?dry=true", {"total": 1, "referral": "X"})
    assert (dry.body["session"]["coupon"], dry.body["session"]["total"]) == ("", 1)
    assert world.session(want=["customerSession"]).body["customerSession"]["total"] == 40


def test_profiles(world):
    first = world.send("PUT", "/v1/customer_profiles/u1", {"attributes": {"tier": "gold"}})
    assert first.body["profile"]["attributes"] == {"tier": "gold"}
    assert first.body["event"]["type"] == "talon_profile_created"
    second = world.send("PUT", "/v2/customer_profiles/u1", {"attributes": {"newsletter": True}})
    assert second.body["customerProfile"]["attributes"] == {"tier": "gold", "newsletter": True}
    assert second.body["effects"] == []
    third = world.send(
        "PUT", "/v2/customer_profiles/u1?runRuleEngine=true", {"responseContent": ["event"]}
    )
    assert third.body["event"]["type"] == "talon_profile_updated"
    world.send("PUT", "/v1/customer_profiles/u1?dry=true", {"attributes": {"tier": "iron"}})
    assert world.server.state(world.name)["profiles"]["u1"]["attributes"]["tier"] == "gold"


def test_events(world):
    body = {"type": "newsletter", "attributes": {"source": "footer"}, "sessionId": "s1"}
    said = world.send("POST", "/v1/events", {**body, "profileId": "u1"})
    assert said.status == 201
    assert said.body["event"]["effects"][0][3][0] == "showNotification"
    assert said.body["session"]["integrationId"] == "s1"
    wrong = world.send("POST", "/v1/events", {**body, "profileId": "u2"})
    assert (wrong.status, wrong.body["errors"][0]["source"]["pointer"]) == (400, "/profileId")
    v2 = {"type": "newsletter", "profileId": "u3", "responseContent": ["event", "loyalty"]}
    assert world.send("POST", "/v2/events", v2).status == 204
    loud = world.send("POST", "/v2/events?silent=no", v2)
    assert (loud.status, "customerSession" in loud.body) == (200, False)
    assert loud.body["effects"][0]["effectType"] == "showNotification"
    assert world.send("POST", "/v2/events?silent=maybe", v2).status == 400


def test_reservations_and_inventory(world):
    path = "/v1/coupon_reservations/WALLET10"
    made = world.send("POST", path, {"integrationIDs": ["u1", "u2"]})
    assert (made.status, made.body["reservationCounter"]) == (201, 2)
    listed = world.send("GET", "/v1/coupon_reservations/customerprofiles/WALLET10").body
    assert [p["integrationId"] for p in listed["data"]] == ["u1", "u2"]
    assert listed["totalResultSize"] == 2
    assert world.send("DELETE", path, {"integrationIDs": ["u2"]}).status == 204
    inventory = world.send(
        "GET",
        "/v1/customer_profiles/u1/inventory?profile=true&referrals=true&coupons=true"
        "&loyalty=true&giveaways=true&achievements=true",
    ).body
    assert inventory["profile"]["integrationId"] == "u1"
    assert [(c["value"], c["state"]) for c in inventory["coupons"]] == [("WALLET10", "active")]
    assert (inventory["loyalty"], inventory["giveaways"]) == ({"programs": {}}, [])
    assert world.send("GET", "/v1/customer_profiles/u1/inventory").body == {}
    for method, unknown in (
        ("GET", "/v1/customer_profiles/nobody/inventory"),
        ("GET", "/v1/coupon_reservations/customerprofiles/NOPE"),
        ("POST", "/v1/coupon_reservations/NOPE"),
    ):
        assert world.send(method, unknown, {"integrationIDs": []}).status == 404
    assert (
        world.send("POST", "/v1/coupon_reservations/SUMMER24", {"integrationIDs": []}).status == 400
    )


def test_referrals(world):
    body = {
        "campaignId": 2,
        "advocateProfileIntegrationId": "ada",
        "expiryDate": "2999-01-01T00:00:00Z",
    }
    made = world.send("POST", "/v1/referrals", body)
    assert (made.status, made.body["code"][:7]) == (201, "FRIEND-")
    assert made.body["expiryDate"] == "2999-01-01T00:00:00.000Z"
    code = made.body["code"]
    said = world.session(
        profileId="bob", referralCode=code, cartItems=[item(30)], state="closed", want=["referral"]
    )
    assert effects(said) == [("acceptReferral", code), ("setDiscount", 5)]
    assert said.body["referral"]["usageCounter"] == 1
    path = "/v1/customer_profiles/ada/inventory?referrals=true"
    referrals = world.send("GET", path).body["referrals"]
    assert [r["referredCustomers"] for r in referrals if r["code"] == code] == [["bob"]]
    assert world.send("POST", "/v1/referrals", {**body, "campaignId": 1}).status == 400


def test_erasure(world):
    world.send("PUT", "/v2/customer_profiles/u1", {"attributes": {"tier": "gold"}})
    assert world.send("DELETE", "/v1/customer_data/u1").status == 204
    assert world.send("DELETE", "/v1/customer_data/u1").status == 204
    assert world.send("DELETE", "/v1/customer_data/nobody").status == 404
    assert world.server.state(world.name)["profiles"]["u1"]["attributes"] == {}
    assert world.server.violations(world.name) == []
    world.send("PUT", "/v2/customer_profiles/u1", {"attributes": {"tier": "again"}})
    assert [v["monitor"] for v in world.server.violations(world.name)] == ["write-after-erase"]


def test_closing_an_erased_persons_session_is_no_violation(world):
    world.session(profileId="u1", cartItems=[item()])
    world.send("DELETE", "/v1/customer_data/u1")
    assert world.session(state="closed").status == 200
    assert world.server.violations(world.name) == []


def test_applications_share_profiles_only(world):
    world.session(profileId="u1", cartItems=[item(50)], state="closed", couponCodes=["ONCE10"])
    other = World(world.server, f"{world.name}.outlet")
    said = other.session(
        profileId="u1", cartItems=[item(50)], couponCodes=["ONCE10"], want=["customerProfile"]
    )
    assert said.body["customerProfile"]["closedSessions"] == 1
    assert effects(said)[0] == ("acceptCoupon", "ONCE10")
    assert list(world.server.state(world.name, "outlet")["sessions"]) == ["s1"]


@pytest.mark.parametrize("operation", ABSENT, ids=lambda operation: operation.name)
def test_emu_26_absent_operations_say_their_name(world, operation):
    path = operation.template.replace("{", "").replace("}", "")
    said = world.send(operation.method, path, {})
    assert (said.status, said.body["errors"][0]["details"]) == (501, operation.name)


def test_emu_11_the_same_key_twice_is_one_event_and_the_same_bytes(world):
    path = "/v2/events?silent=no"
    body = {"type": "newsletter", "profileId": "u1", "responseContent": ["event"]}
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\nIdempotency-Key: k1\r\n"
        f"Content-Length: {len(sent)}\r\nConnection: close\r\n\r\n"
    )
    answers = [raw(world.server.url, head.encode() + sent) for _ in range(2)]
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert answers[0] == answers[1]
    assert len(world.server.state(world.name)["events"]) == 1
    assert [call["replayed"] for call in world.calls()] == [False, True]
    other = world.send("POST", path, {**body, "profileId": "u2"}, Idempotency_Key="k1")
    assert other.status == 400
    assert world.send("POST", path, body, Idempotency_Key="x" * 256).status == 400
    bad = {**body, "type": "unknown"}
    for _ in range(2):
        assert world.send("POST", path, bad, Idempotency_Key="k2").status == 400
    assert world.send("POST", path, body, Idempotency_Key="k2").status == 200
