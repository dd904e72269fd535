"""The official SDKs, unmodified, drive what they share with the sandbox and parse its answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from django_talon.sandbox.operations import EMULATED
from django_talon.testing import SandboxServer

from .sandbox_everything import CODES, CONTENT, PROFILE_CONTENT, SEED, items

JS_VERSION = "4.3.0"
#: What talon-one-sdk 26.2 refuses to ask for.
NEWER = {"achievements", "campaignEligibility"}
ASKED = [name for name in CONTENT if name not in NEWER]
ASKED_OF_PROFILES = [name for name in PROFILE_CONTENT if name not in NEWER]
PYTHON_LACKS = {"trackEventV3", "getEventV3"}


def _snake(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    seed = tmp_path_factory.mktemp("seed") / "everything.json"
    seed.write_text(json.dumps(SEED))
    with SandboxServer(str(seed)) as running:
        yield running


@pytest.fixture
def sdk():
    return pytest.importorskip("talon_one", reason="needs talon-one-sdk 26.2")


@pytest.fixture
def api(sdk, server):
    settings = sdk.Configuration(host=server.url)
    settings.api_key["api_key_v1"] = server.key(f"py-{uuid4().hex[:8]}")
    settings.api_key_prefix["api_key_v1"] = "ApiKey-v1"
    with sdk.ApiClient(settings) as client:
        yield sdk.IntegrationApi(client)


def _cart(sdk, **more):
    content = {
        "profileId": "bob",
        "cartItems": items(),
        "additionalCosts": {"shipping": {"price": 5}},
        **more,
    }
    body = {"customerSession": content, "responseContent": ASKED}
    return sdk.IntegrationRequest.from_dict(body)


def test_python__sessions(sdk, api):
    codes = [code for code in CODES if code != "CODE-18"]
    said = api.update_customer_session_v2(
        "s1", _cart(sdk, couponCodes=codes, referralCode="FRIEND")
    )
    kinds = {effect.effect_type for effect in said.effects}
    assert {"acceptCoupon", "setDiscountPerItem", "couponCreated", "customEffect"} <= kinds
    assert said.customer_session.total == pytest.approx(61.75)
    assert said.created_coupons[0].recipient_integration_id == "bob"
    assert said.rule_failure_reasons
    api.update_customer_session_v2("s1", _cart(sdk, couponCodes=["CODE-2"], state="closed"))
    assert api.get_customer_session("s1").customer_session.state == "closed"
    rows = {"return": {"returnedCartItems": [{"position": 0, "quantity": 1}]}}
    rows["responseContent"] = ["customerSession", "previousReturns"]
    returned = api.return_cart_items("s1", sdk.ReturnIntegrationRequest.from_dict(rows))
    assert returned.customer_session.state == "partially_returned"
    undone = [effect.effect_type for effect in returned.effects]
    assert undone == ["rollbackDiscount", "rollbackAddedLoyaltyPoints"]
    cancelled = api.update_customer_session_v2(
        "s1", _cart(sdk, couponCodes=["CODE-2"], state="cancelled")
    )
    assert "rollbackCoupon" in {effect.effect_type for effect in cancelled.effects}


def test_python__reopen(sdk, api):
    api.update_customer_session_v2("s1", _cart(sdk, couponCodes=["CODE-1"], state="closed"))
    said = api.reopen_customer_session("s1")
    assert {effect.effect_type for effect in said.effects} == {
        "rollbackCoupon",
        "rollbackDiscount",
        "rollbackAddedLoyaltyPoints",
        "rollbackDeductedLoyaltyPoints",
        "rollbackIncreasedAchievementProgress",
    }
    assert api.get_customer_session("s1").customer_session.state == "open"


def test_python__profiles_and_events(sdk, api):
    body = {"attributes": {"tier": "gold"}, "responseContent": ASKED_OF_PROFILES}
    body["audiencesChanges"] = {"adds": [1], "deletes": []}
    request = sdk.CustomerProfileIntegrationRequestV2.from_dict(body)
    said = api.update_customer_profile_v2("bob", request, run_rule_engine=True)
    assert said.customer_profile.attributes == {"tier": "gold"}
    assert said.customer_profile.audience_memberships[0].name == "Regulars"
    assert [effect.effect_type for effect in said.effects] == ["showNotification"]
    many = {"customerProfiles": [{"integrationId": "x", "attributes": {"tier": "tin"}}]}
    request = sdk.MultipleCustomerProfileIntegrationRequest.from_dict(many)
    states = api.update_customer_profiles_v2(request, silent="no").integration_states
    assert [state.customer_profile.integration_id for state in states] == ["x"]
    event = {"type": "newsletter", "profileId": "bob", "responseContent": ["event"]}
    request = sdk.IntegrationEventV2Request.from_dict(event)
    assert api.track_event_v2(request, silent="no").event.type == "newsletter"


def test_python__codes_inventory_and_erasure(sdk, api):
    holders = sdk.CouponReservations.from_dict({"integrationIDs": ["bob"]})
    assert api.create_coupon_reservation("HARD-24", holders).value == "HARD-24"
    assert api.get_reserved_customers("HARD-24").total_result_size == 1
    wish = {"campaignId": 7, "advocateProfileIntegrationId": "bob"}
    referral = api.create_referral(sdk.NewReferral.from_dict(wish))
    assert referral.advocate_profile_integration_id == "bob"
    sections = ("profile", "referrals", "coupons", "loyalty", "giveaways", "achievements")
    found = api.get_customer_inventory("bob", **dict.fromkeys(sections, True))
    assert [coupon.value for coupon in found.coupons] == ["HARD-24"]
    assert [code.code for code in found.referrals] == [referral.code]
    api.delete_coupon_reservation("HARD-24", holders)
    api.delete_customer_data("bob")
    with pytest.raises(sdk.ApiException) as caught:
        api.get_reserved_customers("NOPE")
    assert caught.value.status == 404


def test_python__no_shared_operation_is_left_out(sdk):
    driven = Path(__file__).read_text()
    shared = [op.name for op in EMULATED if hasattr(sdk.IntegrationApi, _snake(op.name))]
    assert {op.name for op in EMULATED if op.is_in("current")} - set(shared) == PYTHON_LACKS
    assert [name for name in shared if f"api.{_snake(name)}(" not in driven] == []


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory, request):
    node, npm = shutil.which("node"), shutil.which("npm")
    found = os.environ.get("TALON_JS_SDK")
    if node is None or (npm is None and not found):
        pytest.skip("needs node and npm")
    cache = getattr(request.config, "cache", None)
    folder = Path(found) if found else tmp_path_factory.mktemp("talon_one_js")
    if cache is not None and not found:
        folder = cache.mkdir("talon_one_js")
    if not (folder / "node_modules" / "talon_one").exists():
        wanted = [f"talon_one@{JS_VERSION}", "--no-audit", "--no-fund", "--silent"]
        command = [npm, "install", "--prefix", str(folder), *wanted]
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"needs node and talon_one {JS_VERSION}; npm cannot install it here")
    return folder / "node_modules"


@pytest.mark.slow
def test_javascript__every_shared_operation(node_modules):
    version = json.loads((node_modules / "talon_one" / "package.json").read_text())["version"]
    assert version == JS_VERSION
    script = Path(__file__).with_name("sandbox_sdk.js")
    with SandboxServer() as running:
        command = ["node", str(script), running.url, running.key("js")]
        environment = {**os.environ, "NODE_PATH": str(node_modules)}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, env=environment
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("refused") == [400, "enum"]
    v2 = said["updateCustomerSessionV2"]
    assert [e["effectType"] for e in v2["effects"]] == ["acceptCoupon", "setDiscount"]
    assert v2["customerSession"]["total"] == 40
    assert said["updateCustomerSession"]["session"]["discounts"] == {"10 % welcome discount": 4}
    assert said["trackEvent"]["event"]["type"] == "newsletter"
    assert said["getReservedCustomers"]["totalResultSize"] == 1
    assert said["getCustomerInventory"]["coupons"][0]["value"] == "WALLET10"
    api = (node_modules / "talon_one" / "dist" / "api" / "IntegrationApi.js").read_text()
    shared = {op.name for op in EMULATED if f'key: "{op.name}"' in api}
    assert shared == set(said)
