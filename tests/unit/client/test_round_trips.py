"""Every struct survives the wire, whatever it holds, and keeps what it does not know."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from django_talon import client as c
from django_talon.client.types.base import Model, decode, encode
from django_talon.client.types.effects import PROPS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
SCALARS = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    Decimal: DECIMALS,
    datetime: st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(timezone.utc)),
    type(None): st.none(),
    UnsetType: st.just(UNSET),
}
FREE = st.recursive(
    st.none() | st.booleans() | SCALARS[int] | DECIMALS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
EFFECT_TYPES = st.sampled_from(sorted(PROPS))


def values(kind):
    """A strategy for the values of a field of this type."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if kind is Any:
        return FREE
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Sequence, list):
        return st.lists(values(args[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(TEXT, values(args[1]), max_size=2)
    return structs(kind)


def structs(kind):
    if kind is c.Effect:
        return EFFECT_TYPES.flatmap(effects)
    fields = {field.name: field_values(kind, field) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


def field_values(kind, field):
    if kind in (c.Event, c.EventV3) and field.name == "effects":
        return st.lists(structs(c.Effect), max_size=2)
    return values(field.type)


def effects(effect_type):
    fields = {
        field.name: values(field.type)
        for field in msgspec.structs.fields(c.Effect)
        if field.name != "props"
    }
    fields |= {"effect_type": st.just(effect_type), "props": structs(PROPS[effect_type])}
    return st.builds(c.Effect, **fields)


def models(kind=Model):
    for found in kind.__subclasses__():
        yield found
        yield from models(found)


ALL = sorted(set(models()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_round_trip(kind, data):
    value = data.draw(structs(kind))
    again = decode(encode(value), kind)
    assert again == value
    assert again.unknown == {}


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_unknown_fields_are_kept_beside_what_is_known(kind, data):
    value = data.draw(structs(kind))
    news = b'"brandNew":{"rate":0.10}'
    wire = encode(value)[:-1] + (b"," if encode(value) != b"{}" else b"") + news + b"}"
    again = decode(wire, kind)
    assert again == value
    assert again.unknown == {"brandNew": {"rate": Decimal("0.10")}}
    assert type(again) is kind


def test_unknown_fields_are_kept_at_every_depth():
    effect = (
        b'{"campaignId":1,"rulesetId":2,"ruleIndex":0,"ruleName":"","effectType":"setDiscount",'
        b'"props":{"name":"a","value":1.50,"currency":"EUR"},"budget":7}'
    )
    state = decode(
        b'{"effects":[%s],"createdCoupons":[],"createdReferrals":[],"traceId":"t"}' % effect,
        c.IntegrationStateV2,
    )
    (found,) = state.effects
    assert state.unknown == {"traceId": "t"}
    assert found.unknown == {"budget": 7}
    assert found.props == c.SetDiscountProps(name="a", value=Decimal("1.50"))
    assert found.props.unknown == {"currency": "EUR"}


def test_known_props_of_a_wrong_type_stay_plain_with_unknown_ones_beside():
    data = (
        b'{"campaignId":1,"rulesetId":2,"ruleIndex":0,"ruleName":"","effectType":"setDiscount",'
        b'"props":{"name":"a","value":"much","currency":"EUR"}}'
    )
    assert decode(data, c.Effect).props == {"name": "a", "value": "much", "currency": "EUR"}
