"""From effects to amounts: every sum is exact to the smallest unit of the currency."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_talon.client import Effect, decode_effects
from django_talon.effects.allocation import (
    Allocation,
    LineDiscount,
    NamedDiscount,
    allocate,
    share_out,
)
from django_talon.effects.answer import Rejection, read_answer
from django_talon.shop.snapshots import ItemSnapshot, SessionSnapshot
from django_talon.shop.values import digits

D = Decimal


def effects(*described: tuple[str, dict[str, Any]], **common: Any) -> list[Effect]:
    """Make effects as they come from the wire: effect type and props."""
    entries = [
        {
            "campaignId": 1,
            "rulesetId": 1,
            "ruleIndex": 0,
            "ruleName": "rule",
            "effectType": kind,
            "props": props,
            **common,
        }
        for kind, props in described
    ]
    return decode_effects(json.dumps(entries).encode())


def off(value: float, name: str = "off", **props: Any) -> tuple[str, dict[str, Any]]:
    return "setDiscount", {"name": name, "value": value, **props}


def unit_off(position: int, value: float, unit: int = 0) -> tuple[str, dict[str, Any]]:
    props = {"name": f"unit#{position}", "value": value, "position": position, "subPosition": unit}
    return "setDiscountPerItem", props


def items(*priced: tuple[str, int]) -> list[ItemSnapshot]:
    """Make lines of (price of a unit, quantity) with the keys a, b, c..."""
    return [
        ItemSnapshot(key=key, sku=key, name=key, quantity=quantity, price=D(price))
        for key, (price, quantity) in zip("abcdefghij", priced, strict=False)
    ]


def line(discount: str, total: str) -> LineDiscount:
    return LineDiscount(D(discount), D(total))


def test_nothing_at_all():
    assert allocate([], {}, [], "EUR") == Allocation()
    assert allocate([], {}, effects(off(5)), "EUR") == Allocation()


def test_without_effects_everything_costs_what_it_costs():
    found = allocate(items(("9.99", 2), ("0.01", 1)), {"shipping": D("4.9")}, [], "EUR")
    assert found == Allocation(
        subtotal=D("19.99"),
        additional_costs=D("4.90"),
        discount=D("0.00"),
        lines={"a": line("0.00", "19.98"), "b": line("0.00", "0.01")},
        costs={"shipping": line("0.00", "4.90")},
        discounts=[],
    )
    assert found.total == D("24.89")


def test_a_third_of_a_cent_goes_to_the_largest_remainder():
    found = allocate(items(("10", 1), ("10", 1), ("10", 1)), {}, effects(off(10)), "EUR")
    assert found.lines == {
        "a": line("3.34", "6.66"),
        "b": line("3.33", "6.67"),
        "c": line("3.33", "6.67"),
    }
    assert (found.discount, found.total) == (D("10.00"), D("20.00"))
    assert found.discounts == [NamedDiscount("off", D("10.00"))]


def test_a_session_discount_is_spread_in_proportion_to_what_is_left():
    found = allocate(
        items(("20", 1), ("10", 2)), {}, effects(unit_off(0, 10), off(6, "spring")), "EUR"
    )
    assert found.lines == {"a": line("12.00", "8.00"), "b": line("4.00", "16.00")}
    assert found.discounts == [
        NamedDiscount("unit", D("10.00")),
        NamedDiscount("spring", D("6.00")),
    ]


def test_the_answer_of_the_api_is_rounded_once():
    """Ten per cent of 99.99, as the API gives it: 9.999."""
    found = allocate(items(("99.99", 1)), {}, effects(unit_off(0, 9.999)), "EUR")
    assert (found.discount, found.total) == (D("10.00"), D("89.99"))
    three = [unit_off(0, 0.333, unit) for unit in range(3)]
    found = allocate(items(("3.33", 3)), {}, effects(*three), "EUR")
    assert found.lines == {"a": line("1.00", "8.99")}
    assert found.discounts == [NamedDiscount("unit", D("1.00"))]


def test_units_of_several_lines_are_added_up():
    found = allocate(
        items(("10", 3), ("5", 1), ("7", 2)),
        {},
        effects(unit_off(0, 1), unit_off(0, 2, 1), unit_off(2, 7, 1), unit_off(1, 0.5)),
        "EUR",
    )
    assert {key: part.discount for key, part in found.lines.items()} == {
        "a": D("3.00"),
        "b": D("0.50"),
        "c": D("7.00"),
    }
    assert found.discounts == [NamedDiscount("unit", D("10.50"))]


def test_without_a_sub_position_the_value_is_of_the_whole_line():
    props = {"name": "line#0", "value": 12, "position": 0}
    found = allocate(items(("10", 3)), {}, effects(("setDiscountPerItem", props)), "EUR")
    assert found.lines == {"a": line("12.00", "18.00")}


def test_no_line_and_no_cart_falls_below_zero():
    found = allocate(
        items(("10", 1), ("5", 1)),
        {"shipping": D(4)},
        effects(unit_off(0, 99), off(500)),
        "EUR",
    )
    assert found.lines == {"a": line("10.00", "0.00"), "b": line("5.00", "0.00")}
    assert found.costs == {"shipping": line("4.00", "0.00")}
    assert (found.discount, found.total) == (D("19.00"), D("0.00"))
    assert found.discounts == [NamedDiscount("unit", D("10.00")), NamedDiscount("off", D("9.00"))]


def test_a_negative_discount_takes_nothing():
    found = allocate(items(("10", 1)), {}, effects(off(-5), unit_off(0, -1)), "EUR")
    assert (found.discount, found.discounts) == (D("0.00"), [])


def test_a_line_with_a_negative_price_gets_no_discount():
    """As shops write a gift card or a trade-in."""
    found = allocate(items(("10", 1), ("-8", 1)), {}, effects(off(1)), "EUR")
    assert found.lines == {"a": line("1.00", "9.00"), "b": line("0.00", "-8.00")}
    assert found.total == D("1.00")
    found = allocate(items(("10", 1), ("-8", 1)), {}, effects(off(9)), "EUR")
    assert found.lines == {"a": line("2.00", "8.00"), "b": line("0.00", "-8.00")}
    assert (found.total, found.discounts) == (D("0.00"), [NamedDiscount("off", D("2.00"))])


@pytest.mark.parametrize(
    ("scope", "lines", "costs"),
    [
        ("cartItems", "10.00", "0.00"),
        ("additionalCosts", "0.00", "5.00"),
        ("sessionTotal", "10.00", "5.00"),
        (None, "10.00", "5.00"),
    ],
)
def test_scopes(scope: str | None, lines: str, costs: str):
    found = allocate(items(("10", 1)), {"shipping": D(5)}, effects(off(99, scope=scope)), "EUR")
    assert found.lines["a"].discount == D(lines)
    assert found.costs["shipping"].discount == D(costs)


def test_of_a_session_discount_the_lines_come_first_and_the_costs_get_the_rest():
    found = allocate(items(("10", 1)), {"shipping": D(5)}, effects(off(12)), "EUR")
    assert (found.lines["a"].discount, found.costs["shipping"].discount) == (D("10.00"), D("2.00"))


def test_an_additional_cost_by_its_name():
    props = {"name": "free shipping", "additionalCostId": 3, "value": 4.9}
    found = allocate(
        items(("10", 1)),
        {"shipping": D("4.90"), "wrapping": D(2)},
        effects(
            ("setDiscountPerAdditionalCost", {**props, "additionalCost": "shipping"}),
            ("setDiscountPerAdditionalCost", {**props, "additionalCost": "unknown"}),
        ),
        "EUR",
    )
    assert found.costs == {"shipping": line("4.90", "0.00"), "wrapping": line("0.00", "2.00")}
    assert found.lines == {"a": line("0.00", "10.00")}
    assert found.discounts == [NamedDiscount("free shipping", D("4.90"))]


def test_a_cost_may_be_called_like_a_line():
    found = allocate(items(("10", 1)), {"line 0": D(5)}, effects(unit_off(0, 3)), "EUR")
    assert (found.lines["a"].discount, found.costs["line 0"].discount) == (D("3.00"), D("0.00"))


def test_of_the_same_discount_the_last_one_counts_and_of_others_each():
    same = effects(off(5), off(7))
    assert allocate(items(("100", 1)), {}, same, "EUR").discount == D("7.00")
    other_rule = [*effects(off(5)), *effects(off(7), ruleIndex=1)]
    found = allocate(items(("100", 1)), {}, other_rule, "EUR")
    assert (found.discount, found.discounts) == (D("12.00"), [NamedDiscount("off", D("12.00"))])


def test_a_position_that_was_not_sent_takes_nothing():
    found = allocate(items(("10", 1)), {}, effects(unit_off(1, 3), unit_off(-1, 3)), "EUR")
    assert found.discount == D("0.00")


def test_effects_of_another_shape_are_passed_over():
    strange = effects(
        ("setDiscount", {"name": "no value"}),
        ("setDiscountPerItem", {"name": "x", "value": 5, "position": "first"}),
        ("setDiscountPerAdditionalCost", {}),
        ("somethingNew", {"value": 3}),
        off(2),
    )
    assert allocate(items(("10", 1)), {}, strange, "EUR").discount == D("2.00")


@pytest.mark.parametrize(
    ("currency", "price", "value", "discount", "total"),
    [
        ("JPY", "1000", 333.3, "333", "667"),
        ("JPY", "1000", 0.5, "1", "999"),
        ("KWD", "1.250", 0.0625, "0.063", "1.187"),
        ("EUR", "1.25", 0.125, "0.13", "1.12"),
    ],
)
def test_the_smallest_unit_is_the_currencys(
    currency: str, price: str, value: float, discount: str, total: str
):
    found = allocate(items((price, 1)), {}, effects(off(value)), currency)
    assert (str(found.discount), str(found.total)) == (discount, total)


def test_rounding_is_a_setting():
    with override_settings(TALON_ONE={"ROUNDING": "ROUND_HALF_EVEN"}):
        found = allocate(items(("10", 1)), {}, effects(off(0.125)), "EUR")
    assert found.discount == D("0.12")


def test_prices_finer_than_the_currency_still_add_up():
    """A thousand sheets at 0.4 of a yen each is 400; one is nothing."""
    found = allocate(items(("0.4", 1), ("0.4", 1), ("0.4", 1)), {}, effects(off(99)), "JPY")
    assert found == Allocation(
        subtotal=D(0),
        additional_costs=D(0),
        discount=D(0),
        lines={"a": line("0", "0"), "b": line("0", "0"), "c": line("0", "0")},
        discounts=[],
    )


def test_share_out_gives_each_cent_to_somebody():
    exact = {"a": D("0.335"), "b": D("0.335"), "c": D("0.33")}
    assert share_out(D("1.00"), exact, D("0.01")) == {
        "a": D("0.34"),
        "b": D("0.33"),
        "c": D("0.33"),
    }
    rooms = {"a": D("0.33"), "b": D("9"), "c": D("9")}
    assert share_out(D("1.00"), exact, D("0.01"), rooms) == {
        "a": D("0.33"),
        "b": D("0.34"),
        "c": D("0.33"),
    }


# What holds for any cart and any answer.

prices = st.decimals(0, 2000, places=2) | st.decimals(0, 2, places=4)
carts = st.lists(st.tuples(prices.map(str), st.integers(1, 9)), max_size=6)
all_costs = st.dictionaries(st.sampled_from(["shipping", "wrapping", "cod"]), prices, max_size=3)
amounts = st.floats(-1, 3000, allow_nan=False) | st.sampled_from([0.005, 0.333333, 9.999, 1e-9])
names = st.sampled_from(["one", "two", "three"])
scopes = st.sampled_from([None, "cartItems", "additionalCosts", "sessionTotal"])
answers = st.lists(
    st.one_of(
        st.builds(lambda v, n, s: off(v, n, scope=s), amounts, names, scopes),
        st.builds(unit_off, st.integers(0, 6), amounts, st.integers(0, 8)),
        st.builds(
            lambda v, n, c: (
                "setDiscountPerAdditionalCost",
                {"name": n, "additionalCostId": 1, "additionalCost": c, "value": v},
            ),
            amounts,
            names,
            st.sampled_from(["shipping", "wrapping"]),
        ),
    ),
    max_size=8,
)


@given(
    carts,
    all_costs,
    answers,
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.sampled_from(["ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_DOWN", "ROUND_UP"]),
)
def test_every_sum_is_exact(
    cart: list[tuple[str, int]],
    costs: dict[str, Decimal],
    answer: list[tuple[str, dict[str, Any]]],
    currency: str,
    rounding: str,
):
    with override_settings(TALON_ONE={"ROUNDING": rounding}):
        found = allocate(items(*cart), costs, effects(*answer), currency)
    parts = [*found.lines.values(), *found.costs.values()]
    assert sum(part.discount for part in parts) == found.discount
    assert sum(part.total for part in parts) == found.total >= 0
    assert sum(named.amount for named in found.discounts) == found.discount
    assert all(part.discount >= 0 and part.total >= 0 for part in parts)
    assert all(named.amount > 0 for named in found.discounts)
    cent = D(1).scaleb(-digits(currency))
    for amount in [found.discount, found.total, *(part.discount for part in parts)]:
        assert amount == amount.quantize(cent)


FOUR = effects(
    off(5, "spring"),
    unit_off(0, 1.5),
    unit_off(0, 1.5, 1),
    ("acceptCoupon", {"value": "WELCOME10"}),
    ("rejectCoupon", {"value": "OLD", "rejectionReason": "CouponExpired"}),
)


def test_D1_the_four_effects():
    snapshot = SessionSnapshot(
        items=tuple(items(("10", 2), ("7", 1))), additional_costs={"shipping": D("4.9")}
    )
    answer = read_answer(snapshot, FOUR, "EUR", refused={}, answered=True)
    assert SimpleNamespace(
        currency=answer.currency,
        subtotal=answer.subtotal,
        additional_costs=answer.additional_costs,
        discount=answer.discount,
        total=answer.total,
        discounts=answer.discounts,
        lines=answer.lines,
        accepted=answer.accepted,
        rejected=answer.rejected,
        notifications=answer.notifications,
        free_items=answer.free_items,
        answered=answer.answered,
    ) == SimpleNamespace(
        currency="EUR",
        subtotal=D("27.00"),
        additional_costs=D("4.90"),
        discount=D("8.00"),
        total=D("23.90"),
        discounts=[NamedDiscount("unit", D("3.00")), NamedDiscount("spring", D("5.00"))],
        lines={"a": line("6.54", "13.46"), "b": line("1.46", "5.54")},
        accepted=["WELCOME10"],
        rejected=[Rejection("OLD", "CouponExpired", "This code has expired.")],
        notifications=[],
        free_items=[],
        answered=True,
    )
