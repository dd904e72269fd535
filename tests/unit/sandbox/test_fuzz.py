"""Whatever is sent to whichever operation: an answer below 500, and the journal has it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_talon.sandbox import wire
from django_talon.sandbox.operations import EMULATED
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

HEADERS = {"authorization": "ApiKey-v1 sbx-fuzz"}
ids = st.sampled_from(["a", "b", "WELCOME10", "WALLET10", "ada"]) | st.text(max_size=5)
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | ids
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
costs = st.dictionaries(
    st.sampled_from(["shipping", "tax"]), st.fixed_dictionaries({"price": numbers}) | anything
)
items = st.fixed_dictionaries(
    {"sku": ids, "quantity": st.integers(-1, 50), "price": numbers | st.integers(0, 500)},
    optional={"name": ids, "attributes": st.dictionaries(st.just("brand"), scalars)},
)
fields = {
    "profileId": ids,
    "state": st.sampled_from(["open", "closed", "cancelled", "lost"]),
    "cartItems": st.lists(items, max_size=4) | anything,
    "couponCodes": st.lists(ids | st.sampled_from(["MUGS5", "FREESHIP", "GIFT"]), max_size=3),
    "referralCode": ids | st.just("FRIEND-OF-ADA"),
    "coupon": ids,
    "referral": ids,
    "total": numbers,
    "additionalCosts": costs,
    "attributes": st.dictionaries(st.sampled_from(["tier", "channel", "x"]), scalars),
    "identifiers": st.lists(ids, max_size=6),
    "type": st.sampled_from(["newsletter", "talon_x", "other"]),
    "sessionId": ids,
    "integrationIDs": st.lists(ids, max_size=3),
    "campaignId": st.integers(-1, 3),
    "advocateProfileIntegrationId": ids,
    "responseContent": st.lists(st.sampled_from(["customerSession", "event", "coupons", "x"])),
}


@st.composite
def requests(draw):
    operation = draw(st.sampled_from(EMULATED))
    path = operation.template
    for name in ("sessionId", "profileId", "couponValue"):
        path = path.replace(f"{{{name}}}", quote(draw(ids), safe=""))
    chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=6))
    body = {name: draw(fields[name]) for name in chosen}
    if operation.name == "updateCustomerSessionV2":
        content = body.pop("responseContent", [])
        body = {"customerSession": body, "responseContent": content}
    query = draw(st.sampled_from(["", "?dry=true", "?dry=x", "?silent=no", "?runRuleEngine=true"]))
    return operation.method, path + query, draw(st.just(body) | anything)


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(load("demo"))


@settings(max_examples=300, deadline=None)
@given(request=requests())
def test_never_a_500(sandbox, request):
    method, target, body = request
    answer = sandbox.handle(wire.Request(method, target, HEADERS, wire.encode(body)))
    assert isinstance(answer, wire.Answer)
    assert 200 <= answer.status < 500
    assert answer.status < 300 or "X-Sandbox-Reason" in answer.headers
    entry = sandbox.rooms.enter("fuzz").journal.entries()[-1]
    assert (entry.status, entry.outcome) == (answer.status, "answered")
