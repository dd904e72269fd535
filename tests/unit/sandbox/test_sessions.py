from __future__ import annotations

from decimal import Decimal

import pytest

from django_talon.sandbox.engine import events, render, rollbacks, totals
from django_talon.sandbox.engine.errors import RefusedError

from .shop import CHECK_COUPON, CHECK_REFERRAL, Shop, campaign, discount, item, told

TEN_PERCENT = campaign(
    CHECK_COUPON,
    discount("{{$Session.CartTotal * 0.1}}"),
    features=["coupons", "referrals"],
    coupons=[{"value": "TENOFF", "usageLimit": 1}],
)
FRIENDS = campaign(
    CHECK_REFERRAL,
    discount(5),
    number=2,
    features=["referrals"],
    referrals=[{"code": "FRIEND1", "advocateProfileIntegrationId": "ada"}],
)


@pytest.fixture
def shop():
    return Shop(TEN_PERCENT, FRIENDS)


def refused(shop, pointer, **changes):
    with pytest.raises(RefusedError) as caught:
        shop.put(**changes)
    assert caught.value.status == 400
    assert caught.value.errors[0]["source"]["pointer"] == pointer
    return caught.value


def test_emu_01_merge__omitted_keeps_and_empty_clears(shop):
    shop.put(cart_items=[item()], coupon_codes=["TENOFF"], attributes={"a": 1}, identifiers=["x"])
    kept = shop.put(attributes={"b": 2}).session
    assert (len(kept.cart_items), kept.coupon_codes) == (1, ["TENOFF"])
    assert kept.attributes == {"a": 1, "b": 2}
    cleared = shop.put(cart_items=[], coupon_codes=[], referral_code="", identifiers=[]).session
    assert (cleared.cart_items, cleared.coupon_codes, cleared.identifiers) == ([], [], [])
    assert cleared.update_count == 3


def test_emu_01_null_is_not_sent(shop):
    shop.put(cart_items=[item()])
    assert len(shop.put(cart_items=None, state=None).session.cart_items) == 1


def test_emu_01_totals_are_exact(shop):
    costs = {"shipping": {"price": Decimal("4.95")}}
    wrapped = item("0.10", 3, additionalCosts={"wrap": {"price": Decimal("0.005")}})
    session = shop.put(cart_items=[item("99.99"), wrapped], additional_costs=costs).session
    assert totals.cart_item_total(session) == Decimal("100.29")
    assert totals.cart_item_additional_cost_total(session) == Decimal("0.015")
    assert totals.additional_cost_total(session) == Decimal("4.965")
    assert render.session_v2(session)["total"] == Decimal("105.255")
    assert [i["position"] for i in render.session_v2(session)["cartItems"]] == [0, 1]


def test_emu_01_discount_is_unrounded(shop):
    outcome = shop.put(cart_items=[item("99.99")], coupon_codes=["TENOFF"])
    assert told(outcome) == [("acceptCoupon", "TENOFF"), ("setDiscount", Decimal("9.999"))]


@pytest.mark.parametrize(
    "path", [["open", "closed", "cancelled"], ["closed"], ["open", "cancelled"]]
)
def test_emu_01_legal_transitions(shop, path):
    for state in path:
        assert shop.put(state=state).session.state == state


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ([], "cancelled"),
        (["closed"], "open"),
        (["open", "cancelled"], "open"),
        (["open", "cancelled"], "closed"),
    ],
)
def test_emu_01_illegal_transitions(shop, path, to):
    for state in path:
        shop.put(state=state)
    error = refused(shop, "/state", state=to)
    assert error.errors[0]["title"] == "Invalid state transition"


def test_emu_01_closed_sessions_are_not_edited(shop):
    shop.put(state="closed", cart_items=[item()])
    refused(shop, "/state", cart_items=[item("20")])
    refused(shop, "/state", state="cancelled", cart_items=[])


def test_emu_01_closing_again_replays(shop):
    content = {"cart_items": [item()], "coupon_codes": ["TENOFF"], "profile_id": "ada"}
    first = shop.put(state="closed", **content)
    again = shop.put(state="closed", **content)
    assert again.evaluation.effects == first.evaluation.effects
    assert shop.app.coupons["TENOFF"].usage_counter == 1
    assert shop.world.profiles["ada"].closed_sessions == 1
    assert again.session.update_count == 1
    assert list(again.evaluation.triggered) == [1]


