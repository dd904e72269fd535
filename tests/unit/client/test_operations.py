from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from django_talon import client as c
from tests.unit.client.samples import (
    COUPON,
    EFFECTS,
    EVENT_V3,
    PROFILE,
    REFERRAL,
    RETURN,
    SESSION,
    STATE,
    STATE_2020,
)
from tests.unit.client.servers import OK, answer, answering

ITEM = c.CartItem(sku="mug", quantity=2, price=Decimal("9.90"))
LATER = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
RESERVATION = c.CouponReservations(integration_ids=["u1"])

OPERATIONS = [
    pytest.param(
        lambda t: t.update_customer_session_v2(
            "s1",
            c.IntegrationRequest(
                customer_session=c.NewCustomerSessionV2(cart_items=[ITEM], coupon_codes=[]),
                response_content=["customerSession"],
            ),
            dry=True,
            idempotency_key="k-1",
        ),
        STATE,
        "PUT /v2/customer_sessions/s1?dry=true",
        {
            "customerSession": {
                "couponCodes": [],
                "cartItems": [{"sku": "mug", "quantity": 2, "price": 9.9}],
            },
            "responseContent": ["customerSession"],
        },
        c.IntegrationStateV2,
        id="updateCustomerSessionV2",
    ),
    pytest.param(
        lambda t: t.update_customer_session(
            "s1", c.NewCustomerSession(coupon="X", total=Decimal(9))
        ),
        STATE_2020,
        "PUT /v1/customer_sessions/s1",
        {"coupon": "X", "total": 9},
        c.IntegrationState,
        id="updateCustomerSession",
    ),
    pytest.param(
        lambda t: t.update_customer_profile_v2(
            "u1", c.CustomerProfileRequest(attributes={"Name": "Ada"}), run_rule_engine=True
        ),
        {**STATE, "customerProfile": PROFILE},
        "PUT /v2/customer_profiles/u1?runRuleEngine=true",
        {"attributes": {"Name": "Ada"}},
        c.CustomerProfileUpdate,
        id="updateCustomerProfileV2",
    ),
    pytest.param(
        lambda t: t.update_customer_profile("u1", c.NewCustomerProfile(), dry=True),
        STATE_2020,
        "PUT /v1/customer_profiles/u1?dry=true",
        {},
        c.IntegrationState,
        id="updateCustomerProfile",
    ),
    pytest.param(
        lambda t: t.track_event(c.NewEvent(type="rated", attributes={"stars": 5}, session_id="s1")),
        STATE_2020,
        "POST /v1/events",
        {"type": "rated", "attributes": {"stars": 5}, "sessionId": "s1"},
        c.IntegrationState,
        id="trackEvent",
    ),
    pytest.param(
        lambda t: t.track_event_v2(c.IntegrationEventV2Request(type="rated", profile_id="u1")),
        STATE,
        "POST /v2/events?silent=no",
        {"type": "rated", "profileId": "u1"},
        c.IntegrationStateV2,
        id="trackEventV2",
    ),
    pytest.param(
        lambda t: t.track_event_v2({"type": "rated", "profileId": "u1"}, silent=True),
        None,
        "POST /v2/events?silent=yes",
        {"type": "rated", "profileId": "u1"},
        c.IntegrationStateV2,
        id="trackEventV2-silent",
    ),
    pytest.param(
        lambda t: t.track_event_v3(
            c.IntegrationEventV3Request(
                integration_id="e1", profile_id="u1", type="rated", connected_session_id="s1"
            ),
            dry=True,
            force_complete_evaluation=True,
        ),
        {**STATE, "advancedEvent": EVENT_V3},
        "POST /v3/events?silent=no&dry=true&forceCompleteEvaluation=true",
        {"integrationId": "e1", "profileId": "u1", "type": "rated", "connectedSessionId": "s1"},
        c.IntegrationStateV2,
        id="trackEventV3",
    ),
    pytest.param(
        lambda t: t.track_event_v3({"type": "rated"}, silent=True),
        None,
        "POST /v3/events?silent=yes",
        {"type": "rated"},
        c.IntegrationStateV2,
        id="trackEventV3-silent",
    ),
    pytest.param(
        lambda t: t.get_event_v3("e 1"),
        EVENT_V3,
        "GET /v3/events/e%201",
        None,
        c.EventV3,
        id="getEventV3",
    ),
    pytest.param(
        lambda t: t.get_customer_session("s/1"),
        {"customerSession": SESSION, "effects": EFFECTS},
        "GET /v2/customer_sessions/s%2F1",
        None,
        c.IntegrationCustomerSessionResponse,
        id="getCustomerSession",
    ),
    pytest.param(
        lambda t: t.return_cart_items(
            "s1",
            c.ReturnIntegrationRequest(
                return_=c.NewReturn(
                    returned_cart_items=[
                        c.ReturnedCartItem(position=0, quantity=1),
                        c.ReturnedCartItem(sku="mug"),
                    ]
                ),
                response_content=["previousReturns"],
            ),
            dry=True,
            run_rule_engine=True,
            idempotency_key="k-1",
        ),
        {**STATE, "return": RETURN, "previousReturns": []},
        "POST /v2/customer_sessions/s1/returns?dry=true&runRuleEngine=true",
        {
            "return": {"returnedCartItems": [{"position": 0, "quantity": 1}, {"sku": "mug"}]},
            "responseContent": ["previousReturns"],
        },
        c.IntegrationStateV2,
        id="returnCartItems",
    ),
    pytest.param(
        lambda t: t.reopen_customer_session("s1", idempotency_key="k-1"),
        {"effects": EFFECTS},
        "PUT /v2/customer_sessions/s1/reopen",
        None,
        c.ReopenSessionResponse,
        id="reopenCustomerSession",
    ),
    pytest.param(
        lambda t: t.update_customer_profiles_v2(
            c.CustomerProfilesRequest(
                customer_profiles=[
                    c.CustomerProfilesRequestItem(integration_id="u1", attributes={"Name": "Ada"})
                ]
            ),
            idempotency_key="k-1",
        ),
        {"integrationStates": [{"customerProfile": PROFILE}]},
        "PUT /v2/customer_profiles?silent=no",
        {"customerProfiles": [{"integrationId": "u1", "attributes": {"Name": "Ada"}}]},
        c.CustomerProfilesUpdate,
        id="updateCustomerProfilesV2",
    ),
    pytest.param(
        lambda t: t.update_customer_profiles_v2({"customerProfiles": []}, silent=True),
        None,
        "PUT /v2/customer_profiles?silent=yes",
        {"customerProfiles": []},
        c.CustomerProfilesUpdate,
        id="updateCustomerProfilesV2-silent",
    ),
    pytest.param(
        lambda t: t.update_customer_session_v2("s1", {"customerSession": {}}, dry=True, now=LATER),
        STATE,
        "PUT /v2/customer_sessions/s1?dry=true&now=2030-01-02T03%3A04%3A05%2B01%3A00",
        {"customerSession": {}},
        c.IntegrationStateV2,
        id="updateCustomerSessionV2-now",
    ),
    pytest.param(
        lambda t: t.create_coupon_reservation("SAVE 10%", RESERVATION),
        COUPON,
        "POST /v1/coupon_reservations/SAVE%2010%25",
        {"integrationIDs": ["u1"]},
        c.Coupon,
        id="createCouponReservation",
    ),
    pytest.param(
        lambda t: t.delete_coupon_reservation("SAVE10", RESERVATION),
        None,
        "DELETE /v1/coupon_reservations/SAVE10",
        {"integrationIDs": ["u1"]},
        None,
        id="deleteCouponReservation",
    ),
    pytest.param(
        lambda t: t.get_reserved_customers("SAVE10"),
        {"totalResultSize": 1, "data": [PROFILE]},
        "GET /v1/coupon_reservations/customerprofiles/SAVE10",
        None,
        c.ReservedCustomers,
        id="getReservedCustomers",
    ),
    pytest.param(
        lambda t: t.create_referral(
            c.NewReferral(campaign_id=2, advocate_profile_integration_id="u1")
        ),
        REFERRAL,
        "POST /v1/referrals",
        {"campaignId": 2, "advocateProfileIntegrationId": "u1"},
        c.Referral,
        id="createReferral",
    ),
    pytest.param(
        lambda t: t.delete_customer_data("u1"),
        None,
        "DELETE /v1/customer_data/u1",
        None,
        None,
        id="deleteCustomerData",
    ),
    pytest.param(
        lambda t: t.get_customer_inventory("u1", profile=True, coupons=True),
        {"profile": PROFILE, "coupons": [{**COUPON, "state": "active"}]},
        "GET /v1/customer_profiles/u1/inventory?profile=true&coupons=true",
        None,
        c.CustomerInventory,
        id="getCustomerInventory",
    ),
]


