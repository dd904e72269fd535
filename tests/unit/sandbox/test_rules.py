from __future__ import annotations

from decimal import Decimal

import pytest

from django_talon.sandbox.engine import campaigns, events, expressions, operators
from django_talon.sandbox.engine.blocks import SeedError
from django_talon.sandbox.seeds import load

from .shop import CHECK_COUPON, CHECK_REFERRAL, Shop, campaign, discount, item, reasons, told

NOTE = {
    "type": "showNotification",
    "notificationType": "Info",
    "title": "Hi",
    "body": "{{$Session.Total}}",
}
ALL_ITEMS = {"type": "allItems"}


def check(attribute, operator, *value, **more):
    given = {"value": value[0]} if value else {}
    return {"type": "checkAttribute", "attribute": attribute, "operator": operator, **given, **more}


def group(operator, *blocks, **more):
    return {"type": "group", "operator": operator, "blocks": list(blocks), **more}


def test_emu_20_per_item_discounts_are_per_unit():
    shop = Shop(campaign(discount("{{$Item.Price * 0.1}}", **ALL_ITEMS)))
    outcome = shop.put(cart_items=[item("99.99", 2), item("5")])
    assert told(outcome) == [
        ("setDiscountPerItem", Decimal("9.999"), 0, 0),
        ("setDiscountPerItem", Decimal("9.999"), 0, 1),
        ("setDiscountPerItem", Decimal("0.5"), 1, 0),
    ]
    assert [e.props["name"] for e in outcome.evaluation.effects] == ["off#0", "off#0", "off#1"]


def test_emu_20_selectors_choose_items():
    selector = {
        "name": "Blue",
        "type": "selector",
        "source": "$Session.CartItems",
        "steps": [
            {
                "type": "filter",
                "predicate": group(
                    "all",
                    check("$Item.Attributes.color", "equals", "blue"),
                    group("none", check("$Item.SKU", "startsWith", "x")),
                ),
            }
        ],
    }
    described = campaign(CHECK_COUPON, discount(1, type="selector", name="Blue"))
    described["ruleset"]["selectors"] = [selector]
    shop = Shop({**described, "coupons": [{"value": "BLUE"}]})
    blue = {"attributes": {"color": "blue"}}
    items = [item(), item(**blue), {**item(**blue), "sku": "x1"}]
    outcome = shop.put(cart_items=items, coupon_codes=["BLUE"])
    assert told(outcome)[1:] == [("setDiscountPerItem", Decimal(1), 1, 0)]
    none = shop.put(cart_items=[item()])
    assert told(none) == [("rejectCoupon", "BLUE", "EffectCouldNotBeApplied")]


def test_emu_20_nothing_is_discounted_below_zero():
    shop = Shop(
        campaign(discount(8, **ALL_ITEMS)),
        campaign(discount(50), number=2),
        campaign(discount(50), number=3),
        campaign(discount(-5), number=4),
    )
    outcome = shop.put(cart_items=[item("5"), item("20")])
    assert told(outcome) == [
        ("setDiscountPerItem", Decimal(5), 0, 0),
        ("setDiscountPerItem", Decimal(8), 1, 0),
        ("setDiscount", Decimal(12)),
    ]


def test_emu_20_shipping_discount():
    target = {"type": "additionalCost", "additionalCost": {"name": "shipping"}}
    shop = Shop(campaign(discount(100, **target)))
    outcome = shop.put(additional_costs={"shipping": {"price": Decimal("4.95")}})
    assert outcome.evaluation.effects[0].props == {
        "name": "off",
        "additionalCostId": 1,
        "additionalCost": "shipping",
        "value": Decimal("4.95"),
    }


def test_emu_20_rules_are_atomic_and_say_why():
    target = {"type": "additionalCost", "additionalCost": {"name": "shipping"}}
    shop = Shop(
        campaign(NOTE, discount(3), discount(1, **target)), campaign(discount(30), number=2)
    )
    outcome = shop.put(cart_items=[item("10")])
    assert told(outcome) == [("setDiscount", Decimal(10))]
    assert reasons(outcome) == [
        {
            "campaignID": 1,
            "campaignName": "campaign 1",
            "rulesetID": 1,
            "ruleIndex": 0,
            "ruleName": "the rule",
            "details": 'the session has no additional cost "shipping"',
            "effectIndex": 2,
        }
    ]


def test_emu_20_conditions_on_session_profile_and_attributes():
    shop = Shop(
        campaign(
            check("$Session.Total", "between", min=10, max=100),
            check("$Session.Attributes.channel", "oneOf", ["web", "app"]),
            check("$Profile.Attributes.tier", "equals", "gold"),
            check("$Profile.ClosedSessions", "equals", 0),
            check("$Session.FirstSession", "isTrue"),
            discount(1),
        )
    )
    gold = {"profile_id": "ada", "attributes": {"channel": "web"}, "cart_items": [item()]}
    shop.put(**gold)
    shop.world.profiles["ada"].attributes = {"tier": "gold"}
    assert told(shop.put()) == [("setDiscount", Decimal(1))]
    silent = shop.put("anonymous", cart_items=[item()], attributes={"channel": "web"})
    assert next(iter(silent.evaluation.failures)).condition == 2
    assert str(next(iter(silent.evaluation.failures)).error) == (
        "$Profile.Attributes.tier is None, wanted equals gold"
    )


