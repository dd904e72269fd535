from __future__ import annotations

from datetime import timedelta

import pytest

from django_talon.sandbox.engine import coupons, profiles, referrals
from django_talon.sandbox.engine.errors import RefusedError

from .shop import CHECK_COUPON, CHECK_REFERRAL, NOW, Shop, campaign, discount, item, told

YESTERDAY = (NOW - timedelta(days=1)).isoformat()
TOMORROW = (NOW + timedelta(days=1)).isoformat()
BIG = {
    "type": "checkAttribute",
    "attribute": "$Session.Total",
    "operator": "greaterThan",
    "value": 100,
}


def of(*codes, blocks=None, **more):
    return campaign(*(blocks or [CHECK_COUPON, discount(1)]), coupons=list(codes), **more)


def reason(shop, code, **changes):
    outcome = shop.put(f"for-{code}", cart_items=[item()], coupon_codes=[code], **changes)
    return next((t[2] for t in told(outcome) if t[0] == "rejectCoupon"), None)


def test_emu_01_every_reason_in_its_order():
    shop = Shop(
        of({"value": "GOOD"}, {"value": "LATE", "expiryDate": YESTERDAY}),
        of({"value": "OFF1", "expiryDate": YESTERDAY}, number=2, state="disabled"),
        of({"value": "SOON", "startDate": TOMORROW, "recipientIntegrationId": "vip"}, number=3),
        of({"value": "MINE", "recipientIntegrationId": "vip"}, number=4),
        of({"value": "HELD", "isReservationMandatory": True}, number=5),
        of({"value": "BIGG"}, number=6, blocks=[CHECK_COUPON, BIG, discount(1)]),
        of({"value": "NONE"}, number=7, blocks=[discount(1)]),
        of(
            {"value": "SHIP"},
            number=8,
            blocks=[
                CHECK_COUPON,
                discount(1, type="additionalCost", additionalCost={"name": "shipping"}),
            ],
        ),
    )
    expected = {
        "NOPE": "CouponNotFound",
        "OFF1": "CouponPartOfNotRunningCampaign",
        "SOON": "CouponStartDateInFuture",
        "LATE": "CouponExpired",
        "MINE": "CouponRecipientDoesNotMatch",
        "HELD": "ProfileRequired",
        "BIGG": "CouponRejectedByCondition",
        "NONE": "CouponRejectedByCondition",
        "SHIP": "EffectCouldNotBeApplied",
        "GOOD": None,
    }
    assert {code: reason(shop, code) for code in expected} == expected


def test_emu_01_customer_bound_codes():
    shop = Shop(
        of(
            {"value": "MINE", "recipientIntegrationId": "vip"},
            {"value": "HELD", "isReservationMandatory": True},
        )
    )
    assert reason(shop, "HELD", profile_id="bob") == "CouponReservationRequired"
    coupons.reserve(shop.world, shop.app, "HELD", ["vip"])
    assert (
        reason(
            Shop(of({"value": "MINE", "recipientIntegrationId": "vip"})), "MINE", profile_id="vip"
        )
        is None
    )
    outcome = shop.put("vip", profile_id="vip", cart_items=[item()], coupon_codes=["HELD"])
    assert told(outcome)[0] == ("acceptCoupon", "HELD")


def test_emu_01_usage_limit_counts_at_close():
    shop = Shop(of({"value": "ONCE", "usageLimit": 1}))
    content = {"cart_items": [item()], "coupon_codes": ["ONCE"]}
    assert told(shop.put("a", **content))[0][0] == "acceptCoupon"
    assert told(shop.put("b", **content))[0][0] == "acceptCoupon"
    shop.put("a", state="closed")
    assert told(shop.put("b")) == [("rejectCoupon", "ONCE", "CouponLimitReached")]
    shop.put("a", state="cancelled")
    assert told(shop.put("b"))[0][0] == "acceptCoupon"


def test_emu_01_a_closed_session_can_close_with_a_rejected_code():
    shop = Shop(of({"value": "ONCE", "usageLimit": 1}))
    outcome = shop.put(state="closed", cart_items=[item()], coupon_codes=["NOPE", "ONCE", "ONCE"])
    assert [t[0] for t in told(outcome)] == ["rejectCoupon", "acceptCoupon", "setDiscount"]
    assert outcome.session.coupon_codes == ["NOPE", "ONCE", "ONCE"]
    assert shop.app.coupons["ONCE"].usage_counter == 1