@pytest.mark.parametrize("adapter", [None, HTTPAdapter], ids=["network", "adapter"])
@pytest.mark.parametrize(("call", "body", "line", "sent", "kind"), OPERATIONS)
def test_operation(call, body, line, sent, kind, adapter):
    back = answer(204, b"") if body is None else answer(200, json.dumps(body).encode())
    mounted = adapter() if adapter else None
    with answering(back) as server:
        result = call(c.IntegrationClient(server.url, api_key="secret-key", adapter=mounted))
    (seen,) = server.seen
    assert f"{seen.method} {seen.target}" == line
    assert seen.headers["authorization"] == "ApiKey-v1 secret-key"
    assert (json.loads(seen.body) if seen.body else None) == sent
    assert ("content-type" in seen.headers) is (sent is not None)
    assert result is None if kind is None else isinstance(result, kind)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda t: t.update_customer_session_v2("s1", {}, now=LATER), "dry=True"),
        (
            lambda t: t.update_customer_session_v2(
                "s1", {}, dry=True, now=LATER.replace(tzinfo=None)
            ),
            "time zone",
        ),
        (lambda t: t.track_event_v2({}, force_complete_evaluation=True), "dry=True"),
        (lambda t: t.track_event_v3({}, force_complete_evaluation=True), "dry=True"),
        (
            lambda t: t.update_customer_profiles_v2({"customerProfiles": [{}] * 1001}),
            "more than 1000 profiles",
        ),
        (
            lambda t: t.update_customer_profiles_v2(
                c.CustomerProfilesRequest(
                    customer_profiles=[c.CustomerProfilesRequestItem(integration_id="u")] * 1001
                )
            ),
            "more than 1000 profiles",
        ),
    ],
)
def test_calls_that_cannot_be_meant_are_not_sent(call, reason):
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest, match=reason):
        call(client)


