"""``campaignEligibility``: what a dry run says of every campaign, by the published schema."""

from __future__ import annotations

import json

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.service import Sandbox

from .talon_api import Api

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")

CHECK = {"type": "checkCoupon", "redeem": True}


def rule(*blocks, title="rule"):
    return {"title": title, "blocks": list(blocks)}


def campaign(number, *rules, **more):
    return {"id": number, "name": f"c{number}", "ruleset": {"promotionRules": list(rules)}, **more}


def total(least):
    return {
        "type": "checkAttribute",
        "attribute": "$Session.Total",
        "operator": "greaterThanOrEqual",
        "value": least,
    }


def off(value):
    return {"type": "awardDiscount", "name": "off", "value": value, "target": {"type": "cart"}}


SEED = {
    "eventTypes": ["review"],
    "campaigns": [
        campaign(1, rule(total(10), off(1)), rule(total(1000), off(5), title="rich")),
        campaign(2, rule(total(500), off(1))),
        campaign(3, rule(CHECK, off(2)), coupons=[{"value": "GOOD-1"}, {"value": "GOOD-2"}]),
        campaign(4, rule(off(9)), state="disabled"),
        campaign(5, rule({**off(50), "partial": True}), limits=[{"action": "setDiscount",
                                                                 "limit": 0}]),
        campaign(6, rule(off(3))),
        campaign(7, rule({"type": "checkEvent", "eventType": "review"}, off(0))),
    ],
    "evaluationGroups": [{"mode": "listOrder", "elements": [1, 6]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def api():
    return Api()


@pytest.fixture
def ask(api):
    sandbox = Sandbox(parse(wire.decode(json.dumps(SEED).encode())))

    def send(method, target, operation, body):
        headers = {"authorization": "ApiKey-v1 sbx-w"}
        answer = sandbox.handle(wire.Request(method, target, headers, wire.encode(body)))
        said = json.loads(answer.body)
        assert api.wrong(operation, answer.status, said) == []
        return {one["id"]: one for one in said.get("campaignEligibility", [])}

    return send


def session(ask, *, dry="true", wanted=("campaignEligibility",), **content):
    cart = [{"sku": "a", "name": "A", "quantity": 1, "price": 20}]
    body = {"customerSession": {"profileId": "ada", "cartItems": cart, **content}}
    body["responseContent"] = list(wanted)
    target = f"/v2/customer_sessions/s?dry={dry}"
    return ask("PUT", target, "updateCustomerSessionV2", body)


def test_emu_20_what_passed_and_what_did_not(ask):
    found = session(ask)
    assert set(found) == {1, 2, 3, 5, 6, 7}
    assert found[1]["eligibility"] == [{"passed": True}]
    first, second = found[1]["rules"]
    assert first == {"title": "rule", "eligibility": [{"passed": True}]}
    assert second["eligibility"] == [
        {
            "passed": False,
            "details": {
                "failureCode": "CONDITION_NOT_MET",
                "conditionIndex": 0,
                "details": "$Session.Total is 20, wanted greaterThanOrEqual 1000",
            },
        }
    ]
    failed = [{"passed": False, "details": {"failureCode": "ALL_RULES_FAILED"}}]
    assert found[2]["eligibility"] == found[3]["eligibility"] == failed
    assert found[5]["rules"][0]["eligibility"][0]["details"]["failureCode"] == "EFFECT_FAILED"
    assert found[6]["eligibility"] == [{"passed": False, "details": {"failureCode": "SKIPPED"}}]


def test_emu_20_one_verdict_for_each_code(ask):
    found = session(ask, couponCodes=["GOOD-1", "NOPE", "GOOD-2"])[3]
    assert found["eligibility"] == [
        {"passed": True, "couponCode": "GOOD-1"},
        {"passed": True, "couponCode": "GOOD-2"},
    ]
    assert found["rules"][0]["eligibility"] == found["eligibility"]


def test_emu_20_only_the_chosen_ones_disabled_ones_too(ask):
    found = session(ask, evaluableCampaignIds=[4])
    assert found[4]["eligibility"] == [{"passed": True}]
    assert found[1]["eligibility"] == [{"passed": False, "details": {"failureCode": "SKIPPED"}}]


def test_emu_20_only_dry_runs_say_so(ask):
    assert session(ask, dry="false") == {}


def test_emu_20_of_events(ask):
    body = {"type": "review", "profileId": "ada", "responseContent": ["campaignEligibility"]}
    found = ask("POST", "/v2/events?dry=true&silent=no", "trackEventV2", body)
    assert [rule["title"] for rule in found.get(7, {"rules": []})["rules"]] == ["rule"]