def test_emu_01_redeem_false_only_validates():
    shop = Shop(of({"value": "LOOK"}, blocks=[{"type": "checkCoupon", "redeem": False}]))
    assert told(shop.put(state="closed", coupon_codes=["LOOK"])) == [("acceptCoupon", "LOOK")]
    assert shop.app.coupons["LOOK"].usage_counter == 0


def test_emu_01_campaign_budgets():
    whole = Shop(of({"value": "CODE"}, limits=[{"action": "redeemCoupon", "limit": 1}]))
    whole.put("a", state="closed", coupon_codes=["CODE"], cart_items=[item()])
    assert reason(whole, "CODE") == "CampaignLimitReached"
    limits = [{"action": "redeemCoupon", "limit": 1, "entities": ["Profile"]}]
    each = Shop(of({"value": "CODE"}, limits=limits))
    assert reason(each, "CODE") == "ProfileRequired"
    each.put("a", state="closed", coupon_codes=["CODE"], cart_items=[item()], profile_id="ada")
    assert reason(each, "CODE", profile_id="ada") == "ProfileLimitReached"
    other = each.put("c", coupon_codes=["CODE"], cart_items=[item()], profile_id="bob")
    assert told(other)[0] == ("acceptCoupon", "CODE")


def test_emu_01_reservations():
    shop = Shop(of({"value": "SOFT"}, {"value": "MINE", "recipientIntegrationId": "vip"}))
    coupon = coupons.reserve(shop.world, shop.app, "SOFT", ["ada", "bob"])
    coupons.reserve(shop.world, shop.app, "SOFT", ["ada"])
    assert list(coupon.reserved_for) == ["ada", "bob"]
    assert set(shop.world.profiles) == {"ada", "bob"}
    coupons.release(shop.app, "SOFT", ["ada", "nobody"])
    assert list(coupon.reserved_for) == ["bob"]
    for code, status in (("NOPE", 404), ("MINE", 400)):
        with pytest.raises(RefusedError) as caught:
            coupons.reserve(shop.world, shop.app, code, ["ada"])
        assert caught.value.status == status
    with pytest.raises(RefusedError):
        coupons.release(shop.app, "NOPE", ["ada"])


def test_emu_01_expired_and_stopped_coupons_are_not_reserved():
    shop = Shop(
        of({"value": "LATE", "expiryDate": YESTERDAY}),
        of({"value": "GONE"}, number=2, state="archived"),
    )
    for code in ("LATE", "GONE"):
        with pytest.raises(RefusedError):
            coupons.reserve(shop.world, shop.app, code, ["ada"])


def test_emu_01_wallet_states():
    shop = Shop(
        of(
            {"value": "OPEN", "implicitlyReserved": True},
            {"value": "USED"},
            {"value": "SOON", "startDate": TOMORROW},
            {"value": "PAST", "expiryDate": TOMORROW},
        ),
        of({"value": "GONE"}, number=2, endTime=TOMORROW),
    )
    for code in ("USED", "PAST", "GONE"):
        coupons.reserve(shop.world, shop.app, code, ["ada"])
    shop.app.coupons["SOON"].reserved_for["ada"] = NOW
    shop.put(state="closed", profile_id="ada", coupon_codes=["USED"], cart_items=[item()])

    def states():
        wallet = coupons.wallet(shop.app, "ada")
        return {c.value: coupons.wallet_state(shop.app, c, "ada", shop.now) for c in wallet}

    assert states() == {
        "OPEN": "active",
        "USED": "used",
        "SOON": "pending",
        "PAST": "active",
        "GONE": "active",
    }
    shop.pass_time(days=2)
    assert states()["PAST"] == "expired"
    assert states()["GONE"] == "disabled"
    assert [c.value for c in coupons.wallet(shop.app, "bob")] == ["OPEN"]