def test_a_thousand_profiles_are_one_request():
    profiles = [{"integrationId": f"u{n}", "attributes": {}} for n in range(1000)]
    states = [
        {"customerProfile": {**PROFILE, "integrationId": p["integrationId"]}} for p in profiles
    ]
    body = json.dumps({"integrationStates": states}).encode()
    with answering(answer(200, body)) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        update = client.update_customer_profiles_v2({"customerProfiles": profiles})
    assert len(json.loads(server.seen[0].body)["customerProfiles"]) == 1000
    assert update.integration_states[-1].customer_profile.integration_id == "u999"


IDEMPOTENT = [
    lambda t, **o: t.update_customer_session_v2("s1", {}, **o),
    lambda t, **o: t.return_cart_items("s1", {}, **o),
    lambda t, **o: t.reopen_customer_session("s1", **o),
    lambda t, **o: t.update_customer_profile_v2("u1", {}, **o),
    lambda t, **o: t.update_customer_profiles_v2({}, silent=True, **o),
    lambda t, **o: t.track_event_v2({}, **o),
]


@pytest.mark.parametrize("call", IDEMPOTENT)
def test_F6_the_idempotency_key_goes_out_as_given_and_only_if_given(call):
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        for options in ({"idempotency_key": "once"}, {"idempotency_key": "once"}, {}):
            call(client, **options)
    assert [r.headers.get("idempotency-key") for r in server.seen] == ["once", "once", None]


def test_the_idempotency_key_is_sent_and_checked():
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        client.update_customer_session_v2("s1", {"customerSession": {}}, idempotency_key="once")
        with pytest.raises(c.TalonInvalidRequest, match="idempotency_key"):
            client.track_event_v2({"type": "x"}, idempotency_key="a\r\nb")
        client.request("PUT", "/v2/customer_sessions/s1/reopen", idempotency_key="twice")
    assert [r.headers["idempotency-key"] for r in server.seen] == ["once", "twice"]


def test_answers_are_typed_and_exact():
    with answering(answer(200, json.dumps(STATE_2020).encode())) as server:
        state = c.IntegrationClient(server.url, api_key="k").track_event(
            {"type": "x", "attributes": {}, "sessionId": "s1"}
        )
    assert state.session.discounts == {"ten": Decimal("4.1")}
    assert state.profile.total_sales == Decimal("9.999")
    assert state.profile.loyalty_memberships is None
    assert state.coupon is c.UNSET


def test_profile_v2_of_2020_has_a_profile_and_no_effects():
    body = json.dumps({"customerProfile": PROFILE}).encode()
    with answering(answer(200, body), answer(200, b"{}")) as server:
        client = c.IntegrationClient(server.url, api_key="k", dialect="2020")
        update = client.update_customer_profile_v2("u1", {"attributes": {}})
        assert isinstance(update, c.CustomerProfileUpdate)
        assert list(update.effects) == []
        assert update.customer_profile.integration_id == "u1"
        with pytest.raises(c.TalonUnreadableAnswer):
            client.update_customer_profile_v2("u1", {"attributes": {}})
        with pytest.raises(c.TalonInvalidRequest, match="2020"):
            client.update_customer_profile_v2("u1", {}, run_rule_engine=True)


def test_dry_profile_update_without_rules_is_refused():
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest, match="run_rule_engine"):
        client.update_customer_profile_v2("u1", {}, dry=True)