@pytest.mark.parametrize(
    ("operator", "total", "fires"),
    [
        ("all", "10", False),
        ("all", "30", True),
        ("atLeastOne", "10", True),
        ("atLeastOne", "3", False),
        ("none", "3", True),
        ("none", "10", False),
    ],
)
def test_emu_20_groups(operator, total, fires):
    inner = (check("$Session.Total", "greaterThan", 5), check("$Session.Total", "greaterThan", 20))
    shop = Shop(campaign(group(operator, *inner), discount(1)))
    assert bool(told(shop.put(cart_items=[item(total)]))) is fires


def test_emu_20_failure_effects():
    sorry = {**NOTE, "title": "Add more"}
    shop = Shop(
        campaign(check("$Session.Total", "greaterThan", 50, onFailure=[sorry]), discount(1))
    )
    outcome = shop.put(cart_items=[item()])
    assert outcome.evaluation.effects[0].props == {
        "notificationType": "Info",
        "title": "Add more",
        "body": "10",
    }
    assert told(shop.put(cart_items=[item("60")])) == [("setDiscount", Decimal(1))]


def test_emu_20_free_items():
    award = {"type": "awardItem", "sku": "pin", "name": "Pin", "quantity": "{{$Session.Total / 5}}"}
    outcome = Shop(campaign(award)).put(cart_items=[item("10")])
    assert [e.props for e in outcome.evaluation.effects] == [{"sku": "pin", "name": "Pin"}] * 2


def test_emu_20_events_run_only_their_rules():
    told_event = check("$Event.Attributes.source", "equals", "footer")
    on_event = campaign({"type": "checkEvent", "eventType": "newsletter"}, told_event, NOTE)
    shop = Shop(on_event, campaign(NOTE, number=2))
    request = {"type": "newsletter", "profileId": "ada", "attributes": {"source": "footer"}}
    outcome = events.track(shop.world, shop.app, request, dry=False)
    assert [e.campaign_id for e in outcome.evaluation.effects] == [1]
    assert [e.campaign_id for e in shop.put().evaluation.effects] == [2]


def test_emu_20_evaluable_campaigns():
    shop = Shop(campaign(discount(1)), campaign(discount(2), number=2))
    outcome = shop.dry(cart_items=[item()], extras={"evaluableCampaignIds": [2]})
    assert told(outcome) == [("setDiscount", Decimal(2))]


def test_emu_20_campaign_window():
    shop = Shop(campaign(discount(1), startTime="2026-03-02T00:00:00Z", endTime="2026-03-03"))
    assert told(shop.put(cart_items=[item()])) == []
    assert told(shop.dry(cart_items=[item()], now=shop.now.replace(day=2)))
    shop.pass_time(days=1)
    assert told(shop.put()) == [("setDiscount", Decimal(1))]
    shop.pass_time(days=1)
    assert told(shop.put()) == []


@pytest.mark.parametrize(
    ("operator", "value", "block", "expected"),
    [
        ("equals", Decimal("1.0"), {"value": 1}, True),
        ("not(equals)", "a", {"value": "a"}, False),
        ("lessThan", 1, {"value": 2}, True),
        ("lessThanOrEqual", 2, {"value": 2}, True),
        ("greaterThan", "2", {"value": 1}, False),
        ("greaterThanOrEqual", None, {"value": 1}, False),
        ("between", Decimal("1.5"), {"min": 1, "max": 2}, True),
        ("contains", "blue mug", {"value": "mug"}, True),
        ("not(contains)", ["a"], {"value": "b"}, True),
        ("startsWith", None, {"value": "b"}, False),
        ("endsWith", "mug", {"value": "g"}, True),
        ("matchesRegexp", "MUG-1", {"value": "(?i)mug"}, True),
        ("matchesRegexp", "\\1", {"value": r"^\\1$"}, True),
        ("not(oneOf)", "c", {"value": ["a", "b"]}, True),
        ("empty", "", {}, True),
        ("not(empty)", [1], {}, True),
        ("exists", None, {}, False),
        ("not(exists)", None, {}, True),
        ("isFalse", False, {}, True),
    ],
)
def test_emu_20_operators(operator, value, block, expected):
    assert operators.OPERATORS[operator](value, block) is expected


def test_emu_20_expressions():
    values = {"$A": Decimal("99.99"), "$B": True}
    assert expressions.number("{{ $A * 0.1 }}", values.get) == Decimal("9.999")
    assert expressions.number("-(1 + 2) * 3 - 4 / 2", values.get) == -11
    assert expressions.text("a {{$A}} b {{$A - 90}}", values.get) == "a 99.99 b 9.99"
    for wrong in ("1 +", "(1", "1 2", "$A ** 2", "import os", "$B + 1", "1 / 0", "", "*", "(" * 99):
        with pytest.raises(expressions.ExpressionError):
            expressions.evaluate(wrong, values.get)