def test_emu_01_close_consumes_and_cancel_gives_back(shop):
    content = {"cart_items": [item("50")], "coupon_codes": ["TENOFF"], "referral_code": "FRIEND1"}
    shop.put(profile_id="bob", **content)
    coupon, referral = shop.app.coupons["TENOFF"], shop.app.referrals["FRIEND1"]
    assert (coupon.usage_counter, referral.usage_counter) == (0, 0)
    shop.put(state="closed")
    bob = shop.world.profiles["bob"]
    assert (coupon.usage_counter, referral.usage_counter, referral.referred) == (1, 1, ["bob"])
    assert (bob.closed_sessions, bob.total_sales) == (1, Decimal(50))
    cancelled = shop.put(state="cancelled")
    assert (coupon.usage_counter, referral.usage_counter, referral.referred) == (0, 0, [])
    assert (bob.closed_sessions, bob.total_sales) == (0, Decimal(0))
    assert told(cancelled) == [
        ("rollbackCoupon", "TENOFF"),
        ("rollbackDiscount", Decimal("5.0")),
        ("rollbackReferral", "FRIEND1"),
        ("rollbackDiscount", Decimal(5)),
    ]
    assert rollbacks.net(cancelled.session) == []
    assert cancelled.event.type == "talon_session_revoked"
    assert told(shop.put(state="cancelled")) == told(cancelled)


def test_emu_01_rollbacks_keep_the_envelope(shop):
    shop.put(state="closed", cart_items=[item()], coupon_codes=["TENOFF"])
    undone = shop.put(state="cancelled").evaluation.effects[1]
    assert (undone.campaign_id, undone.rule_name) == (1, "the rule")
    assert undone.triggered_by_coupon == shop.app.coupons["TENOFF"].id


def test_emu_01_cancel_from_open_rolls_back_discounts_only(shop):
    shop.put(cart_items=[item()], coupon_codes=["TENOFF"])
    cancelled = shop.put(state="cancelled")
    assert told(cancelled) == [("rollbackDiscount", Decimal("1.0"))]
    assert cancelled.event.type == "talon_session_cancelled"
    assert [e.effect_type for e in rollbacks.net(cancelled.session)] == ["acceptCoupon"]


def test_emu_01_dry_run_stores_nothing_and_sees_only_what_was_sent(shop):
    shop.put(cart_items=[item("50")], profile_id="ada")
    outcome = shop.dry(coupon_codes=["TENOFF"], profile_id="new")
    assert totals.total(outcome.session) == 0
    assert told(outcome) == [("acceptCoupon", "TENOFF")]
    stored = shop.app.sessions["s1"]
    assert (stored.coupon_codes, stored.update_count) == ([], 1)
    assert "new" not in shop.world.profiles


def test_emu_01_dry_cancel_tells_the_rollbacks(shop):
    shop.put(state="closed", cart_items=[item()], coupon_codes=["TENOFF"])
    assert told(shop.dry(state="cancelled"))[0] == ("rollbackCoupon", "TENOFF")
    assert shop.app.coupons["TENOFF"].usage_counter == 1
    assert told(shop.dry("unknown", state="cancelled")) == []


def test_emu_01_ownership(shop):
    shop.put(profile_id="")
    assert shop.put(profile_id="ada").session.profile_id == "ada"
    refused(shop, "/profileId", profile_id="bob")
    refused(shop, "/profileId", profile_id="")


def test_emu_01_first_session(shop):
    assert shop.put("s1", profile_id="ada").session.first_session
    assert not shop.put("s2", profile_id="ada").session.first_session
    assert shop.put("s3").session.first_session
    assert not shop.put("s3", profile_id="ada").session.first_session
    assert shop.put("s1", attributes={"a": 1}).session.first_session


def test_emu_01_profiles_are_made_on_first_mention(shop):
    shop.put(profile_id="ada")
    first = shop.world.profiles["ada"]
    assert (first.attributes, first.last_activity) == ({}, shop.now)
    shop.pass_time(hours=1)
    shop.put()
    assert first.last_activity == shop.now


def test_emu_01_builtin_events(shop):
    shop.put(profile_id="ada")
    shop.put(state="closed")
    assert [(e.type, e.attributes.get("isNew")) for e in shop.app.events] == [
        ("talon_profile_created", None),
        ("talon_session_created", None),
        ("talon_session_updated", True),
        ("talon_session_closed", False),
    ]


def test_emu_01_track__makes_session_and_profile(shop):
    request = {"type": "x", "sessionId": "new", "profileId": "ada", "attributes": {}}
    outcome = events.track(shop.world, shop.app, request, dry=False)
    assert shop.app.sessions["new"].profile_id == "ada"
    assert outcome.event.type == "x"
    with pytest.raises(RefusedError) as caught:
        events.track(shop.world, shop.app, {**request, "profileId": "bob"}, dry=False)
    assert caught.value.errors[0]["source"]["pointer"] == "/profileId"


def test_emu_01_track__dry_leaves_no_trace(shop):
    request = {"type": "x", "sessionId": "new", "profileId": "ada", "attributes": {}}
    events.track(shop.world, shop.app, request, dry=True)
    assert (shop.app.sessions, shop.world.profiles, shop.app.events) == ({}, {}, [])
