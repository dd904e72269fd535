"""Life cycle, dialects and decisions of the sandbox, over a real socket."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from uuid import uuid4

import pytest

from django_talon.sandbox.operations import EMULATED, OPERATIONS
from django_talon.testing import SandboxServer

from .sandbox_everything import SEED
from .sandbox_wire import World, effects, item

SESSIONS, PROFILES = "/v2/customer_sessions", "/v2/customer_profiles"


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Return what starts a sandbox with these decisions, and keeps it for this module."""
    running = {}

    def start(**decisions):
        key = json.dumps(decisions, sort_keys=True)
        if key not in running:
            seed = tmp_path_factory.mktemp("seed") / "seed.json"
            seed.write_text(json.dumps({**SEED, "decisions": decisions}))
            running[key] = SandboxServer(str(seed)).start()
        return World(running[key], f"today-{uuid4().hex[:8]}")

    yield start
    for server in running.values():
        server.stop()


@pytest.fixture
def world(serve):
    return serve()


def test_emu_01_put_get_close_and_refused_edit(world):
    world.session(profileId="bob", cartItems=[item(5)])
    read = world.send("GET", f"{SESSIONS}/s1").body["customerSession"]
    assert (read["profileId"], read["total"], read["updateCount"]) == ("bob", 5, 1)
    world.session(state="closed")
    edit = world.session(cartItems=[item(6)])
    assert (edit.status, edit.body["errors"][0]["title"]) == (400, "Invalid state transition")
    assert edit.body["errors"][0]["source"] == {"pointer": "/customerSession/state"}
    assert world.send("GET", f"{SESSIONS}/s1").body["customerSession"]["total"] == 5


@pytest.mark.parametrize("second", [204, 404])
def test_emu_01_erased_and_filled_anew(serve, second):
    world = serve(second_erasure=second)
    world.send("PUT", f"{PROFILES}/bob", {"attributes": {"tier": "gold"}})
    path = "/v1/customer_data/bob"
    assert world.send("DELETE", path).status == 204
    assert world.send("DELETE", path).status == second
    assert world.send("DELETE", "/v1/customer_data/nobody").status == 404
    found = world.send("GET", "/v1/customer_profiles/bob/inventory?profile=true").body["profile"]
    assert found["attributes"] == {}
    said = world.send("PUT", f"{PROFILES}/bob", {"attributes": {"tier": "tin"}})
    assert said.body["customerProfile"]["attributes"] == {"tier": "tin"}


def test_emu_01_unknown_profiles_are_created(world):
    world.session(profileId="new-1")
    world.send("POST", "/v2/events", {"type": "newsletter", "profileId": "new-2"})
    for name in ("new-1", "new-2"):
        said = world.send("GET", f"/v1/customer_profiles/{name}/inventory?profile=true")
        assert said.body["profile"]["integrationId"] == name


def returned(world, *rows, query=""):
    body = {"return": {"returnedCartItems": list(rows)}, "responseContent": ["customerProfile"]}
    return world.send("POST", f"{SESSIONS}/s1/returns{query}", body)


#: What a whole session of this seed gives back; each has tests of its own.
ROLLED_BACK = {
    "rollbackCoupon",
    "rollbackDiscount",
    "rollbackAddedLoyaltyPoints",
    "rollbackDeductedLoyaltyPoints",
    "rollbackIncreasedAchievementProgress",
}


def test_returns__step_by_step(world):
    content = {"profileId": "bob", "couponCodes": ["CODE-2"]}
    lines = [item(10, 2), {**item(4), "sku": "pen"}]
    world.session(**content, cartItems=lines, state="closed")
    dry = returned(world, {"sku": "pen"}, query="?dry=true")
    assert effects(dry) == [
        ("rollbackDiscount", Decimal("0.4")),
        ("rollbackAddedLoyaltyPoints", 5),
    ]
    assert world.send("GET", f"{SESSIONS}/s1").body["customerSession"]["state"] == "closed"
    first = returned(world, {"sku": "pen"}, {"position": 0, "quantity": 1})
    places = [
        (e["props"]["cartItemPosition"], e["props"]["cartItemSubPosition"])
        for e in first.body["effects"]
        if e["effectType"] == "rollbackDiscount"
    ]
    assert sorted(places) == [(0, 0), (1, 0)]
    assert first.body["customerProfile"]["totalSales"] == 10
    too_many = returned(world, {"position": 0, "quantity": 2})
    assert too_many.status == 400
    pointer = too_many.body["errors"][0]["source"]["pointer"]
    assert pointer == "/return/returnedCartItems/0/quantity"
    nowhere = returned(world, {"position": 7})
    assert nowhere.body["errors"][0]["source"]["pointer"] == "/return/returnedCartItems/0"
    stored = world.send("GET", f"{SESSIONS}/s1").body
    places = [e["props"]["subPosition"] for e in stored["effects"] if "subPosition" in e["props"]]
    assert places == [1]
    last = world.session(state="cancelled", want=["customerProfile"])
    assert {kind for kind, *_ in effects(last)} == ROLLED_BACK
    assert last.body["customerProfile"]["totalSales"] == 0
    assert returned(world, {"position": 0}).status == 400


