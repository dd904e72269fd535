"""Single sentences of the API's documentation: what a field holds, what a year did not know."""

from __future__ import annotations

import json

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.service import Sandbox

from .test_sandbox_golden import COUPON, campaign, discount

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")

SESSION, PROFILE = "/v2/customer_sessions/s1", "/v2/customer_profiles/ada"
TIER = {
    "type": "checkAttribute",
    "attribute": "$Profile.Attributes.tier",
    "operator": "equals",
    "value": "gold",
}


class Talker:
    """A world that says status and body."""

    def __init__(self, *campaigns, **seed):
        content = {"campaigns": list(campaigns), **seed}
        self.sandbox = Sandbox(parse(wire.decode(json.dumps(content).encode())))

    def send(self, method, path, body=None, **headers):
        raw = b"" if body is None else json.dumps(body).encode()
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        known["authorization"] = "ApiKey-v1 sbx-details"
        answer = self.sandbox.handle(wire.Request(method, path, known, raw))
        assert isinstance(answer, wire.Answer)
        return answer.status, wire.decode(answer.body) if answer.body else None

    def session(self, *want, **content):
        body = {"customerSession": content, "responseContent": list(want)}
        return self.send("PUT", SESSION, body)[1]


def test_2020_had_no_idempotency_keys():
    talker = Talker(decisions={"dialect": "2020"})
    for total in (1, 2):
        item = {"name": "a", "sku": "a", "quantity": 1, "price": total}
        body = {"customerSession": {"cartItems": [item]}, "responseContent": ["customerSession"]}
        status, said = talker.send("PUT", SESSION, body, idempotency_key="once")
        assert (status, said["customerSession"]["total"]) == (200, total)


def test_2020_had_no_dry_runs_of_profiles():
    talker = Talker(decisions={"dialect": "2020"})
    status, said = talker.send("PUT", f"{PROFILE}?dry=true&runRuleEngine=true", {})
    assert (status, said["customerProfile"]["integrationId"]) == (200, "ada")


def test_a_profile_is_tried_out_only_together_with_its_rules():
    by_tier = campaign(1, "tier", {"type": "checkEvent", "eventType": "talon_profile_created"})
    shown = {"type": "showNotification", "notificationType": "Info", "title": "Gold"}
    by_tier["ruleset"]["promotionRules"][0]["blocks"] += [TIER, shown]
    talker = Talker(by_tier, attributes={"CustomerProfile": {"tier": "string"}})
    gold = {"attributes": {"tier": "gold"}}
    _, tried = talker.send("PUT", f"{PROFILE}?dry=true&runRuleEngine=true", gold)
    assert [effect["effectType"] for effect in tried["effects"]] == ["showNotification"]
    assert talker.send("GET", "/v1/customer_profiles/ada/inventory")[0] == 404
    talker.send("PUT", f"{PROFILE}?dry=true", gold)
    _, said = talker.send("GET", "/v1/customer_profiles/ada/inventory?profile=true")
    assert said["profile"]["attributes"] == gold["attributes"]


def test_what_an_update_leaves_out_stays():
    talker = Talker()
    talker.session(storeIntegrationId="berlin")
    session = talker.session("customerSession", loyaltyCards=["card"])["customerSession"]
    assert (session["storeIntegrationId"], session["loyaltyCards"]) == ("berlin", ["card"])


def test_v3_answers_its_event_as_advanced_event():
    talker = Talker(eventTypes=["read"])
    event = {"type": "read", "profileId": "ada", "integrationId": "e-1"}
    body = {**event, "responseContent": ["advancedEvent"]}
    status, said = talker.send("POST", "/v3/events?silent=no", body)
    assert (status, said["advancedEvent"]["integrationId"]) == (200, "e-1")


