"""One mutation per field of every request: missing, of a wrong type, over its limit, unknown."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.operations import EMULATED
from django_talon.sandbox.service import Sandbox
from django_talon.sandbox.validation import bodies_2020
from django_talon.sandbox.validation.bodies import BODIES

from .sandbox_everything import SEED
from .talon_api import Api, SeedApi

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")

DAY = "2030-01-01T00:00:00Z"
ITEM: dict[str, Any] = {
    "sku": "mug",
    "name": "Mug",
    "quantity": 2,
    "price": 10.5,
    "category": "mugs",
    "product": {"name": "Mug"},
    "weight": 1,
    "height": 1,
    "width": 1,
    "length": 1,
    "position": 0,
    "returnedQuantity": 0,
    "remainingQuantity": 2,
    "catalogItemID": 1,
    "selectedPriceType": "base",
    "adjustmentReferenceId": "0b3c5a34-8f0b-4d3f-9ef0-111111111111",
    "adjustmentEffectiveFrom": DAY,
    "adjustmentEffectiveUntil": DAY,
    "prices": {"base": {"price": 1}},
    "attributes": {"brand": "acme"},
    "additionalCosts": {"shipping": {"price": 1}},
    "adjustment": {"payFromLoyaltyProgram": 1, "pointPayment": 1, "remainingPrice": 1},
}
ITEM_2020 = {
    name: ITEM[name]
    for name in "sku name quantity price category weight height width length position attributes"
    " adjustment".split()
}
SESSION: dict[str, Any] = {
    "profileId": "bob",
    "storeIntegrationId": "store",
    "evaluableCampaignIds": [1],
    "couponCodes": ["CODE-1"],
    "referralCode": "FRIEND",
    "loyaltyCards": ["card"],
    "state": "open",
    "cartItems": [ITEM],
    "experimentVariantAllocations": [{"experimentID": 1, "variantID": 1}],
    "additionalCosts": {"shipping": {"price": 5}},
    "identifiers": ["ip"],
    "attributes": {"channel": "web"},
}
EVENT: dict[str, Any] = {
    "type": "newsletter",
    "profileId": "bob",
    "attributes": {"source": "mail"},
    "storeIntegrationId": "store",
    "evaluableCampaignIds": [15],
    "loyaltyCards": ["card"],
    "responseContent": ["event"],
}
OLD_SESSION = {
    "profileId": "bob",
    "coupon": "CODE-1",
    "referral": "FRIEND",
    "state": "open",
    "cartItems": [ITEM_2020],
    "identifiers": ["ip"],
    "total": 21,
    "attributes": {"channel": "web"},
}
GOOD: dict[str, Any] = {
    "updateCustomerSessionV2": {
        "customerSession": SESSION,
        "responseContent": ["customerSession"],
    },
    "updateCustomerSession": OLD_SESSION,
    "returnCartItems": {
        "return": {"returnedCartItems": [{"position": 0, "quantity": 1, "sku": "mug"}]},
        "responseContent": ["customerSession"],
    },
    "updateCustomerProfileV2": {
        "attributes": {"tier": "gold"},
        "responseContent": ["customerProfile"],
        "evaluableCampaignIds": [1],
        "audiencesChanges": {"adds": [1], "deletes": [1]},
    },
    "updateCustomerProfilesV2": {
        "customerProfiles": [{"integrationId": "bob", "attributes": {"tier": "gold"}}]
    },
    "updateCustomerProfile": {"attributes": {"tier": "gold"}},
    "trackEvent": {
        "type": "newsletter",
        "attributes": {"source": "mail"},
        "sessionId": "other",
        "profileId": "bob",
    },
    "trackEventV2": EVENT,
    "trackEventV3": {
        **EVENT,
        "integrationId": "event-1",
        "connectedSessionId": "done",
        "responseContent": ["advancedEvent"],
    },
    "createCouponReservation": {"integrationIDs": ["bob"]},
    "deleteCouponReservation": {"integrationIDs": ["bob"]},
    "createReferral": {
        "campaignId": 7,
        "advocateProfileIntegrationId": "bob",
        "friendProfileIntegrationId": "eve",
        "startDate": DAY,
        "expiryDate": DAY,
        "usageLimit": 3,
        "attributes": {"origin": "mail"},
    },
}
_SESSION_2020 = "profileId couponCodes referralCode state additionalCosts identifiers attributes"
_REFERRAL_2020 = "campaignId advocateProfileIntegrationId friendProfileIntegrationId startDate"
GOOD_2020: dict[str, Any] = {
    "updateCustomerSessionV2": {
        "customerSession": {
            **{name: SESSION[name] for name in _SESSION_2020.split()},
            "cartItems": [ITEM_2020],
        },
        "responseContent": ["customerSession"],
    },
    "updateCustomerProfileV2": {"attributes": {"tier": "gold"}},
    "createReferral": {
        name: GOOD["createReferral"][name] for name in (*_REFERRAL_2020.split(), "expiryDate")
    },
    **{name: GOOD[name] for name in ("updateCustomerSession", "updateCustomerProfile")},
    **{name: GOOD[name] for name in ("trackEvent", "createCouponReservation")},
    "deleteCouponReservation": GOOD["deleteCouponReservation"],
}
EXAMPLES = {"both": GOOD, "2020": GOOD_2020}
REQUIRED = {
    "updateCustomerSessionV2": [
        "/customerSession",
        "/customerSession/cartItems/0/sku",
        "/customerSession/cartItems/0/quantity",
        "/customerSession/cartItems/0/price",
        "/customerSession/cartItems/0/product/name",
        "/customerSession/cartItems/0/additionalCosts/shipping/price",
        "/customerSession/additionalCosts/shipping/price",
        "/customerSession/experimentVariantAllocations/0/experimentID",
        "/customerSession/experimentVariantAllocations/0/variantID",
    ],
    "updateCustomerSession": [
        "/cartItems/0/name",
        "/cartItems/0/sku",
        "/cartItems/0/quantity",
        "/cartItems/0/price",
    ],
    "returnCartItems": ["/return", "/return/returnedCartItems"],
    "updateCustomerProfileV2": ["/audiencesChanges/adds", "/audiencesChanges/deletes"],
    "updateCustomerProfilesV2": ["/customerProfiles", "/customerProfiles/0/integrationId"],
    "trackEvent": ["/type", "/attributes", "/sessionId"],
    "trackEventV2": ["/type", "/profileId"],
    "trackEventV3": ["/type", "/profileId", "/integrationId"],
    "createCouponReservation": ["/integrationIDs"],
    "deleteCouponReservation": ["/integrationIDs"],
    "createReferral": ["/campaignId", "/advocateProfileIntegrationId"],
}
REQUIRED_2020 = {"updateCustomerSessionV2": ["/customerSession/cartItems/0/name"]}
LONG, CODE = "x" * 1001, "x" * 101
LIMITS: dict[str, dict[str, Any]] = {
    "updateCustomerSessionV2": {
        "/customerSession/profileId": LONG,
        "/customerSession/storeIntegrationId": LONG,
        "/customerSession/couponCodes/0": CODE,
        "/customerSession/referralCode": CODE,
        "/customerSession/loyaltyCards": ["a", "b"],
        "/customerSession/cartItems": [{"sku": "a", "quantity": 1, "price": 1}] * 1001,
        "/customerSession/cartItems/0/sku": "",
        "/customerSession/cartItems/0/quantity": 0,
        "/customerSession/cartItems/0/price": -1,
        "/customerSession/identifiers": ["a"] * 6,
        "/customerSession/state": "lost",
        "/responseContent/0": "everything",
    },
    "updateCustomerSession": {
        "/profileId": LONG,
        "/coupon": CODE,
        "/referral": CODE,
        "/identifiers": ["a"] * 6,
        "/state": "lost",
        "/total": 1e16,
    },
    "returnCartItems": {"/return/returnedCartItems/0/quantity": 0},
    "updateCustomerProfilesV2": {
        "/customerProfiles": [{"integrationId": "a"}] * 1001,
        "/customerProfiles/0/integrationId": LONG,
    },
    "trackEvent": {"/type": "", "/sessionId": "", "/profileId": LONG},
    "trackEventV2": {"/type": "talon_x", "/profileId": LONG, "/loyaltyCards": ["a", "b"]},
    "trackEventV3": {"/type": "", "/integrationId": "", "/connectedSessionId": ""},
    "createCouponReservation": {"/integrationIDs": ["a"] * 1001, "/integrationIDs/0": LONG},
    "deleteCouponReservation": {"/integrationIDs": ["a"] * 1001, "/integrationIDs/0": LONG},
    "createReferral": {
        "/usageLimit": 1_000_000,
        "/advocateProfileIntegrationId": LONG,
        "/friendProfileIntegrationId": LONG,
        "/campaignId": 0,
    },
}
PATHS = {
    "{sessionId}": "s1",
    "{profileId}": "bob",
    "{couponValue}": "CODE-1",
}
FREE = ("/prices/",)


def _walk(value, pointer=""):
    yield pointer, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, f"{pointer}/{name}")
    elif isinstance(value, list) and value:
        yield from _walk(value[0], f"{pointer}/0")


def _holder(body, pointer):
    *path, last = pointer.strip("/").split("/")
    for name in path:
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body, (int(last) if isinstance(body, list) else last)


def _mutations():
    for dialect, examples in EXAMPLES.items():
        for operation, good in examples.items():
            pointers = dict(_walk(good))
            for pointer, value in pointers.items():
                if any(free in pointer for free in FREE):
                    continue
                wrong = "text" if isinstance(value, dict | list | int | float) else 7
                yield dialect, operation, pointer, "wrong type", wrong
                is_object = isinstance(value, dict) and not pointer.endswith("prices")
                if is_object:
                    yield dialect, operation, f"{pointer}/surprise", "extra", 1
            younger = REQUIRED_2020 if dialect == "2020" else {}
            for pointer in (*REQUIRED.get(operation, ()), *younger.get(operation, ())):
                if pointer in pointers:
                    yield dialect, operation, pointer, "missing", None
            for pointer, value in LIMITS.get(operation, {}).items():
                if pointer in pointers:
                    yield dialect, operation, pointer, "limit", value


MUTATIONS = list(_mutations())


def _serve(dialect):
    content = {**SEED, "decisions": {"dialect": dialect}}
    return Sandbox(parse(wire.decode(json.dumps(content).encode())))


@pytest.fixture(scope="module")
def sandboxes():
    return {dialect: _serve(dialect) for dialect in EXAMPLES}


def _send(sandbox, operation, body, session="s1"):
    found = next(entry for entry in EMULATED if entry.name == operation)
    path = found.template
    for name, value in (PATHS | {"{sessionId}": session}).items():
        path = path.replace(name, value)
    headers = {"authorization": "ApiKey-v1 sbx-fields"}
    raw = json.dumps(body).encode()
    answer = sandbox.handle(wire.Request(found.method, path, headers, raw))
    return answer.status, json.loads(answer.body) if answer.body else None


@pytest.mark.parametrize(
    ("dialect", "operation", "pointer", "kind", "value"),
    MUTATIONS,
    ids=[f"{d}-{o}-{p or 'body'}-{k}" for d, o, p, k, _ in MUTATIONS],
)
def test_emu_09_one_mutation_is_one_problem(sandboxes, dialect, operation, pointer, kind, value):
    body = deepcopy(EXAMPLES[dialect][operation])
    if not pointer:
        body = value
    elif kind == "missing":
        holder, name = _holder(body, pointer)
        del holder[name]
    else:
        holder, name = _holder(body, pointer)
        holder[name] = value
    status, said = _send(sandboxes[dialect], operation, body)
    assert status == 400
    pointers = {error["source"]["pointer"] for error in said["errors"]}
    assert pointers == {pointer}


@pytest.mark.parametrize("dialect", EXAMPLES)
def test_emu_09_every_good_example_is_accepted(sandboxes, dialect):
    sandbox = sandboxes[dialect]
    done = {"customerSession": {"state": "closed", "cartItems": [ITEM_2020]}}
    for name in ("done", "s1"):
        assert _send(sandbox, "updateCustomerSessionV2", done, name)[0] == 200
    for operation, good in EXAMPLES[dialect].items():
        open_one = operation.startswith("updateCustomerSession")
        status, said = _send(sandbox, operation, good, operation if open_one else "s1")
        assert status < 300, (operation, said)


YOUNGER = [
    (operation, pointer, value)
    for operation in sorted(GOOD_2020)
    for pointer, value in _walk(GOOD[operation])
    if pointer not in dict(_walk(GOOD_2020[operation]))
    and pointer.rpartition("/")[0] in dict(_walk(GOOD_2020[operation]))
]


@pytest.mark.parametrize(
    ("operation", "pointer", "value"), YOUNGER, ids=[f"{o}-{p}" for o, p, _ in YOUNGER]
)
def test_emu_09_what_2020_did_not_know_is_an_unknown_field(sandboxes, operation, pointer, value):
    body = deepcopy(GOOD_2020[operation])
    holder, name = _holder(body, pointer)
    holder[name] = value
    status, said = _send(sandboxes["2020"], operation, body)
    assert status == 400
    assert [e["source"]["pointer"] for e in said["errors"]] == [pointer]


CONTENTS = {
    "updateCustomerSessionV2": "advancedEvent",
    "updateCustomerProfileV2": "customerSession",
    "trackEventV2": "coupons",
    "trackEventV3": "event",
    "returnCartItems": "ruleFailureReasons",
}


@pytest.mark.parametrize(("operation", "other"), CONTENTS.items())
def test_emu_09_each_operation_has_its_own_response_content(sandboxes, operation, other):
    body = {**GOOD[operation], "responseContent": [other]}
    status, said = _send(sandboxes["both"], operation, body)
    assert (status, said["errors"][0]["title"]) == (400, "enum")
    published = Api().response_content(operation)
    assert other not in published
    body = {**GOOD[operation], "responseContent": published, "surprise": 1}
    status, said = _send(sandboxes["both"], operation, body)
    assert [error["source"]["pointer"] for error in said["errors"]] == ["/surprise"]


def test_every_body_has_its_example():
    assert set(GOOD) == set(BODIES)
    assert set(GOOD_2020) == set(bodies_2020.BODIES)


def test_every_published_field_is_among_them():
    api, missing = Api(), []
    for operation, good in GOOD.items():
        if operation in api.operations:
            sent = {pointer for pointer, _ in _walk(good)}
            published = api.fields_of_request(operation)
            assert published
            missing += [f"{operation} {p}" for p in sorted(published - sent)]
    assert missing == []


def test_every_field_of_2020_is_among_them():
    api = SeedApi()
    for operation, good in GOOD_2020.items():
        sent = {pointer for pointer, _ in _walk(good)}
        assert api.wrong_request(operation, good) == []
        assert api.fields_of_request(operation) <= sent, operation