def test_returns__give_budgets_back(world):
    content = {"profileId": "bob", "couponCodes": ["CARD-16"]}
    world.session(**content, cartItems=[item(3)], state="closed")
    returned(world, {"position": 0})
    want = ["coupons"]
    shown = world.session("s2", want=want, profileId="eve", couponCodes=["CARD-16"], cartItems=[])
    assert shown.body["coupons"][0]["discountCounter"] == 3


@pytest.mark.parametrize(("decision", "left"), [("line", 0), ("unit", 1)])
def test_returns__without_quantity(serve, decision, left):
    world = serve(return_without_quantity=decision)
    world.session(profileId="bob", cartItems=[item(10, 2)], state="closed")
    returned(world, {"position": 0})
    line = world.send("GET", f"{SESSIONS}/s1").body["customerSession"]["cartItems"][0]
    assert line["remainingQuantity"] == left


def test_reopen__only_a_closed_session(world):
    world.session(profileId="bob", cartItems=[item(10)], couponCodes=["CODE-1"])
    assert world.send("PUT", f"{SESSIONS}/s1/reopen").status == 400
    world.session(state="closed")
    said = world.send("PUT", f"{SESSIONS}/s1/reopen")
    assert {kind for kind, *_ in effects(said)} == ROLLED_BACK
    assert world.session(cartItems=[item(12)]).status == 200
    assert world.send("PUT", f"{SESSIONS}/none/reopen").status == 404


def test_bulk_profiles(world):
    rows = [{"integrationId": n, "attributes": {"tier": n}} for n in ("a", "b")]
    assert world.send("PUT", PROFILES, {"customerProfiles": rows}).status == 204
    said = world.send("PUT", f"{PROFILES}?silent=no", {"customerProfiles": rows[:1]})
    [state] = said.body["integrationStates"]
    assert state["customerProfile"]["attributes"] == {"tier": "a"}


def test_emu_11_v3_event_ids_are_unique(world):
    event = {"type": "newsletter", "profileId": "bob", "integrationId": "e-1"}
    assert world.send("POST", "/v3/events", event).status == 204
    assert world.send("POST", "/v3/events", event).status == 409
    assert world.send("GET", "/v3/events/e-1").body["profileId"] == "bob"
    assert world.send("GET", "/v3/events/e-2").status == 404
    linked = {**event, "integrationId": "e-2", "connectedSessionId": "s1"}
    assert world.send("POST", "/v3/events", linked).status == 400
    world.session(profileId="bob", state="closed")
    assert world.send("POST", "/v3/events", linked).status == 204


def test_emu_11_same_key_twice_is_one_change(world):
    rows = {"return": {"returnedCartItems": [{"position": 0, "quantity": 1}]}}
    world.session(profileId="bob", cartItems=[item(10, 2)], state="closed")
    path = f"{SESSIONS}/s1/returns"
    first = world.send("POST", path, rows, Idempotency_Key="k-1")
    second = world.send("POST", path, rows, Idempotency_Key="k-1")
    assert (first.status, second.body) == (200, first.body)
    line = world.send("GET", f"{SESSIONS}/s1").body["customerSession"]["cartItems"][0]
    assert line["returnedQuantity"] == 1
    other = {"return": {"returnedCartItems": [{"position": 0}]}}
    assert world.send("POST", path, other, Idempotency_Key="k-1").status == 400
    world.send("PUT", f"{SESSIONS}/s1/reopen")
    for _ in range(2):
        assert (
            world.send("PUT", PROFILES, {"customerProfiles": []}, Idempotency_Key="k").status == 204
        )


def test_emu_11_a_b_a_with_keys_ends_at_b(world):
    bodies = {name: {"customerSession": {"attributes": {"channel": name}}} for name in ("a", "b")}
    for with_keys in (True, False):
        for name in "aba":
            more = {"Idempotency_Key": f"{name}-key"} if with_keys else {}
            world.send("PUT", f"{SESSIONS}/s1", bodies[name], **more)
        found = world.send("GET", f"{SESSIONS}/s1").body["customerSession"]["attributes"]
        assert found == {"channel": "b" if with_keys else "a"}


