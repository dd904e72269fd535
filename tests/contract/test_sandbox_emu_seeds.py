"""Feature 17: campaign files with state, exported and read again, and errors with their line."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.engine.errors import SeedError
from django_talon.sandbox.rooms import Room
from django_talon.sandbox.seeds import load
from django_talon.testing import SandboxServer

from .sandbox_everything import SEED
from .sandbox_wire import World, effects, item


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"seed-{uuid4().hex[:8]}")


def lived(world):
    """Fill a world with everything that can be in one."""
    server = world.server
    server.reset(world.name, seed=SEED)
    server.clock(world.name).freeze("2026-05-01T12:00:00Z")
    coupons = [campaign.get("coupons", []) for campaign in SEED["campaigns"]]
    codes = [coupon["value"] for found in coupons for coupon in found]
    for number in range(6):
        cart = [item(9.99, 2), item(100, 1, attributes={"brand": "acme"})]
        world.session(
            f"s{number}",
            profileId="ada" if number % 2 else "",
            cartItems=cart,
            couponCodes=[*codes[number * 4 : number * 4 + 4], "NOPE"],
            state="closed" if number > 2 else "open",
        )
    rows = {"return": {"returnedCartItems": [{"position": 0, "quantity": 1}]}}
    assert world.send("POST", "/v2/customer_sessions/s3/returns", rows).status == 200
    world.session("s4", state="cancelled")
    world.send("PUT", "/v2/customer_sessions/s5/reopen")
    world.send("POST", "/v2/events", {"type": "newsletter", "profileId": "ada"})
    event = {"type": "newsletter", "profileId": "ada", "integrationId": "e1"}
    world.send("POST", "/v3/events", event)
    world.send("POST", f"/v1/coupon_reservations/{codes[0]}", {"integrationIDs": ["ada", "eve"]})
    world.send("DELETE", "/v1/customer_data/eve")
    world.send("PUT", "/v2/customer_sessions/o1", {"customerSession": {}},
               Authorization=f"ApiKey-v1 {world.key}.outlet")  # fmt: skip


def test_emu_17_export_reset_and_import_is_the_same_state(world):
    server = world.server
    lived(world)
    before, shown = server.state_hash(world.name), server.state(world.name)
    content = wire.decode(wire.encode(server.export(world.name)))
    server.reset(world.name, "empty")
    assert server.state_hash(world.name) != before
    server.reset(world.name, seed=server.export(world.name))
    assert server.state(world.name)["sessions"] == {}
    server.reset(world.name, seed=content)
    assert (server.state_hash(world.name), server.state(world.name)) == (before, shown)
    assert set(content["state"]["applications"]) == {"default", "outlet"}
    server.clock(world.name).freeze("2026-05-01T12:00:00Z")
    assert world.session("s5", state="closed").status == 200
    assert world.session("s3", state="cancelled").body["effects"]


def test_emu_17_an_exported_world_goes_on_as_the_one_it_was(server, world):
    twin = World(server, f"twin-{uuid4().hex[:8]}")
    lived(world)
    server.reset(twin.name, seed=server.export(world.name))
    server.clock(twin.name).freeze("2026-05-01T12:00:00Z")
    for one in (world, twin):
        one.session("s0", cartItems=[item(50, 3)], couponCodes=["CODE-1"], state="closed")
        one.session("new", profileId="ada", cartItems=[item(70)])
        one.session("s3", state="cancelled")
    assert server.state_hash(world.name) == server.state_hash(twin.name)


def test_emu_17_a_fixture_by_hand_needs_little(world):
    state = {
        "profiles": [{"integrationId": "ada", "attributes": {"tier": "gold"}, "closedSessions": 3}],
        "sessions": [
            {"integrationId": "s1", "profileId": "ada", "cartItems": [item(20, 2)]},
            {"integrationId": "s2", "state": "closed"},
        ],
    }
    world.server.reset(world.name, seed={**load("demo").content, "state": state})
    found = world.send("GET", "/v2/customer_sessions/s1").body["customerSession"]
    assert (found["total"], found["profileId"], found["firstSession"]) == (40, "ada", True)
    said = world.session("s1", couponCodes=["WELCOME10"], want=["customerProfile"])
    assert effects(said)[0] == ("acceptCoupon", "WELCOME10")
    assert said.body["customerProfile"]["closedSessions"] == 3
    assert world.session("s2", attributes={"channel": "web"}).status == 400


@pytest.mark.parametrize(
    ("state", "path"),
    [
        ({"colour": 1}, "state.colour"),
        ({"profiles": [{"integrationId": "a", "age": 1}]}, "state.profiles[0].age"),
        ({"profiles": [{}]}, "state.profiles[0]"),
        ({"profiles": {}}, "state.profiles"),
        ({"profiles": [{"integrationId": "a"}] * 2}, "state.profiles[1]"),
        ({"profiles": [{"integrationId": 7}]}, "state.profiles[0].integrationId"),
        ({"profiles": [7]}, "state.profiles[0]"),
        ({"sessions": [{"integrationId": "s", "profileId": "x"}]}, "state.sessions[0].profileId"),
        ({"sessions": [], "applications": {}}, "state.sessions"),
        ({"sessions": [{"integrationId": "s", "created": "x"}]}, "state.sessions[0].created"),
        ({"ids": {"session": "x"}}, "state.ids.session"),
        ({"ids": []}, "state.ids"),
        (
            {"applications": {"default": {"coupons": [{"value": "ABCD", "campaignId": 99}]}}},
            "state.applications.default.coupons[0].campaignId",
        ),
        (
            {"applications": {"default": {"spent": [[["x"], "much"]]}}},
            "state.applications.default.spent",
        ),
    ],
)
def test_emu_17_wrong_state_has_its_path(state, path):
    with pytest.raises(SeedError) as caught:
        parse({"state": state})
    assert caught.value.path == path.replace(
        "state.sessions[", "state.applications.default.sessions["
    )


JSON_FILE = """{
  "eventTypes": ["newsletter"],
  "campaigns": [
    {"id": 1, "name": "One"},
    {"id": 2,
     "name": "Two",
     "colour": "blue"}
  ]
}
"""
YAML_FILE = """# campaigns of the shop
eventTypes: [newsletter]
campaigns:
  - {id: 1, name: One}
  - id: 2
    name: Two
    ruleset:
      promotionRules:
        - title: t
          blocks:
            - type: passthrough
