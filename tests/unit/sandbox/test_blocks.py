"""Every block of the structured form: what it looks at, what it does, what it says."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from django_talon.sandbox.engine import events
from django_talon.sandbox.engine.blocks import SeedError

from .shop import CHECK_COUPON, CHECK_REFERRAL, Shop, campaign, discount, item, reasons, told

NOTE = {"type": "showNotification", "notificationType": "Info", "title": "Hi", "body": ""}
SHIPPING = {"type": "additionalCost", "additionalCost": {"name": "shipping"}}


def check(attribute, operator, **more):
    return {"type": "checkAttribute", "attribute": attribute, "operator": operator, **more}


def load(*campaigns, **seed):
    shop = Shop()
    shop.load({"campaigns": list(campaigns), "additionalCosts": ["shipping"], **seed})
    return shop


def effects(outcome, kind):
    return [e.props for e in outcome.evaluation.effects if e.effect_type == kind]


def holds(*checks, **seed):
    shop = load(campaign(*checks, discount(1)), **seed)
    cart = {
        "profile_id": "bob",
        "cart_items": [
            item("10", 2, sku="mug-1", attributes={"brand": "acme"}),
            item("3", sku="x"),
        ],
        "identifiers": ["ip"],
        "coupon_codes": [],
        "attributes": {"when": "2026-03-01T11:00:00Z", "tags": ["a", "b"]},
    }
    return bool(effects(shop.put(**cart), "setDiscount"))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (check("$Session.Attributes.when", "before", value="2026-03-01T12:00:00Z"), True),
        (check("$Session.Attributes.when", "after", value="2026-03-01T12:00:00Z"), False),
        (check("$Now", "within", start="2026-03-01", end="2026-03-02"), True),
        (check("$Now", "not(within)", start="2026-03-01", end="2026-03-02"), False),
        (check("$Now", "within", start="2026-03-01T12:00:00Z", end="2026-03-02"), True),
        (
            check(
                "$Now",
                "within",
                start="2026-03-01T12:00:00Z",
                end="2026-03-02",
                startInclusive=False,
            ),
            False,
        ),
        (check("$Session.Total", "within", start="2026-03-01", end="2026-03-02"), False),
        (check("$Now.Weekday", "equals", value="Sunday"), True),
        (check("$Now.Hour", "between", min=8, max=12), True),
        (check("$Session.Attributes.tags", "containsOneOf", values=["b", "c"]), True),
        (check("$Session.Attributes.tags", "containsNoneOf", values=["b", "c"]), False),
        (check("$Session.Attributes.tags", "containsAllOf", values=["a", "b"]), True),
        (check("$Session.Attributes.tags", "containsAtLeast", values=["b", "c"], count=1), True),
        (check("$Session.Attributes.tags", "containsExactly", values=["a", "b"], count=1), False),
        (check("$Session.Identifiers", "contains", value="ip"), True),
        (check("$Session.Total", "equals", value="{{$Session.CartTotal}}"), True),
        (check("$Session.Total", "greaterThan", value="{{$Session.CartTotal + 1}}"), False),
        (check("$Profile.IntegrationId", "inCollection", value="friends"), True),
        (check("$Profile.IntegrationId", "not(inCollection)", value="friends"), False),
        (check("$Profile.Created", "exists"), True),
        (check("$Advocate.IntegrationId", "empty"), True),
        (check("$Advocate.Attributes.tier", "empty"), True),
    ],
)
def test_emu_20_conditions(block, expected):
    assert holds(block, collections={"friends": ["bob"]}) is expected


def selector(*steps):
    chosen = check("$Item.SKU", "startsWith", value="mug")
    filtered = {"type": "filter", "predicate": chosen}
    return [{"name": "Mugs", "source": "$Session.CartItems", "steps": [filtered, *steps]}]


PRICES = {"type": "map", "expression": "{{$Item.Price}}"}


@pytest.mark.parametrize(
    ("steps", "block", "expected"),
    [
        ([PRICES, {"type": "reduce", "operator": "sum"}], {"value": 20}, True),
        ([PRICES, {"type": "reduce", "operator": "max"}], {"value": 10}, True),
        ([PRICES, {"type": "reduce", "operator": "min"}], {"value": 11}, False),
        ([{"type": "reduce", "operator": "count"}], {"value": 2}, True),
        ([{"type": "reduce", "operator": "empty"}], {"value": False}, True),
    ],
)
def test_emu_20_selectors_reduce_to_numbers(steps, block, expected):
    described = campaign(check("$Selectors.Mugs", "equals", **block), discount(1))
    described["ruleset"]["selectors"] = selector(*steps)
    shop = load(described)
    outcome = shop.put(cart_items=[item("10", 2, sku="mug-1"), item("3", sku="x")])
    assert bool(effects(outcome, "setDiscount")) is expected


def test_emu_20_selectors_of_items_can_be_empty():
    described = campaign(check("$Selectors.Mugs", "not(empty)"), discount(1))
    described["ruleset"]["selectors"] = selector()
    shop = load(described)
    assert effects(shop.put(cart_items=[item(sku="mug")]), "setDiscount")
    assert not effects(shop.put(cart_items=[item(sku="pen")]), "setDiscount")


def test_emu_20_event_matchers():
    matcher = check("$Event.Attributes.source", "equals", value="mail")
    event = {"type": "checkEvent", "eventType": "x", "matchers": [matcher]}
    shop = load(campaign(event, NOTE))

    def track(source):
        request = {"type": "x", "profileId": "bob", "attributes": {"source": source}}
        return effects(events.track(shop.world, shop.app, request, dry=False), "showNotification")

    assert (len(track("mail")), len(track("web"))) == (1, 0)


AUDIENCE = {"id": 4, "name": "Gold"}


def audience(kind, operator):
    return {"type": kind, "operator": operator, "profile": "Current", "audience": AUDIENCE}


def test_emu_20_audiences():
    joins = audience("updateAudienceMembership", "add")
    leaves = audience("updateAudienceMembership", "remove")
    member = audience("checkAudience", "member")
    shop = load(
        campaign(check("$Session.Total", "equals", value=1), joins),
        campaign(check("$Session.Total", "equals", value=2), member, leaves, number=2),
        audiences=[AUDIENCE],
    )
    shop.put(profile_id="bob")
    assert effects(shop.put(cart_items=[item("2")]), "removeFromAudience") == []
    [added] = effects(shop.put(cart_items=[item("1")]), "addToAudience")
    assert (added["audienceId"], added["profileIntegrationId"]) == (4, "bob")
    assert list(shop.world.profiles["bob"].audiences) == [4]
    assert len(effects(shop.put(cart_items=[item("2")]), "removeFromAudience")) == 1
    assert shop.world.profiles["bob"].audiences == {}
    anonymous = shop.put("other", cart_items=[item("1")])
    assert reasons(anonymous)[0]["effectIndex"] == 0


def test_emu_20_pro_rata_shares_add_up():
    shop = load(campaign(discount(10, type="allItems", prorated=True)))
    found = effects(shop.put(cart_items=[item("10", 2), item("1")]), "setDiscountPerItem")
    assert sum(entry["value"] for entry in found) == 10
    assert found[0]["value"] == found[1]["value"] == Decimal(100) / 21
    assert {entry["totalDiscount"] for entry in found} == {10}
    nothing = shop.put("free", cart_items=[item("0")])
    assert reasons(nothing)[0]["effectIndex"] == 0


def test_emu_20_pro_rata_partly():
    limits = [{"action": "setDiscount", "limit": 4}]
    block = {**discount(10, type="allItems", prorated=True), "partial": True}
    shop = load(campaign(block, limits=limits))
    found = effects(shop.put(cart_items=[item("10", 2)]), "setDiscountPerItem")
    assert [entry["value"] for entry in found] == [2, 2]
    assert {entry["desiredTotalDiscount"] for entry in found} == {10}


def test_emu_20_costs_of_items():
    block = discount(3, **SHIPPING, target={"type": "allItems"})
    shop = load(campaign(block))
    costs = {"shipping": {"price": Decimal(2)}}
    outcome = shop.put(cart_items=[item("10", 2, additionalCosts=costs)])
    found = effects(outcome, "setDiscountPerAdditionalCostPerItem")
    assert [(e["value"], e["position"], e["subPosition"]) for e in found] == [(2, 0, 0), (2, 0, 1)]
    lacking = shop.put(cart_items=[item("10", additionalCosts=costs), item("5")])
    assert "no additional cost" in reasons(lacking)[0]["details"]


def test_emu_20_free_items_partly():
    block = {"type": "awardItem", "sku": "g", "name": "G", "quantity": "3", "partial": True}
    shop = load(campaign(block, limits=[{"action": "addFreeItemEffect", "limit": 2}]))
    found = effects(shop.put(state="closed"), "addFreeItem")
    assert found == [{"sku": "g", "name": "G", "desiredQuantity": 3}] * 2
    assert "nothing left" in reasons(shop.put("later"))[0]["details"]


MADE = {
    "type": "createCoupon",
    "campaignId": "{{$Campaign.Id}}",
    "recipientId": "{{$Profile.IntegrationId}}",
    "storeInSession": False,
    "usageLimit": 1,
    "discountLimit": "{{$Session.Total * 2}}",
    "pattern": "GIFT-####",
    "validCharacters": "AB",
}


def test_emu_20_created_coupons__once_per_session_and_rule():
    shop = load(campaign(MADE))
    assert shop.dry(profile_id="bob").evaluation.created_coupons == []
    first = shop.put(profile_id="bob", cart_items=[item("5")])
    again = shop.put(state="closed")
    [coupon] = first.evaluation.created_coupons
    assert again.evaluation.created_coupons == [coupon]
    assert effects(again, "couponCreated") == [{"value": coupon.value, "profileId": "bob"}]
    assert set(coupon.value.removeprefix("GIFT-")) <= {"A", "B"}
    assert (coupon.discount_limit, coupon.recipient_integration_id) == (10, "bob")
    assert shop.put("second", profile_id="bob").evaluation.created_coupons != [coupon]
    shop.put(state="cancelled")
    assert coupon.value in shop.app.coupons


def test_emu_20_created_codes__stored_in_the_session():
    referral = {
        "type": "createReferral",
        "campaignId": 1,
        "friendId": "eve",
        "storeInSession": True,
        "expiryDate": "2030-01-01T00:00:00Z",
    }
    shop = load(campaign({**MADE, "storeInSession": True}, referral))
    outcome = shop.put(profile_id="bob")
    [coupon], [made] = outcome.evaluation.created_coupons, outcome.evaluation.created_referrals
    assert outcome.session.coupon_codes == [coupon.value]
    assert outcome.session.referral_code == made.code
    assert (made.advocate, made.friend) == ("bob", "eve")
    assert made.expiry_date == datetime(2030, 1, 1, tzinfo=timezone.utc)
    assert len(shop.put(state="closed").evaluation.created_referrals) == 1


def test_emu_20_created_codes__no_code_left_and_no_campaign():
    shop = load(campaign({**MADE, "pattern": "ONLY"}))
    shop.put("a", profile_id="bob")
    assert "no free code" in reasons(shop.put("b", profile_id="bob"))[0]["details"]
    shop = load(campaign({**MADE, "campaignId": 9}))
    assert "no campaign 9" in reasons(shop.put("b", profile_id="bob"))[0]["details"]


def test_emu_20_reservations_by_rule_honour_their_limit():
    block = {"type": "reserveCoupon", "couponValue": "WALLET"}
    coupons = [{"value": "WALLET", "reservationLimit": 1}]
    shop = load(campaign(block, coupons=coupons))
    [first] = effects(shop.put("a", profile_id="bob"), "reserveCoupon")
    assert first["isNewReservation"] is True
    [again] = effects(shop.put("a"), "reserveCoupon")
    assert again["isNewReservation"] is False
    assert "used up" in reasons(shop.put("b", profile_id="eve"))[0]["details"]
    assert reasons(shop.put("c"))[0]["effectIndex"] == 0
    assert list(shop.app.coupons["WALLET"].reserved_for) == ["bob"]


def update(target, operator, value, name="points"):
    return {
        "type": "updateAttributeValue",
        "operator": operator,
        "attribute": {"name": name},
        "value": value,
        "target": {"type": target},
    }


def test_emu_20_attributes_are_changed():
    shop = load(
        campaign(
            update("profile", "increaseBy", 5),
            update("session", "setTo", "{{$Session.Total}}", "seen"),
            update("allItems", "setTo", "acme", "brand"),
            update("profile", "toggle", None, "vip"),
        )
    )
    outcome = shop.put(profile_id="bob", cart_items=[item("7")])
    paths = [(entry["path"], entry["value"]) for entry in effects(outcome, "updateAttribute")]
    assert paths == [
        ("Profile.Attributes.points", 5),
        ("Session.Attributes.seen", 7),
        ("Session.CartItems[0].Attributes.brand", "acme"),
        ("Profile.Attributes.vip", True),
    ]
    assert shop.world.profiles["bob"].attributes == {"points": 5, "vip": True}
    assert outcome.session.attributes == {"seen": 7}
    assert outcome.session.cart_items[0]["attributes"] == {"brand": "acme"}
    shop.dry(profile_id="bob", cart_items=[item("7")])
    assert shop.world.profiles["bob"].attributes["points"] == 5


def test_emu_20_attributes__a_repeated_close_is_the_same_close():
    shop = load(
        campaign(update("session", "setTo", "x", "seen"), update("profile", "increaseBy", 1))
    )
    content = {"profile_id": "bob", "attributes": {"seen": "y"}, "state": "closed"}
    shop.put(**content)
    shop.put(**content)
    assert shop.world.profiles["bob"].attributes == {"points": 1}
    assert shop.put(state="cancelled").session.attributes == {"seen": "x"}


def test_emu_20_attributes__of_nobody_or_without_value():
    shop = load(
        campaign(update("profile", "setTo", 1)),
        campaign(update("advocateProfile", "setTo", 1), number=2),
        campaign(update("session", "divideBy", 0), number=3),
    )
    told_why = [entry["details"] for entry in reasons(shop.put())]
    assert told_why[:2] == [
        "there is no profile to update",
        "there is no advocateProfile to update",
    ]
    assert "has no value" in told_why[2]


def test_emu_20_giveaways_are_announced_then_given():
    pool = {"id": 3, "name": "Vouchers"}
    block = {"type": "awardGiveaway", "giveawayPool": pool, "profile": "Current"}
    shop = load(campaign(block), giveaways=[{**pool, "codes": ["V-1"]}])
    [will] = effects(shop.put(profile_id="bob"), "willAwardGiveaway")
    assert will["recipientIntegrationId"] == "bob"
    [given] = effects(shop.put(state="closed"), "awardGiveaway")
    assert given["code"] == "V-1"
    shop.put(state="cancelled")
    assert [entry.code for entry in shop.world.profiles["bob"].giveaways] == ["V-1"]
    assert "no code left" in reasons(shop.put("second", profile_id="bob"))[0]["details"]


def test_emu_20_failure_effects():
    custom = {"type": "triggerCustomEffect", "customEffect": {"id": 1, "name": "nudge"}}
    failing = check("$Session.Total", "greaterThan", value=100, onFailure=[NOTE, custom])
    outcome = load(campaign(failing, discount(1))).put()
    assert [e.effect_type for e in outcome.evaluation.effects] == [
        "showNotification",
        "customEffect",
    ]
    assert reasons(outcome)[0]["conditionIndex"] == 0


def test_emu_20_budget_conditions():
    available = {"type": "checkBudget", "operator": "available", "action": "setDiscount"}
    enough = {**available, "operator": "enoughFor", "value": 5}
    limits = [{"action": "setDiscount", "limit": 6}]
    shop = load(campaign(enough, discount(5), limits=limits), campaign(available, NOTE, number=2))
    assert len(effects(shop.put(cart_items=[item("9")], state="closed"), "setDiscount")) == 1
    later = shop.put("later", cart_items=[item("9")])
    assert reasons(later)[0]["details"] == "the budget setDiscount has 1 left"


@pytest.mark.parametrize(
    ("entities", "second", "allowed"),
    [
        ([], {"profile_id": "eve"}, False),
        (["Profile"], {"profile_id": "bob"}, False),
        (["Profile"], {"profile_id": "eve"}, True),
        (["Identifier"], {"profile_id": "eve", "identifiers": ["ip"]}, False),
        (["Identifier"], {"profile_id": "bob", "identifiers": ["other"]}, True),
        (["Session"], {"profile_id": "bob"}, True),
        (["Store"], {"extras": {"storeIntegrationId": "S1"}}, False),
        (["Store"], {"extras": {"storeIntegrationId": "S2"}}, True),
        (["Profile", "Identifier"], {"profile_id": "bob", "identifiers": ["other"]}, True),
    ],
)
def test_emu_20_budgets_by_entity(entities, second, allowed):
    limits = [{"action": "setDiscountEffect", "limit": 1, "entities": entities}]
    shop = load(campaign(discount(1), limits=limits))
    cart = {"cart_items": [item("9")]}
    first = {"profile_id": "bob", "identifiers": ["ip"], "extras": {"storeIntegrationId": "S1"}}
    shop.put("first", **cart, **first)
    assert shop.app.spent == {}
    shop.put("first", state="closed")
    assert bool(effects(shop.put("second", **cart, **second), "setDiscount")) is allowed
    shop.put("first", state="cancelled")
    assert shop.app.spent == {}
    assert effects(shop.put("second"), "setDiscount")


def test_emu_20_budgets_by_period():
    limits = [{"action": "setDiscountEffect", "limit": 1, "period": "daily"}]
    shop = load(campaign(discount(1), limits=limits))
    shop.put("first", cart_items=[item("9")], state="closed")
    assert not effects(shop.put("second", cart_items=[item("9")]), "setDiscount")
    shop.pass_time(days=1)
    assert effects(shop.put("second"), "setDiscount")


def test_emu_20_budgets_per_profile_need_one():
    limits = [{"action": "setDiscountEffect", "limit": 1, "entities": ["Profile"]}]
    shop = load(campaign(discount(1), limits=limits))
    assert "per profile" in reasons(shop.put(cart_items=[item("9")]))[0]["details"]


def test_emu_20_coupon_budgets_and_gift_cards():
    limits = [{"action": "redeemCoupon", "limit": 1, "entities": ["Profile"]}]
    coupons = [{"value": "MINE", "limits": limits}, {"value": "CARD", "discountLimit": 5}]
    partly = {**discount("{{$Session.Total}}"), "partial": True}
    shop = load(campaign(CHECK_COUPON, partly, coupons=coupons))
    cart = {"profile_id": "bob", "cart_items": [item("3")]}
    shop.put("a", **cart, coupon_codes=["MINE"], state="closed")
    again = shop.put("b", **cart, coupon_codes=["MINE"])
    assert told(again) == [("rejectCoupon", "MINE", "ProfileLimitReached")]
    shop.put("c", **cart, coupon_codes=["CARD"], state="closed")
    assert shop.app.coupons["CARD"].discount_counter == 3
    rest = shop.put("d", **cart, coupon_codes=["CARD"], state="closed")
    assert effects(rest, "setDiscount") == [{"name": "off", "value": 2, "desiredValue": 3}]
    empty = shop.put("e", **cart, coupon_codes=["CARD"])
    assert told(empty) == [("rejectCoupon", "CARD", "EffectCouldNotBeApplied")]


def test_emu_20_referral_budgets():
    limits = [{"action": "redeemReferral", "limit": 1}]
    referrals = [{"code": code, "advocateProfileIntegrationId": "ada"} for code in ("REF1", "REF2")]
    shop = load(campaign(CHECK_REFERRAL, discount(1), limits=limits, referrals=referrals))
    shop.put("a", profile_id="bob", referral_code="REF1", state="closed")
    second = shop.put("b", profile_id="eve", referral_code="REF2")
    assert told(second) == [("rejectReferral", "REF2", "CampaignLimitReached")]


def test_emu_20_two_codes_and_one_redemption():
    limits = [{"action": "redeemCoupon", "limit": 1}]
    coupons = [{"value": "CODE1"}, {"value": "CODE2"}]
    shop = load(campaign(CHECK_COUPON, discount(1), limits=limits, coupons=coupons))
    outcome = shop.put(cart_items=[item("9")], coupon_codes=["CODE1", "CODE2"])
    assert told(outcome)[-1] == ("rejectCoupon", "CODE2", "CampaignLimitReached")


def test_emu_20_two_codes_and_one_redemption_per_profile():
    limits = [{"action": "redeemCoupon", "limit": 1, "entities": ["Profile"]}]
    coupons = [{"value": "CODE1"}, {"value": "CODE2"}]
    shop = load(campaign(CHECK_COUPON, discount(1), limits=limits, coupons=coupons))
    outcome = shop.put(profile_id="bob", cart_items=[item("9")], coupon_codes=["CODE1", "CODE2"])
    assert told(outcome)[-1] == ("rejectCoupon", "CODE2", "ProfileLimitReached")


def test_emu_20_budgets_of_campaign_and_coupon_are_counted_apart():
    of_campaign = {"action": "redeemCoupon", "limit": 2, "entities": ["Profile"]}
    coupons = [{"value": "CODE1", "limits": [{**of_campaign, "limit": 1}]}, {"value": "CODE2"}]
    shop = load(campaign(CHECK_COUPON, limits=[of_campaign], coupons=coupons))
    for number in (1, 2):
        outcome = shop.put(
            f"s{number}", profile_id="bob", coupon_codes=[f"CODE{number}"], state="closed"
        )
        assert told(outcome) == [("acceptCoupon", f"CODE{number}")]


def grouped(mode, *values, **more):
    coupons = [[{"value": f"CODE{n}"}] for n in (1, 2)]
    rows = [
        campaign(CHECK_COUPON, discount(value), number=n, coupons=coupons[n - 1])
        for n, value in enumerate(values, 1)
    ]
    shop = load(*rows, evaluationGroups=[{"mode": mode, "elements": [1, 2]}], **more)
    return shop.put(cart_items=[item("50")], coupon_codes=["CODE1", "CODE2"])


@pytest.mark.parametrize(
    ("mode", "values", "won", "why"),
    [
        ("listOrder", (1, 9), 1, "CampaignIsNotFirst"),
        ("highestDiscount", (1, 9), 9, "CampaignGaveLowerDiscount"),
        ("lowestDiscount", (1, 9), 1, "CampaignGaveLowerDiscount"),
    ],
)
def test_emu_20_groups(mode, values, won, why):
    outcome = grouped(mode, *values)
    assert [entry["value"] for entry in effects(outcome, "setDiscount")] == [won]
    [rejected] = effects(outcome, "rejectCoupon")
    assert rejected["rejectionReason"] == "CouponPartOfNotTriggeredCampaign"
    assert rejected["campaignExclusionReason"] == why


def test_emu_20_groups__stackable_takes_both():
    assert len(effects(grouped("stackable", 1, 9), "setDiscount")) == 2


def test_emu_20_groups__the_next_one_if_the_first_fails():
    failing = campaign(check("$Session.Total", "greaterThan", value=99), discount(1))
    rows = [failing, campaign(discount(2), number=2), campaign(discount(3), number=3)]
    inner = {"mode": "highestDiscount", "elements": [2, 3]}
    shop = load(*rows, evaluationGroups=[{"mode": "listOrder", "elements": [1, inner]}])
    outcome = shop.put(cart_items=[item("50")])
    assert [entry["value"] for entry in effects(outcome, "setDiscount")] == [3]
    assert reasons(outcome)[0]["evaluationGroupMode"] == "listOrder"
    nothing = load(failing, evaluationGroups=[{"mode": "highestDiscount", "elements": [1]}])
    assert len(reasons(nothing.put())) == 1


def test_emu_20_groups__the_campaign_set_of_2020():
    rows = [campaign(discount(n), number=n) for n in (1, 2, 3)]
    leaves = [{"type": "CAMPAIGN", "campaignId": n} for n in (2, 1)]
    tree = {"type": "SET", "operator": "FIRST", "elements": leaves}
    outcome = load(*rows, campaignSet=tree).put(cart_items=[item("50")])
    assert [entry["value"] for entry in effects(outcome, "setDiscount")] == [2, 3]


def test_emu_20_evaluable_campaigns_only():
    rows = [
        campaign(CHECK_COUPON, discount(n), number=n, coupons=[{"value": f"CODE{n}"}])
        for n in (1, 2)
    ]
    shop = load(*rows)
    extras = {"evaluableCampaignIds": [1]}
    outcome = shop.dry(cart_items=[item("9")], coupon_codes=["CODE1", "CODE2"], extras=extras)
    [rejected] = effects(outcome, "rejectCoupon")
    assert rejected["campaignExclusionReason"] == "CampaignNotInEvaluationSet"


@pytest.mark.parametrize(
    ("seed", "path"),
    [
        ({"evaluationGroups": [{"mode": "best", "elements": []}]}, "evaluationGroups[0].mode"),
        (
            {"evaluationGroups": [{"mode": "listOrder", "elements": [9]}]},
            "evaluationGroups[0].elements[0]",
        ),
        (
            {"evaluationGroups": [{"mode": "listOrder", "elements": [1, 1]}]},
            "evaluationGroups[0].elements[1]",
        ),
        (
            {
                "evaluationGroups": [{"mode": "listOrder", "elements": [1]}],
                "campaignSet": {"type": "SET", "operator": "ALL", "elements": []},
            },
            "campaignSet",
        ),
        ({"application": {"caseSensitivity": "odd"}}, "application.caseSensitivity"),
        (
            {"application": {"enableCascadingDiscounts": 1}},
            "application.enableCascadingDiscounts",
        ),
        ({"decisions": {"colour": 1}}, "decisions.colour"),
        ({"decisions": {"dialect": "1999"}}, "decisions.dialect"),
        ({"decisions": {"shuffle_effects": 1}}, "decisions.shuffle_effects"),
        ({"decisions": []}, "decisions"),
        ({"audiences": [{"id": 1}]}, "audiences[0]"),
        ({"collections": {"a": 1}}, "collections.a"),
        ({"giveaways": [{"id": 1, "name": "x", "codes": [1]}]}, "giveaways[0].codes[0]"),
    ],
)
def test_emu_20_bad_settings_name_their_path(seed, path):
    with pytest.raises(SeedError) as caught:
        load(campaign(), **seed)
    assert caught.value.path == path


def blocks(*listed, **more):
    return campaign(*listed, **more)


UNKNOWN_AUDIENCE = audience("checkAudience", "member")


@pytest.mark.parametrize(
    ("described", "path"),
    [
        (blocks({"type": "checkLoyaltyBalance"}), "blocks[0]"),
        (blocks({"type": "checkAchievement"}), "blocks[0]"),
        (blocks(UNKNOWN_AUDIENCE), "blocks[0].audience.id"),
        (blocks({**UNKNOWN_AUDIENCE, "operator": "x"}), "blocks[0].operator"),
        (blocks(check("$Session.Total", "between", min=1, max=[])), "blocks[0].max"),
        (blocks(check("$Now", "after", value="soon")), "blocks[0].value"),
        (
            blocks(
                check(
                    "$Now", "within", start="2026-01-01", end="2026-01-02", timezoneInsensitive=True
                )
            ),
            "blocks[0].timezoneInsensitive",
        ),
        (blocks(check("$Session.State", "oneOf", value="open")), "blocks[0].value"),
        (blocks(check("$Session.State", "inCollection", value="none")), "blocks[0].value"),
        (
            blocks(check("$Session.Identifiers", "containsAtLeast", values=["a"], count=-1)),
            "blocks[0].count",
        ),
        (blocks(check("$Selectors.None", "empty")), "blocks[0].attribute"),
        (blocks(discount("{{$Selectors.None}}")), "blocks[0].value"),
        (blocks(discount(True)), "blocks[0].value"),
        (blocks(discount("ten")), "blocks[0].value"),
        (blocks(discount(1, type="globalFilter", name="x")), "blocks[0].target"),
        (
            blocks(discount(1, **SHIPPING, target={"type": "allItems", "prorated": True})),
            "blocks[0].target.target.prorated",
        ),
        (
            blocks({"type": "checkBudget", "operator": "available", "action": "x"}),
            "blocks[0].action",
        ),
        (
            blocks(
                {
                    "type": "awardGiveaway",
                    "giveawayPool": {"id": 1, "name": "x"},
                    "profile": "Current",
                }
            ),
            "blocks[0].giveawayPool.id",
        ),
        (blocks({**MADE, "pattern": "#"}), "blocks[0].pattern"),
        (blocks({**MADE, "expiryDate": "soon"}), "blocks[0].expiryDate"),
        (blocks(update("session", "laterBy", 1)), "blocks[0].operator"),
        (blocks(update("bundle", "setTo", 1)), "blocks[0].target"),
        (
            blocks({"type": "checkEvent", "eventType": "x", "matchers": [NOTE]}),
            "blocks[0].matchers[0]",
        ),
    ],
)
def test_emu_20_unsupported_blocks_name_their_path(described, path):
    with pytest.raises(SeedError) as caught:
        load(described)
    assert caught.value.path == f"campaigns[0].ruleset.promotionRules[0].{path}"


@pytest.mark.parametrize(
    "step",
    [
        {"type": "sort", "fields": []},
        {"type": "reduce", "operator": "sum"},
        {"type": "reduce", "operator": "median"},
        {"type": "map", "expression": "{{$Item.Weather}}"},
    ],
)
def test_emu_20_unsupported_selector_steps_name_their_path(step):
    described = campaign(discount(1, type="selector", name="Mugs"))
    described["ruleset"]["selectors"] = selector(step)
    with pytest.raises(SeedError) as caught:
        load(described)
    assert caught.value.path.startswith("campaigns[0].ruleset.selectors[0].steps[1]")