def test_emu_11_one_runs_two_wait_the_rest_is_refused(world):
    park = {"match": {"operation": "updateCustomerSessionV2"}, "phase": "before_apply"}
    rule = {**park, "world": world.name, "do": {"park": {"name": f"gate-{world.name}"}}}
    assert world.send("POST", "/_sandbox/faults", rule).status == 201
    statuses: list[int] = []

    def update(number):
        statuses.append(world.session(f"s{number}", profileId="bob").status)

    threads = [threading.Thread(target=update, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    while len(statuses) < 2:
        threading.Event().wait(0.01)
    assert statuses == [409, 409]
    while any(thread.is_alive() for thread in threads):
        world.send("POST", "/_sandbox/release", {"name": f"gate-{world.name}"})
        threading.Event().wait(0.01)
    assert sorted(statuses) == [200, 200, 200, 409, 409]


def test_dialect_current__the_old_paths_are_gone(serve):
    world = serve(dialect="current")
    gone = [op for op in EMULATED if not op.is_in("current")]
    assert {op.name for op in gone} == {
        "updateCustomerSession",
        "updateCustomerProfile",
        "trackEvent",
    }
    for operation in gone:
        path = operation.template.replace("{sessionId}", "s").replace("{profileId}", "p")
        said = world.send(operation.method, path, {})
        assert said.status == 404
        assert operation.name in said.headers["X-Sandbox-Reason"]


def test_dialect_2020__only_the_seed(serve):
    world = serve(dialect="2020")
    assert len([op for op in OPERATIONS if op.is_in("2020")]) == 11
    assert world.send("GET", f"{SESSIONS}/s1").status == 404
    assert set(world.send("PUT", f"{PROFILES}/bob", {}).body) == {"customerProfile"}
    hard = world.session(profileId="bob", couponCodes=["HARD-24"], cartItems=[])
    assert effects(hard)[0] == ("rejectCoupon", "HARD-24", "CouponRecipientDoesNotMatch")


def test_decisions__cancel_of_an_open_session(serve):
    for decision, kinds in (("rollback", ["rollbackDiscount"]), ("nothing", [])):
        world = serve(cancel_open=decision)
        world.session(couponCodes=["CODE-1"], cartItems=[item(10)])
        dry = world.session(query="?dry=true", state="cancelled")
        assert [kind for kind, *_ in effects(dry)] == kinds
        assert [kind for kind, *_ in effects(world.session(state="cancelled"))] == kinds


def test_decisions__repeated_close(serve):
    for decision, status in (("replay", 200), ("refuse", 400)):
        world = serve(repeated_close=decision)
        world.session(state="closed")
        assert world.session(state="closed").status == status


def test_decisions__statuses(serve):
    world = serve(illegal_transition=409, unknown_session=400, unknown_campaign=404)
    world.session(state="closed")
    assert world.session(state="open", cartItems=[item(1)]).status == 409
    assert world.send("GET", f"{SESSIONS}/none").status == 400
    wish = {"campaignId": 99, "advocateProfileIntegrationId": "bob"}
    assert world.send("POST", "/v1/referrals", wish).status == 404


def test_decisions__profiles(serve):
    world = serve(profile_can_change=True, reservation_creates_profile=False)
    world.session(profileId="bob")
    assert world.session(profileId="eve").status == 200
    path = "/v1/coupon_reservations/CODE-1"
    assert world.send("POST", path, {"integrationIDs": ["nobody"]}).status == 400
    assert world.send("POST", path, {"integrationIDs": ["bob"]}).status == 201


def test_decisions__shapes(serve):
    world = serve(
        session_always=True,
        extreme_decimals=True,
        bare_rollbacks=True,
        shuffle_effects=True,
        event_effects="tuples",
        advocate_must_exist=True,
    )
    content = {"couponCodes": ["CODE-1", "CODE-2", "CODE-6"], "referralCode": "FRIEND"}
    said = world.session(**content, cartItems=[item(10)], want=["event"])
    assert said.body["customerSession"]["state"] == "open"
    assert said.body["event"]["effects"]
    told = effects(said)
    assert ("rejectReferral", "FRIEND", "AdvocateNotFound") in told
    assert {kind for kind, *_ in told} > {"acceptCoupon", "setDiscount", "addFreeItem"}
    [value] = [entry[1] for entry in told if entry[0] == "setDiscount"]
    assert len(str(value)) > 20
    rollbacks = world.session(state="cancelled").body["effects"]
    assert {effect["campaignId"] for effect in rollbacks} == {-1}


def test_personal_codes_are_reserved_once(serve, tmp_path):
    seed = tmp_path / "personal.json"
    coupons = [{"value": "MINE", "reservation": False}]
    rules = {"promotionRules": []}
    rows = [{"id": 1, "name": "p", "ruleset": rules, "coupons": coupons}]
    case = {"caseSensitivity": "insensitive-uppercase"}
    seed.write_text(json.dumps({"campaigns": rows, "application": case}))
    with SandboxServer(str(seed)) as running:
        world = World(running, "personal")
        path = "/v1/coupon_reservations/mine"
        assert world.send("POST", path, {"integrationIDs": ["bob"]}).status == 201
        assert world.send("POST", path, {"integrationIDs": ["bob"]}).status == 201
        assert world.send("POST", path, {"integrationIDs": ["eve"]}).status == 400
        said = world.session(
            couponCodes=["mine"], referralCode="ref", cartItems=[], want=["coupons"]
        )
        assert said.body["coupons"][0]["value"] == "MINE"


def test_emu_21_every_refusal_says_why(world):
    for method, path, body in (
        ("GET", f"{SESSIONS}/none", None),
        ("PUT", f"{SESSIONS}/s1", {}),
        ("PUT", "/v2/audiences/1", {}),
        ("DELETE", f"{SESSIONS}/s1", None),
        ("GET", "/nowhere", None),
        ("PUT", f"{SESSIONS}/none/reopen", None),
    ):
        said = world.send(method, path, body)
        assert said.status >= 400
        assert said.headers["X-Sandbox-Reason"]
