from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_talon import client as c
from django_talon.client.types.base import decode
from django_talon.client.types.effects import PROPS

ENVELOPE = {"campaignId": 193, "rulesetId": 791, "ruleIndex": 0, "ruleName": "ten off"}


def effect(effect_type, props, **more):
    data = {**ENVELOPE, "effectType": effect_type, "props": props, **more}
    return decode(json.dumps(data).encode(), c.Effect)


def sample(kind):
    """A value of a field's type, of which the wire form is not in doubt."""
    kinds = get_args(kind) or (kind,)
    for wanted, value in ((str, "x"), (bool, True), (int, 3), (datetime, "2026-08-01T10:00:00Z")):
        if wanted in kinds:
            return value
    return 9.5 if Decimal in kinds else None


def filled(kind):
    fields = msgspec.structs.fields(kind)
    found = {f.encode_name: sample(f.type) for f in fields}
    found |= {"itemsIndices": [1], "bundleAttributes": ["a"], "payload": {"a": 0.5}}
    return {f.encode_name: found[f.encode_name] for f in fields}


@pytest.mark.parametrize(("effect_type", "kind"), PROPS.items())
def test_D1_every_effect_type_has_typed_props(effect_type, kind):
    found = effect(effect_type, filled(kind))
    assert type(found.props) is kind
    assert c.decode_effects(c.encode([found])) == [found]
    required = {f.encode_name for f in msgspec.structs.fields(kind) if f.required}
    least = {k: v for k, v in filled(kind).items() if k in required}
    assert type(effect(effect_type, least).props) is kind


def test_D1_the_catalogue_is_today_s():
    assert len(PROPS) == 36
    for effect_type, kind in PROPS.items():
        stem = effect_type[0].upper() + effect_type[1:]
        assert kind.__name__ == stem.removesuffix("Effect") + (
            "EffectProps" if stem == "CustomEffect" else "Props"
        )


def test_a_recorded_effect():
    found = effect(
        "setDiscountPerItem",
        {"name": "10% off per item#0", "value": 9.999, "position": 0, "subPosition": 0},
        triggeredByCoupon=3749,
        evaluationGroupID=5,
    )
    assert found.props == c.SetDiscountPerItemProps(
        name="10% off per item#0", value=Decimal("9.999"), position=0, sub_position=0
    )
    assert (found.campaign_id, found.triggered_by_coupon, found.evaluation_group_id) == (
        193,
        3749,
        5,
    )
    assert found.condition_index is c.UNSET
    assert repr(found) == "<Effect setDiscountPerItem of campaign 193>"


def test_whole_numbers_written_as_fractions_fit():
    props = {"name": "a", "value": 1, "position": 2.0}
    assert effect("setDiscountPerItem", props).props.position == 2


@pytest.mark.parametrize(
    ("effect_type", "props"),
    [
        ("launchRocket", {"height": Decimal("1.5"), "crew": ["a"]}),
        ("setDiscount", {"name": "a", "value": "much"}),
        ("setDiscount", {"name": "a"}),
        ("setDiscount", "odd"),
        ("setDiscount", None),
    ],
    ids=["unknown type", "wrong type", "missing", "no object", "null"],
)
def test_D1_props_that_do_not_fit_are_plain_data(effect_type, props):
    found = effect(effect_type, json.loads(json.dumps(props, default=float)))
    assert found.props == props
    assert c.decode_effects(c.encode([found])) == [found]


def test_a_broken_envelope_loses_nothing_else():
    good = {**ENVELOPE, "effectType": "acceptCoupon", "props": {"value": "A"}}
    bad = {"campaignId": "many", "effectType": "setDiscount", "props": {"name": "a", "value": 1.5}}
    data = {"effects": [good, bad, {"effectType": 7}], "createdCoupons": [], "createdReferrals": []}
    state = decode(json.dumps(data).encode(), c.IntegrationStateV2)
    assert state.effects[0].props == c.AcceptCouponProps(value="A")
    assert state.effects[1].props == c.SetDiscountProps(name="a", value=Decimal("1.5"))
    assert (state.effects[1].campaign_id, state.effects[1].rule_name) == ("many", c.UNSET)
    assert state.effects[2].effect_type == 7


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_effects_survive_storage_exactly(amount):
    found = c.Effect(
        campaign_id=1,
        ruleset_id=2,
        rule_index=3,
        rule_name="",
        effect_type="setDiscount",
        props=c.SetDiscountProps(name="a", value=amount),
    )
    (again,) = c.decode_effects(c.encode([found]))
    assert again == found
    assert type(again.props.value) is Decimal


def event(effects, meta=None):
    data = {
        "id": 901,
        "created": "2020-06-01T10:00:00Z",
        "applicationId": 59,
        "type": "t",
        "attributes": {},
        "effects": effects,
        "ledgerEntries": [],
        "meta": meta or {},
    }
    return decode(json.dumps(data).encode(), c.Event)


def test_effects_of_2020_are_the_same_types():
    found = event(
        [
            [12, 34, 0, ["acceptCoupon", "FREE"]],
            [12, 34, 1, ["setDiscount", "Mug promo", 34.56]],
            [12, 34, 2, ["addFreeItem", "u1", "mug", "A mug"]],
            [-1, -1, -1, ["rejectCoupon", "NOPE"]],
            [-1, -1, -1, ["rejectReferral", "NAY"]],
        ],
        {
            "couponRejectionReason": {"campaignId": 1, "couponId": 2, "reason": "CouponNotFound"},
            "referralRejectionReason": {
                "campaignId": 1,
                "referralId": 2,
                "reason": "ReferralExpired",
            },
        },
    )
    assert [e.props for e in found.effects] == [
        c.AcceptCouponProps(value="FREE"),
        c.SetDiscountProps(name="Mug promo", value=Decimal("34.56")),
        c.AddFreeItemProps(sku="mug", name="A mug"),
        c.RejectCouponProps(value="NOPE", rejection_reason="CouponNotFound"),
        c.RejectReferralProps(value="NAY", rejection_reason="ReferralExpired"),
    ]
    assert [e.rule_index for e in found.effects] == [0, 1, 2, -1, -1]
    assert decode(c.encode(found), c.Event) == found


def test_odd_effects_of_2020_are_kept():
    found = event(
        [
            5,
            [1, 2, 3, ["sing", "la", 1.5]],
            [1, 2, 3, ["setDiscount", "a"]],
            [1, 2, 3, ["rejectCoupon", "X"]],
        ]
    )
    assert [e.effect_type for e in found.effects] == ["", "sing", "setDiscount", "rejectCoupon"]
    assert found.effects[0].props == {"arguments": [5]}
    assert found.effects[1].props == {"arguments": ["la", Decimal("1.5")]}
    assert found.effects[2].props == {"arguments": ["a"]}
    assert found.effects[3].props == c.RejectCouponProps(value="X", rejection_reason="")