"""


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("seed.json", JSON_FILE, "line 7: campaigns[1].colour: is not known here"),
        ("seed.yaml", YAML_FILE, 'line 11: campaigns[1].ruleset.promotionRules[0].blocks[0]: bl'),
        ("seed.yaml", "campaigns: []\ncolour: blue\n", "line 2: seed.colour: is not known here"),
        ("seed.json", '{\n"colour": 1}', "line 2: seed.colour: is not known here"),
        ("seed.json", '{\n"campaigns":\n[{"id": 1}]}', "line 3: campaigns[0]: name is missing"),
        ("seed.json", "[]", "line 1: seed: must be an object"),
        ("seed.json", '{"campaigns": [\n\n{"id": }]}', "line 3 is no JSON"),
        ("seed.json", "", "line 1 is no JSON"),
        ("seed.yaml", "a: [", "is no YAML"),
    ],
)  # fmt: skip
def test_emu_17_errors_have_their_line(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(SeedError) as caught:
        load(str(path))
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_emu_17_ten_thousand_objects_are_read(tmp_path):
    path = tmp_path / "big.json"
    profiles = [{"integrationId": f"u{n}", "attributes": {"tier": "x"}} for n in range(5000)]
    cart = [item(10, 2)]
    sessions = [
        {"integrationId": f"s{n}", "profileId": f"u{n}", "cartItems": cart} for n in range(5000)
    ]
    path.write_text(json.dumps({"state": {"profiles": profiles, "sessions": sessions}}))
    world = Room("w", load(str(path))).world
    assert len(world.profiles) == len(world.applications["default"].sessions) == 5000
