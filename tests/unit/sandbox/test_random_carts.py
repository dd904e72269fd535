"""Random carts and random campaigns: sums add up, no base is exceeded, a cancel undoes a close."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from copy import deepcopy
from decimal import Decimal, localcontext

import pytest

from django_talon.sandbox.applying import PRECISION
from django_talon.sandbox.engine import render, returns, totals
from django_talon.sandbox.engine.budgets import KEPT_ON_CANCEL, action

from .shop import CHECK_COUPON, CHECK_REFERRAL, Shop, campaign, discount, item

RUNS = int(os.environ.get("SANDBOX_RANDOM_CARTS", "500"))
VALUES = (1, 5, 500, "{{$Session.CartTotal * 0.1}}", "{{$Session.Total / 3}}", -2)
PER_ITEM = (1, 50, "{{$Item.Price * 0.15}}", "{{$Item.Price / 3}}")
SHIPPING = {"type": "additionalCost", "additionalCost": {"name": "shipping"}}
BRAND = {
    "name": "Acme",
    "source": "$Session.CartItems",
    "steps": [
        {
            "type": "filter",
            "predicate": {
                "type": "checkAttribute",
                "attribute": "$Item.SKU",
                "operator": "startsWith",
                "value": "a",
            },
        }
    ],
}


def _block(chance):
    kind = chance.randrange(7)
    if kind <= 1:
        block = discount(chance.choice(VALUES))
    elif kind == 2:
        block = discount(chance.choice(PER_ITEM), type="allItems")
    elif kind == 3:
        block = discount(chance.choice(PER_ITEM), type="selector", name="Acme")
    elif kind == 4:
        block = discount(chance.choice((3, 7, 1000)), type="allItems", prorated=True)
    elif kind == 5:
        block = discount(chance.choice((1, 9)), **SHIPPING)
    else:
        made = {"type": "createCoupon", "campaignId": 1, "recipientId": ""}
        return {**made, "storeInSession": False}
    return {**block, "name": f"off {chance.randrange(9)}", "partial": chance.random() < 0.3}


def _limits(chance):
    actions = ("setDiscount", "setDiscountEffect", "redeemCoupon", "createCoupon")
    entities = ([], ["Profile"], ["Identifier"], ["Coupon"])
    return [
        {
            "action": chance.choice(actions),
            "limit": chance.choice((1, 4, 40)),
            "entities": chance.choice(entities),
        }
        for _ in range(chance.randrange(3))
    ]


def _campaign(chance, number):
    blocks = [_block(chance) for _ in range(chance.randint(1, 3))]
    checks = chance.choice(([], [CHECK_COUPON], [CHECK_REFERRAL]))
    described = campaign(*checks, *blocks, number=number, limits=_limits(chance))
    described["ruleset"]["selectors"] = [BRAND]
    if CHECK_COUPON in checks:
        card = {"discountLimit": Decimal(chance.randint(1, 50))} if chance.random() < 0.3 else {}
        described["coupons"] = [{"value": f"CODE{number}", "usageLimit": 2, **card}]
    if CHECK_REFERRAL in checks:
        described["referrals"] = [{"code": f"REF{number}", "advocateProfileIntegrationId": "ada"}]
    return described


def _seed(chance):
    campaigns = [_campaign(chance, number) for number in range(1, chance.randint(2, 7))]
    seed = {"campaigns": campaigns, "additionalCosts": ["shipping"]}
    if len(campaigns) > 2 and chance.random() < 0.4:
        mode = chance.choice(("listOrder", "highestDiscount", "lowestDiscount"))
        seed["evaluationGroups"] = [{"mode": mode, "elements": [1, 2]}]
    seed["application"] = {"enableCascadingDiscounts": chance.random() < 0.3}
    return seed


def _cart(chance):
    rows = []
    for _ in range(chance.randint(0, 5)):
        price = str(Decimal(chance.randrange(0, 20000)) / 100)
        rows.append(item(price, chance.randint(1, 4), sku=chance.choice(("a1", "a2", "b1"))))
    return {
        "profile_id": chance.choice(("", "bob", "eve")),
        "cart_items": rows,
        "coupon_codes": [f"CODE{n}" for n in range(1, 7) if chance.random() < 0.5],
        "referral_code": chance.choice(("", "REF1", "REF2", "REF3")),
        "additional_costs": chance.choice(({}, {"shipping": {"price": Decimal("4.90")}})),
        "identifiers": chance.choice(([], ["ip"], ["ip", "device"])),
    }


def _check_bases(shop, session, effects):
    units, costs = defaultdict(Decimal), defaultdict(Decimal)
    everything = Decimal(0)
    for effect in effects:
        if not effect.effect_type.startswith("setDiscount"):
            continue
        value = effect.props["value"]
        assert value > 0
        everything += value
        if "position" in effect.props:
            units[effect.props["position"], effect.props["subPosition"]] += value
        if "additionalCost" in effect.props:
            costs[effect.props["additionalCost"]] += value
    assert everything <= totals.total(session)
    prices = {(u.position, u.sub_position): u.price for u in totals.units(session.cart_items)}
    assert all(value <= prices[place] for place, value in units.items())
    assert all(v <= session.additional_costs[name]["price"] for name, v in costs.items())
    for key, spent in shop.app.spent.items():
        owner, index, *_ = key
        if index >= 0 and owner in shop.app.campaigns:
            assert spent <= shop.app.campaigns[owner].limits[index].limit
    for coupon in shop.app.coupons.values():
        assert coupon.discount_limit is None or coupon.discount_counter <= coupon.discount_limit


def _check_sums(shop, session):
    shown = render.session_v2(session)
    lines = sum((i["price"] * i["quantity"] for i in shown["cartItems"]), Decimal(0))
    assert shown["cartItemTotal"] == lines
    costs = sum((c["price"] for c in shown["additionalCosts"].values()), Decimal(0))
    assert shown["additionalCostTotal"] == costs
    assert shown["total"] == lines + costs


def _counters(shop):
    spent = {k: v for k, v in shop.app.spent.items() if action(k) not in KEPT_ON_CANCEL}
    coupons = {
        code: (c.usage_counter, c.discount_counter, +c.redeemed_by)
        for code, c in shop.app.coupons.items()
        if code.startswith("CODE")
    }
    referrals = {r.code: (r.usage_counter, list(r.referred)) for r in shop.app.referrals.values()}
    profiles = {
        p.integration_id: (p.closed_sessions, p.total_sales) for p in shop.world.profiles.values()
    }
    return deepcopy((spent, coupons, referrals, profiles))


def _undo(chance, shop, session_id):
    if chance.random() < 0.3:
        returns.reopen(shop.world, shop.app, session_id)
        return
    session = shop.app.sessions[session_id]
    if session.cart_items and chance.random() < 0.4:
        rows = [{"position": 0, "quantity": 1}]
        returns.give_back(shop.world, shop.app, session_id, rows, dry=False)
        _check_bases(shop, session, [])
    shop.put(session_id, state="cancelled")


def _live(seed):
    chance = random.Random(seed)
    shop = Shop()
    shop.load(_seed(chance))
    for number in range(3):
        name = f"s{number}"
        cart = _cart(chance)
        opened = shop.put(name, **cart)
        _check_sums(shop, opened.session)
        _check_bases(shop, opened.session, opened.evaluation.effects)
        before = _counters(shop)
        closed = shop.put(name, state="closed")
        _check_bases(shop, closed.session, closed.evaluation.effects)
        again = _counters(shop)
        shop.put(name, state="closed")
        assert _counters(shop) == again
        if chance.random() < 0.6:
            _undo(chance, shop, name)
            assert _counters(shop) == before


@pytest.mark.parametrize("part", range(10))
def test_emu_20_random_carts(part):
    for number in range(part, RUNS, 10):
        try:
            with localcontext(PRECISION):
                _live(number)
        except AssertionError as error:
            raise AssertionError(f"seed {number}") from error
