"""Whatever is sent to whichever operation: an answer below 500, and the journal has it."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.operations import EMULATED
from django_talon.sandbox.service import Sandbox
from tests.contract.sandbox_everything import SEED
from tests.contract.talon_api import Api

RUNS = int(os.environ.get("SANDBOX_FUZZ", "300"))
HEADERS = {"authorization": "ApiKey-v1 sbx-fuzz"}
CODES = ["CODE-1", "CODE-2", "CODE-3", "CODE-5", "CODE-8", "CODE-12", "CARD-16", "HARD-24", "ada"]
ids = st.sampled_from(["a", "b", *CODES]) | st.text(max_size=5)
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
    optional={
        "name": ids,
        "attributes": st.dictionaries(st.just("brand"), scalars),
        "additionalCosts": costs,
    },
)
rows = st.fixed_dictionaries(
    {}, optional={"position": st.integers(-1, 3), "quantity": st.integers(0, 4), "sku": ids}
)
fields = {
    "profileId": ids,
    "state": st.sampled_from(["open", "closed", "cancelled", "lost"]),
    "cartItems": st.lists(items, max_size=4) | anything,
    "couponCodes": st.lists(st.sampled_from(CODES) | ids, max_size=3),
    "referralCode": ids | st.just("FRIEND"),
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
    "integrationId": ids,
    "connectedSessionId": ids,
    "evaluableCampaignIds": st.lists(st.integers(0, 30), max_size=3),
    "return": st.fixed_dictionaries({"returnedCartItems": st.lists(rows, max_size=3)}) | anything,
    "customerProfiles": st.lists(st.fixed_dictionaries({"integrationId": ids}), max_size=3),
    "audiencesChanges": st.fixed_dictionaries(
        {"adds": st.lists(st.integers(0, 2), max_size=2), "deletes": st.just([1])}
    ),
    "responseContent": st.lists(
        st.sampled_from(
            [
                "customerSession",
                "event",
                "coupons",
                "ruleFailureReasons",
                "loyalty",
                "campaignEligibility",
                "achievements",
                "previousReturns",
                "x",
            ]
        )
    ),
}


@st.composite
def requests(draw):
    operation = draw(st.sampled_from(EMULATED))
    path = operation.template
    for name in ("sessionId", "profileId", "couponValue", "eventId"):
        path = path.replace(f"{{{name}}}", quote(draw(ids), safe=""))
    chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=6))
    body = {name: draw(fields[name]) for name in chosen}
    if operation.name == "updateCustomerSessionV2":
        content = body.pop("responseContent", [])
        body = {"customerSession": body, "responseContent": content}
    query = draw(st.sampled_from(["", "?dry=true", "?dry=x", "?silent=no", "?runRuleEngine=true"]))
    return operation.method, path + query, draw(st.just(body) | anything)


def _serve(dialect):
    content = {**SEED, "decisions": {"dialect": dialect}}
    return Sandbox(parse(wire.decode(json.dumps(content).encode())))


@pytest.fixture(scope="module")
def sandboxes():
    return {dialect: _serve(dialect) for dialect in ("both", "2020")}


@pytest.fixture(scope="module")
def sandbox(sandboxes):
    return sandboxes["both"]


@pytest.fixture(scope="module")
def api():
    return Api()


def _sent(sandbox, request):
    method, target, body = request
    answer = sandbox.handle(wire.Request(method, target, HEADERS, wire.encode(body)))
    assert isinstance(answer, wire.Answer)
    return answer


@pytest.mark.parametrize("dialect", ["both", "2020"])
@settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_never_a_500(sandboxes, dialect, request):
    sandbox = sandboxes[dialect]
    answer = _sent(sandbox, request)
    assert 200 <= answer.status < 500
    assert answer.status < 300 or "X-Sandbox-Reason" in answer.headers
    entry = sandbox.rooms.enter("fuzz").journal.entries()[-1]
    assert (entry.status, entry.outcome) == (answer.status, "answered")


@settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_every_answer_is_as_published(api, sandbox, request):
    answer = _sent(sandbox, request)
    entry = sandbox.rooms.enter("fuzz").journal.entries()[-1]
    if entry.operation in api.operations and answer.status != 405:
        said = json.loads(answer.body) if answer.body else None
        assert api.wrong(entry.operation, answer.status, said) == []