def test_A11_request_is_the_escape_hatch():
    with answering(answer(200, b'{"a": 1.10, "b": 2, "c": 1e2}'), answer(204, b"")) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        found = client.request("GET", "/v1/loyalty_programs/1/x", params={"p": [1, 2], "q": None})
        assert found == {"a": Decimal("1.10"), "b": 2, "c": Decimal(100)}
        assert str(found["a"]) == "1.10"
        assert client.request("POST", "/v2/audiences", json={"name": Decimal("0.10")}) is None
    assert server.seen[0].target == "/v1/loyalty_programs/1/x?p=1&p=2"
    assert server.seen[1].body == b'{"name":0.10}'


ALL_PARTS = [
    "customerSession",
    "customerProfile",
    "coupons",
    "triggeredCampaigns",
    "referral",
    "loyalty",
    "event",
    "awardedGiveaways",
    "ruleFailureReasons",
    "previousReturns",
    "campaignEligibility",
    "achievements",
]


def test_A11_all_twelve_parts_can_be_asked_for():
    parts = dict.fromkeys(ALL_PARTS)
    with answering(answer(200, json.dumps({**STATE, **parts}).encode())) as server:
        state = c.IntegrationClient(server.url, api_key="k").update_customer_session_v2(
            "s1",
            c.IntegrationRequest(
                customer_session=c.NewCustomerSessionV2(), response_content=ALL_PARTS
            ),
        )
    assert json.loads(server.seen[0].body)["responseContent"] == ALL_PARTS
    names = [
        part[0] + "".join("_" + x.lower() if x.isupper() else x for x in part[1:])
        for part in ALL_PARTS
    ]
    assert [getattr(state, name) for name in names] == [None] * 12


@pytest.mark.parametrize(
    "path",
    [
        "v1/x",
        "//evil.example/x",
        "/v1/../x",
        "/v1/%2e%2e/x",
        "/v1/x?y=1",
        "/v1/x y",
        "/v1/x\r\n",
        "",
    ],
)
def test_request_refuses_paths_that_lead_elsewhere(path):
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest):
        client.request("GET", path)


def test_request_refuses_a_wrong_method():
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest):
        client.request("get it", "/v1/x")


@pytest.mark.parametrize("bad", ["", ".", "..", "a\0b", "x" * 1001, "\ud800", None, 7])
def test_L5_bad_ids_are_refused_before_anything_is_sent(bad):
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest) as caught:
        client.delete_customer_data(bad)
    assert isinstance(caught.value, ValueError)
    assert caught.value.operation == "deleteCustomerData"
    assert not caught.value.retryable
    assert not caught.value.ambiguous


@pytest.mark.parametrize(
    "odd", ["a/b", "a%2Fb", "...", "~", "café", "a b", "\u200b", "a?b#c", "x" * 1000]
)
def test_L5_odd_ids_arrive_as_they_are(odd):
    from urllib.parse import unquote

    with answering(answer(204, b"")) as server:
        c.IntegrationClient(server.url, api_key="k").delete_customer_data(odd)
    prefix, _, last = server.seen[0].target.rpartition("/")
    assert prefix == "/v1/customer_data"
    assert unquote(last) == odd


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"a": object()}, "object"),
        ({"a": "\ud800"}, "UnicodeEncodeError"),
        ({"a": Decimal("NaN")}, "NaN"),
        ({"a": Decimal("-Infinity")}, "NaN"),
    ],
)
def test_what_json_cannot_hold_is_not_sent(body, reason):
    client = c.IntegrationClient("http://127.0.0.1:9", api_key="k")
    with pytest.raises(c.TalonInvalidRequest, match=reason):
        client.create_referral(body)


def test_the_words_nan_and_infinity_may_be_sent():
    assert c.encode({"NaN": "Infinity"}) == b'{"NaN":"Infinity"}'


class InProcess(BaseAdapter):
    """What a sandbox inside the process looks like."""

    def send(self, request, **kwargs):
        self.request, self.kwargs = request, kwargs
        response = requests.Response()
        response.status_code, response._content = 200, OK
        response.headers["Content-Type"] = "application/json"
        return response

    def close(self):
        pass


def test_an_adapter_takes_the_place_of_the_network():
    adapter = InProcess()
    client = c.IntegrationClient("http://talon.invalid/", api_key="k", adapter=adapter)
    client.update_customer_session_v2("s 1", {"customerSession": {}}, dry=True)
    assert adapter.request.url == "http://talon.invalid/v2/customer_sessions/s%201?dry=true"
    assert adapter.request.body == b'{"customerSession":{}}'
    assert adapter.kwargs["proxies"] == {}
    assert 0 < adapter.kwargs["timeout"][0] <= 2