def referral_shop():
    codes = [
        {"code": "GOOD", "advocateProfileIntegrationId": "ada"},
        {"code": "SOON", "advocateProfileIntegrationId": "ada", "startDate": TOMORROW},
        {"code": "LATE", "advocateProfileIntegrationId": "ada", "expiryDate": YESTERDAY},
        {
            "code": "BOBS",
            "advocateProfileIntegrationId": "ada",
            "friendProfileIntegrationId": "bob",
        },
        {"code": "ONCE", "advocateProfileIntegrationId": "ada", "usageLimit": 1},
    ]
    more = {"features": ["referrals"], "referrals": codes}
    return Shop(
        campaign(CHECK_REFERRAL, discount(2), **more),
        campaign(
            CHECK_REFERRAL,
            BIG,
            number=2,
            features=["referrals"],
            referrals=[{"code": "BIGG", "advocateProfileIntegrationId": "ada"}],
        ),
        campaign(
            CHECK_REFERRAL,
            number=3,
            state="disabled",
            referrals=[{"code": "STOP", "advocateProfileIntegrationId": "ada"}],
        ),
    )


@pytest.mark.parametrize(
    ("code", "profile", "expected"),
    [
        ("NOPE", "cid", "ReferralNotFound"),
        ("STOP", "cid", "ReferralPartOfNotRunningCampaign"),
        ("SOON", "cid", "ReferralStartDateInFuture"),
        ("LATE", "cid", "ReferralExpired"),
        ("GOOD", "ada", "ReferralRecipientIdSameAsAdvocate"),
        ("BOBS", "cid", "ReferralRecipientDoesNotMatch"),
        ("BOBS", "", "ReferralRecipientDoesNotMatch"),
        ("BIGG", "cid", "ReferralRejectedByCondition"),
    ],
)
def test_emu_01_referral_reasons(code, profile, expected):
    outcome = referral_shop().put(cart_items=[item()], referral_code=code, profile_id=profile)
    assert told(outcome) == [("rejectReferral", code, expected)]


def test_emu_01_a_friend_is_referred_once():
    shop = referral_shop()
    content = {"cart_items": [item()], "profile_id": "cid"}
    first = shop.put("a", state="closed", referral_code="ONCE", **content)
    assert [t[0] for t in told(first)] == ["acceptReferral", "setDiscount"]
    again = shop.put("b", referral_code="GOOD", **content)
    assert told(again) == [("rejectReferral", "GOOD", "ReferralCustomerAlreadyReferred")]
    other = shop.put("c", referral_code="ONCE", cart_items=[item()], profile_id="dan")
    assert told(other) == [("rejectReferral", "ONCE", "ReferralLimitReached")]


def test_emu_01_create_referral():
    shop = referral_shop()
    request = {"campaignId": 1, "advocateProfileIntegrationId": "eve"}
    made = [referrals.create(shop.world, shop.app, request) for _ in range(3)]
    assert len({referral.code for referral in made}) == 3
    assert "eve" in shop.world.profiles
    for unknown in (3, 99):
        with pytest.raises(RefusedError) as caught:
            referrals.create(shop.world, shop.app, {**request, "campaignId": unknown})
        assert caught.value.errors[0]["source"]["pointer"] == "/campaignId"


def test_emu_01_erasure_empties_attributes_everywhere():
    shop = Shop(of({"value": "CODE"}))
    profiles.update(shop.world, "ada", {"tier": "gold"})
    shop.put(profile_id="ada", attributes={"a": 1}, cart_items=[item(attributes={"b": 2})])
    shop.put("other", profile_id="bob", attributes={"a": 1})
    profiles.erase(shop.world, "ada")
    profiles.erase(shop.world, "ada")
    session = shop.app.sessions["s1"]
    assert shop.world.profiles["ada"].attributes == {}
    assert (session.attributes, "attributes" in session.cart_items[0]) == ({}, False)
    assert {frozenset(e.attributes) for e in shop.app.events if e.profile_id == "ada"} == {
        frozenset()
    }
    assert shop.app.sessions["other"].attributes == {"a": 1}
    with pytest.raises(RefusedError) as caught:
        profiles.erase(shop.world, "nobody")
    assert caught.value.status == 404
    assert profiles.update(shop.world, "ada", {"tier": "new"}).attributes == {"tier": "new"}
