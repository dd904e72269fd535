from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_talon import client as c
from django_talon.client.types.base import Model, decode

MONEY = st.decimals(allow_nan=False, allow_infinity=False)


@given(MONEY)
def test_C6_no_decimal_changes_on_the_wire(amount):
    item = c.CartItem(sku="a", quantity=1, price=amount, attributes={"cost": amount})
    again = decode(c.encode(item), c.CartItem)
    assert type(again.price) is Decimal
    assert again.price == amount
    assert Decimal(again.attributes["cost"]) == amount


@pytest.mark.parametrize(
    "digits", ["9.999", "0.1", "1E+2", "100", "0.10", "1234.567", "1E-30", "1E+400"]
)
def test_C6_digits_are_kept(digits):
    data = c.encode(c.AdditionalCost(price=Decimal(digits)))
    assert data == b'{"price":' + digits.encode() + b"}"
    assert str(decode(data, c.AdditionalCost).price) == digits


@st.composite
def amounts(draw):
    """Prices as shops have them: of JPY without decimals, of EUR with two, of KWD with three."""
    decimals = draw(st.sampled_from([0, 2, 3]))
    return Decimal(draw(st.integers(-(10**12), 10**12))).scaleb(-decimals)


@given(st.lists(amounts(), max_size=5))
def test_C6_prices_of_jpy_eur_and_kwd_arrive_digit_for_digit(prices):
    items = [c.CartItem(sku="a", quantity=1, price=price) for price in prices]
    wire = c.encode(c.NewCustomerSessionV2(cart_items=items))
    assert re.findall(rb'"price":([^,}]+)', wire) == [str(price).encode() for price in prices]
    again = decode(wire, c.NewCustomerSessionV2)
    assert [str(item.price) for item in again.cart_items] == [str(price) for price in prices]


@pytest.mark.parametrize("token", ["1e2", "1E2", "100.0", "100"])
def test_C6_all_spellings_of_a_number_are_read(token):
    assert decode(f'{{"price":{token}}}'.encode(), c.AdditionalCost).price == 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.CartItem(sku="a", quantity=1, price=9.99),
        lambda: c.AdditionalCost(price=9.99),
        lambda: c.NewCustomerSession(total=9.99),
    ],
)
def test_C6_floats_are_no_money(make):
    with pytest.raises(TypeError, match="Decimal"):
        make()


@pytest.mark.parametrize(
    ("session", "wire"),
    [
        (c.NewCustomerSessionV2(), b"{}"),
        (c.NewCustomerSessionV2(coupon_codes=c.UNSET), b"{}"),
        (c.NewCustomerSessionV2(coupon_codes=None), b'{"couponCodes":null}'),
        (c.NewCustomerSessionV2(coupon_codes=[]), b'{"couponCodes":[]}'),
        (c.NewCustomerSessionV2(referral_code=""), b'{"referralCode":""}'),
    ],
    ids=["left out", "unset", "null", "empty list", "empty text"],
)
def test_left_out_null_and_empty_are_three_things(session, wire):
    assert c.encode(session) == wire
    assert decode(wire, c.NewCustomerSessionV2) == session


def all_models(kind=Model):
    for found in kind.__subclasses__():
        yield found
        yield from all_models(found)


def irregular():
    for model in all_models():
        for field in msgspec.structs.fields(model):
            head, *tail = field.name.strip("_").split("_")
            if field.encode_name != head + "".join(part.title() for part in tail):
                yield field.encode_name


def test_the_irregular_wire_names():
    assert set(irregular()) == {
        "integrationIDs",
        "catalogItemID",
        "experimentID",
        "variantID",
        "evaluationGroupID",
        "transactionUUID",
        "programID",
        "campaignID",
        "rulesetID",
        "couponID",
        "referralID",
    }


def test_requests_are_immutable_and_show_no_values():
    session = c.NewCustomerSessionV2(profile_id="ada@example.com", attributes={"Name": "Ada"})
    with pytest.raises(AttributeError):
        session.profile_id = "x"
    assert repr(session) == "<NewCustomerSessionV2: profile_id, attributes>"


def test_what_does_not_fit_is_kept_and_the_rest_is_typed():
    data = b"""{"effects": [], "createdCoupons": null, "unknown": 1, "customerSession": {
        "integrationId": "s1", "created": "yesterday", "applicationId": "59", "state": "melted",
        "cartItems": [{"sku": "a", "quantity": 2.0, "price": 1.10}, "odd"], "total": 2.20,
        "additionalCosts": {"ship": {"price": 3.30}, "pack": {"price": {}}}}}"""
    state = decode(data, c.IntegrationStateV2)
    session = state.customer_session
    assert list(state.created_coupons) == []
    assert isinstance(session, c.CustomerSessionV2)
    assert (session.created, session.application_id, session.state) == ("yesterday", 59, "melted")
    assert session.first_session is c.UNSET
    assert session.cart_items == [c.CartItem(sku="a", quantity=2, price=Decimal("1.10")), "odd"]
    assert session.additional_costs["ship"] == c.AdditionalCost(price=Decimal("3.30"))
    assert session.additional_costs["pack"].price == {}


def test_a_required_object_of_another_form_is_unreadable():
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"session":[],"profile":{},"event":{}}', c.IntegrationState)


def test_nanoseconds_and_offsets_are_read():
    tier = decode(b'{"id":1,"name":"a","startDate":"2022-02-02T10:10:10.123456789+01:00"}', c.Tier)
    assert tier.start_date.astimezone(timezone.utc) == datetime(
        2022, 2, 2, 9, 10, 10, 123457, tzinfo=timezone.utc
    )
