"""Equal fingerprints need no call, so they change with everything that is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.snapshots import ItemSnapshot, ProfileSnapshot, SessionSnapshot

ITEM = ItemSnapshot(key="1", sku="mug", name="Mug", quantity=2, price=Decimal("9.90"))
SESSION = SessionSnapshot(
    items=(ITEM,),
    profile_id="7",
    additional_costs={"shipping": Decimal("4.90")},
    coupon_codes=("WELCOME10",),
    attributes={"channel": "web"},
)

amounts = st.decimals(0, 10**6, places=2)
names = st.text(max_size=8)
attributes = st.dictionaries(
    names, st.one_of(st.none(), st.booleans(), st.integers(), amounts, names), max_size=5
)
items = st.builds(
    ItemSnapshot,
    key=names,
    sku=names,
    name=names,
    quantity=st.integers(1, 50),
    price=amounts,
    category=names,
    attributes=attributes,
)
sessions = st.builds(
    SessionSnapshot,
    items=st.lists(items, max_size=4).map(tuple),
    profile_id=names,
    additional_costs=st.dictionaries(names, amounts, max_size=3),
    coupon_codes=st.lists(names, max_size=3).map(tuple),
    attributes=attributes,
)


def test_it_is_the_same_in_every_process_and_release():
    assert fingerprint(SessionSnapshot(items=())) == fingerprint(SessionSnapshot(items=()))
    assert len(fingerprint(SESSION)) == 64
    assert set(fingerprint(SESSION)) <= set("0123456789abcdef")


@given(sessions)
def test_the_order_of_dict_keys_does_not_matter(session: SessionSnapshot):
    turned = replace(
        session,
        attributes=dict(reversed(session.attributes.items())),
        additional_costs=dict(reversed(session.additional_costs.items())),
    )
    assert fingerprint(turned) == fingerprint(session)


@pytest.mark.parametrize(
    ("one", "other"),
    [("5", "5.00"), ("100", "1E+2"), ("0", "0.00"), ("0", "-0"), ("0.10", "0.1")],
)
def test_the_same_amount_written_differently_is_the_same(one: str, other: str):
    written = [
        replace(
            SESSION,
            items=(replace(ITEM, price=Decimal(amount)),),
            attributes={"credit": Decimal(amount)},
        )
        for amount in (one, other)
    ]
    assert fingerprint(written[0]) == fingerprint(written[1])


def test_a_whole_amount_is_the_same_number_as_an_integer():
    amounts_of_five = (5, Decimal(5), Decimal("5.00"))
    assert len({fingerprint(ProfileSnapshot("7", {"level": n})) for n in amounts_of_five}) == 1


def test_the_shops_own_name_of_a_line_is_not_sent_and_does_not_count():
    other = replace(SESSION, items=(replace(ITEM, key="99"),))
    assert fingerprint(other) == fingerprint(SESSION)


@pytest.mark.parametrize(
    "change",
    [
        {"sku": "cup"},
        {"name": "Cup"},
        {"quantity": 3},
        {"price": Decimal("9.91")},
        {"category": "kitchen"},
        {"attributes": {"size": "L"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_an_item_counts(change: dict[str, Any]):
    other = replace(SESSION, items=(replace(ITEM, **change),))
    assert fingerprint(other) != fingerprint(SESSION)


@pytest.mark.parametrize(
    "change",
    [
        {"items": ()},
        {"items": (ITEM, ITEM)},
        {"profile_id": ""},
        {"additional_costs": {}},
        {"additional_costs": {"shipping": Decimal(0)}},
        {"additional_costs": {"handling": Decimal("4.90")}},
        {"coupon_codes": ()},
        {"coupon_codes": ("welcome10",)},
        {"attributes": {}},
        {"attributes": {"channel": None}},
        {"attributes": {"channel": ["web"]}},
    ],
    ids=str,
)
def test_every_field_of_a_session_counts(change: dict[str, Any]):
    assert fingerprint(replace(SESSION, **change)) != fingerprint(SESSION)


def test_the_order_of_lines_and_codes_counts():
    other = replace(ITEM, sku="cup")
    one, two = (replace(SESSION, items=order) for order in ((ITEM, other), (other, ITEM)))
    assert fingerprint(one) != fingerprint(two)
    one, two = (replace(SESSION, coupon_codes=order) for order in (("a", "b"), ("b", "a")))
    assert fingerprint(one) != fingerprint(two)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal(5), "5"),
        (5, "5"),
        (True, 1),
        (False, 0),
        (None, ""),
        ("None", None),
        (Decimal("0.1"), "0.1"),
    ],
)
def test_another_type_is_another_attribute(one: Any, other: Any):
    first, second = (fingerprint(ProfileSnapshot("7", {"x": value})) for value in (one, other))
    assert first != second


def test_profiles():
    seven = fingerprint(ProfileSnapshot("7", {"tier": "gold"}))
    assert seven == fingerprint(ProfileSnapshot("7", {"tier": "gold"}))
    assert seven != fingerprint(ProfileSnapshot("8", {"tier": "gold"}))
    assert seven != fingerprint(ProfileSnapshot("7", {"tier": "silver"}))
    assert seven != fingerprint(ProfileSnapshot("7"))


def test_a_moment_that_an_adapter_left_as_it_is_has_a_fingerprint():
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with_moment = fingerprint(ProfileSnapshot("7", {"since": moment}))
    assert with_moment == fingerprint(ProfileSnapshot("7", {"since": moment.isoformat()}))