@pytest.mark.parametrize(("decided", "status"), [(204, 204), (200, 200)])
def test_a_silent_v3_event_is_answered_as_decided(decided, status):
    talker = Talker(eventTypes=["read"], decisions={"silent_v3": decided})
    event = {"type": "read", "profileId": "ada", "integrationId": "e-1"}
    assert talker.send("POST", "/v3/events", event)[0] == status


def test_v1_arguments_are_those_that_were_published():
    free = {"type": "awardItem", "sku": "pin", "name": "A pin", "quantity": 1}
    partly = {**discount(5), "partial": True}
    limits = [{"action": "setDiscount", "limit": 2}]
    talker = Talker(campaign(1, "r", free, partly, limits=limits))
    item = {"name": "a", "sku": "a", "quantity": 1, "price": 9}
    body = {"profileId": "ada", "cartItems": [item]}
    _, said = talker.send("PUT", "/v1/customer_sessions/s1", body)
    calls = [effect[3] for effect in said["event"]["effects"]]
    assert calls == [["addFreeItem", "ada", "pin", "A pin"], ["setDiscount", "off", 2]]


def test_a_v1_event_repeats_the_codes_that_were_sent():
    talker = Talker()
    path = "/v1/customer_sessions/s1"
    _, said = talker.send("PUT", path, {"coupon": "FREE", "profileId": "ada"})
    assert said["event"]["attributes"] == {"isNew": True, "params": {"coupon": "FREE"}}
    _, said = talker.send("PUT", path, {"referral": "FRIEND"})
    assert said["event"]["attributes"] == {"isNew": False, "params": {"referral": "FRIEND"}}


def test_a_v1_dry_run_tells_its_effects():
    talker = Talker(campaign(1, "r", COUPON, discount(5), coupons=[{"value": "FREE"}]))
    item = {"name": "a", "sku": "a", "quantity": 1, "price": 9}
    path, body = "/v1/customer_sessions/s1", {"coupon": "FREE", "cartItems": [item]}
    _, tried = talker.send("PUT", f"{path}?dry=true", body)
    _, said = talker.send("PUT", path, body)
    assert tried["event"]["effects"] == said["event"]["effects"] != []
    assert tried["event"]["attributes"] == said["event"]["attributes"]
    assert tried["session"]["discounts"] == {"off": 5}
    _, undone = talker.send("PUT", f"{path}?dry=true", {"state": "cancelled"})
    assert [effect[3][0] for effect in undone["event"]["effects"]] == ["rollbackDiscount"]


def test_meta_tells_reasons_with_ids_and_attributes_of_what_took_part():
    coupons = [{"value": "FREE", "attributes": {"colour": "red"}}]
    referrals = [{"code": "FRIEND", "advocateProfileIntegrationId": "ada"}]
    told = campaign(7, "r", COUPON, coupons=coupons, referrals=referrals)
    talker = Talker({**told, "attributes": {"season": "spring"}})
    body = {"coupon": "FREE", "referral": "FRIEND", "profileId": "ada"}
    _, said = talker.send("PUT", "/v1/customer_sessions/s1", body)
    reason = "ReferralRecipientIdSameAsAdvocate"
    assert said["event"]["meta"] == {
        "referralRejectionReason": {"campaignId": 7, "referralId": 1, "reason": reason},
        "campaigns": {"7": {"season": "spring"}},
        "coupons": {"FREE": {"colour": "red"}},
    }


def test_achievements_of_the_customer_are_a_section():
    achieved = {"id": 8, "name": "orders", "target": 2}
    grow = {"type": "updateAchievementProgress", "operator": "increaseBy", "value": 1}
    talker = Talker(campaign(1, "r", {**grow, "achievement": {"id": 8}}, achievements=[achieved]))
    before = talker.session("achievements", profileId="ada")["achievements"]
    assert before[0]["currentProgress"] == {"status": "not_started", "progress": 0}
    [after] = talker.session("achievements", state="closed")["achievements"]
    assert (after["id"], after["currentProgress"]["progress"]) == (8, 1)
