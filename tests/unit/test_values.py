"""From shop types to what Talon.One takes: money exact, time in RFC 3339."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from django_talon.shop import values


@dataclass
class Money:
    """As of py-moneyed or django-prices."""

    amount: Any
    currency: str = "EUR"


@pytest.mark.parametrize(
    ("currency", "places"), [("EUR", 2), ("usd", 2), ("JPY", 0), ("KWD", 3), ("kwd", 3), ("", 2)]
)
def test_digits_of_a_currency(currency: str, places: int):
    assert values.digits(currency) == places


@pytest.mark.parametrize(
    ("value", "unit", "currency", "amount"),
    [
        (Decimal("12.50"), "major", "EUR", "12.50"),
        ("12.50", "major", "EUR", "12.50"),
        (0.1, "major", "EUR", "0.1"),
        (19.99, "major", "EUR", "19.99"),
        (3, "major", "EUR", "3"),
        (Money(Decimal("4.90")), "major", "EUR", "4.90"),
        (Money(0.1), "major", "EUR", "0.1"),
        (1250, "minor", "EUR", "12.50"),
        (1250, "minor", "JPY", "1250"),
        (1250, "minor", "KWD", "1.250"),
        (Money(7), "minor", "EUR", "0.07"),
    ],
)
def test_price(value: Any, unit: str, currency: str, amount: str):
    found = values.price(value, currency, unit)
    assert (type(found), str(found)) == (Decimal, amount)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_minor_units_lose_nothing(amount: int, currency: str):
    found = values.price(amount, currency, "minor")
    assert found * 10 ** values.digits(currency) == amount


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the price is empty; Talon.One needs one for each line"),
        ("free", "'free' is not a number"),
        (True, "True is not a number"),
        (float("nan"), "nan is not a finite number"),
        (Decimal("Infinity"), "Decimal('Infinity') is not a finite number"),
        (Money(None), "Money(amount=None, currency='EUR') is not a number"),
    ],
)
def test_what_is_no_price(value: Any, message: str):
    with pytest.raises(ValueError) as caught:
        values.price(value, "EUR")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [2, 2.0, "2", Decimal("2.000")])
def test_a_whole_quantity(value: Any):
    found = values.quantity(value)
    assert (type(found), found) == (int, 2)


@pytest.mark.parametrize("value", [0.5, Decimal("0.500")])
def test_parts_of_a_unit_are_refused_with_a_way_out(value: Any):
    with pytest.raises(ValueError) as caught:
        values.quantity(value)
    assert str(caught.value) == (
        f"the quantity {value} is not whole, and Talon.One takes whole units only;"
        " override Adapter.items() and send one unit at the price of the line"
    )


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (0.1, Decimal("0.1")),
        (Decimal("5.00"), Decimal("5.00")),
        ("a\0b", "ab"),
        (gettext_lazy("yes"), "yes"),
        (date(2026, 7, 1), "2026-07-01T00:00:00+02:00"),
        (datetime(2026, 1, 1, 12), "2026-01-01T12:00:00+01:00"),
        (datetime(2026, 1, 1, 12, tzinfo=timezone.utc), "2026-01-01T12:00:00+00:00"),
        (timedelta(hours=1), "1:00:00"),
        (["b", 0.5, date(2026, 7, 1)], ["b", Decimal("0.5"), "2026-07-01T00:00:00+02:00"]),
        (("b", "a"), ["b", "a"]),
        ({"b", "c", "a"}, ["a", "b", "c"]),
        ({1: {"x\0": None}}, {"1": {"x": None}}),
    ],
)
def test_attribute(value: Any, sent: Any):
    found = values.attribute(value)
    assert (type(found), found) == (type(sent), sent)


@override_settings(USE_TZ=False)
def test_a_naive_moment_gets_the_time_zone_of_the_settings():
    moment = datetime(2026, 7, 1, 8, 30)
    assert values.attribute(moment) == "2026-07-01T08:30:00+02:00"


def test_a_number_that_is_none_is_no_attribute():
    with pytest.raises(ValueError) as caught:
        values.attribute([float("inf")])
    assert str(caught.value) == "[0] is not a finite number"


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("sku-1", "sku-1"), (17, "17"), ("\0a", "a")]
)
def test_text(value: Any, text: str):
    assert values.text(value) == text