@pytest.mark.parametrize(
    ("described", "path"),
    [
        (campaign({"type": "passthrough", "expression": []}), "blocks[0]"),
        (campaign(group("all", {"type": "createCoupon"})), "blocks[0].blocks[0]"),
        (campaign(group("some")), "blocks[0].operator"),
        (campaign(check("$Session.Total", "smells")), "blocks[0].operator"),
        (campaign(check("$Session.Total", "equals")), "blocks[0]"),
        (campaign(check("$Session.Weather", "empty")), "blocks[0].attribute"),
        (campaign(check("$Item.Price", "empty")), "blocks[0].attribute"),
        (campaign(check("$Session.State", "matchesRegexp", "(")), "blocks[0].value"),
        (campaign(check("$Session.State", "matchesRegexp", "a(?=b)")), "blocks[0].value"),
        (campaign(check("$Session.State", "matchesRegexp", r"(a)\\\1")), "blocks[0].value"),
        (campaign(discount(1, type="bundle", name="x")), "blocks[0].target"),
        (campaign(check("$Session.Created", "within", start="x", end="y")), "blocks[0].start"),
        (campaign(discount(1, type="selector", name="x")), "blocks[0].target.name"),
        (campaign(discount("{{$Item.Price}}")), "blocks[0].value"),
        (campaign(discount("{{1 +}}")), "blocks[0].value"),
        (campaign({**CHECK_REFERRAL, "onFailure": [CHECK_COUPON]}), "blocks[0].onFailure[0]"),
        (campaign({**CHECK_COUPON, "colour": 1}), "blocks[0].colour"),
        (campaign({"type": "checkCoupon"}), "blocks[0]"),
    ],
)
def test_emu_20_unsupported_blocks_name_their_path(described, path):
    with pytest.raises(SeedError) as caught:
        campaigns.parse({"campaigns": [described]})
    assert caught.value.path == f"campaigns[0].ruleset.promotionRules[0].{path}"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ([], "seed"),
        ({"colour": 1}, "seed.colour"),
        ({"campaigns": {}}, "campaigns"),
        ({"campaigns": [{"id": 0, "name": "a"}]}, "campaigns[0].id"),
        ({"campaigns": [{"id": 1, "name": ""}]}, "campaigns[0].name"),
        ({"campaigns": [campaign(), campaign()]}, "campaigns"),
        ({"campaigns": [campaign(state="odd")]}, "campaigns[0].state"),
        ({"campaigns": [campaign(startTime="soon")]}, "campaigns[0].startTime"),
        ({"campaigns": [campaign(coupons=[{}])]}, "campaigns[0].coupons[0]"),
        (
            {"campaigns": [campaign(limits=[{"action": "x", "limit": 1}])]},
            "campaigns[0].limits[0].action",
        ),
        (
            {"campaigns": [{**campaign(), "ruleset": {"bundles": [1]}}]},
            "campaigns[0].ruleset.bundles",
        ),
        ({"attributes": {"CartItem": {"a": "int"}}}, "attributes.CartItem.a"),
        ({"eventTypes": [1]}, "eventTypes[0]"),
    ],
)
def test_emu_20_bad_seeds_name_their_path(content, path):
    with pytest.raises(SeedError) as caught:
        campaigns.parse(content)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ({"name": "x", "source": "$Session.Coupons", "steps": []}, "source"),
        ({"name": "x", "source": "$Session.CartItems", "steps": [{"type": "sort"}]}, "steps[0]"),
    ],
)
def test_emu_20_other_selectors_are_refused(selector, path):
    described = campaign()
    described["ruleset"]["selectors"] = [selector]
    with pytest.raises(SeedError) as caught:
        campaigns.parse({"campaigns": [described]})
    assert caught.value.path == f"campaigns[0].ruleset.selectors[0].{path}"


def test_emu_17_seed_files(tmp_path):
    assert load("demo").name == "demo"
    yaml = tmp_path / "shop.yaml"
    yaml.write_text(
        "campaigns:\n- {id: 1, name: A, endTime: 2030-01-01, coupons: [{value: ABCD}]}\n"
    )
    seed = load(str(yaml))
    assert (seed.name, seed.campaigns[0].end_time.year) == ("shop", 2030)
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.yaml").write_text("a: [")
    for name in ("bad.json", "bad.yaml", "absent.json"):
        with pytest.raises(SeedError):
            load(str(tmp_path / name))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00.1+02:00", "2026-03-01T10:00:00.100000+00:00"),
        ("2026-03-01 12:00:00.123456789", "2026-03-01T12:00:00.123456+00:00"),
    ],
)
def test_times(written, meant):
    assert campaigns.moment(written, "here").isoformat() == meant


@pytest.mark.parametrize(
    "written", ["20260301", "2026-13-01", "2026-W01", "0001-01-01T00:00:00+09:00", 5, ""]
)
def test_no_times(written):
    with pytest.raises(SeedError):
        campaigns.moment(written, "here")
