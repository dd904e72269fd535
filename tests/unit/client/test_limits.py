"""What the API documents as a limit is told before anything is sent, for both kinds of request."""

from __future__ import annotations

from decimal import Decimal

import pytest

from django_talon import client as c
from tests.unit.client.servers import answer, answering

ITEM = {"name": "Mug", "sku": "mug", "quantity": 1, "price": Decimal(1)}
SESSION = "update_customer_session_v2"
RESERVE = "create_coupon_reservation"


@pytest.mark.parametrize(
    ("method", "request_", "said"),
    [
        (SESSION, {"customerSession": {"state": "paid"}},
         "customerSession.state is none of open, closed, cancelled"),
        (SESSION, {"customerSession": {"cartItems": [ITEM] * 1001}},
         "customerSession.cartItems has 1001 entries, and 1000 is the most"),
        (SESSION, {"customerSession": {"cartItems": [{**ITEM, "quantity": 10_001}]}},
         "customerSession.cartItems has 10001 units in all, and 10000 is the most"),
        (SESSION, {"customerSession": {"couponCodes": ["a", "b" * 101]}},
         "customerSession.couponCodes has one that has 101 characters instead of 0 to 100"),
        (SESSION, {"customerSession": {"referralCode": "b" * 101}},
         "customerSession.referralCode has 101 characters instead of 0 to 100"),
        (SESSION, {"customerSession": {"identifiers": list("abcdef")}},
         "customerSession.identifiers has 6 entries, and 5 is the most"),
        (SESSION, {"customerSession": {"loyaltyCards": ["a", "b"]}},
         "customerSession.loyaltyCards has 2 entries, and 1 is the most"),
        (SESSION, {"customerSession": {"storeIntegrationId": ""}},
         "customerSession.storeIntegrationId has 0 characters instead of 1 to 1000"),
        ("update_customer_session", {"state": "paid"},
         "state is none of open, closed, cancelled"),
        (RESERVE, {"integrationIDs": ["u"] * 1001},
         "integrationIDs has 1001 entries, and 1000 is the most"),
    ],
)  # fmt: skip
def test_a_mapping_over_a_limit_is_not_sent(method, request_, said):
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        with pytest.raises(c.TalonInvalidRequest, match=f"was not sent: {said}"):
            getattr(client, method)("id", request_)
    assert server.seen == []


@pytest.mark.parametrize(
    ("method", "request_", "said"),
    [
        ("create_referral",
         c.NewReferral(campaign_id=1, advocate_profile_integration_id="u", usage_limit=-1),
         "usageLimit is not 0 to 999999"),
        ("track_event", c.NewEvent(type="", attributes={}, session_id="s"),
         "type has 0 characters instead of 1 to 10000"),
        ("track_event_v2", c.IntegrationEventV2Request(type="a", loyalty_cards=["a", "b"]),
         "loyaltyCards has 2 entries, and 1 is the most"),
    ],
)  # fmt: skip
def test_a_typed_request_over_a_limit_is_not_sent(method, request_, said):
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        with pytest.raises(c.TalonInvalidRequest, match=f"was not sent: {said}"):
            getattr(client, method)(request_)
    assert server.seen == []


def test_what_keeps_to_the_limits_or_has_another_form_is_left_to_talon_one():
    odd = {"customerSession": {"cartItems": 7, "couponCodes": "x", "state": None, "identifiers": 1}}
    full = c.IntegrationRequest(
        customer_session=c.NewCustomerSessionV2(
            state="open", coupon_codes=["a" * 100], identifiers=list("abcde"), profile_id=""
        )
    )
    with answering(answer(), answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        client.update_customer_session_v2("s", odd)
        client.update_customer_session_v2("s", full)
    assert len(server.seen) == 2
