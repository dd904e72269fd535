"""Feature 12: each of the nine monitors fires, stays quiet, and can be switched off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from django_talon.sandbox.monitors import MONITORS
from django_talon.testing import SandboxServer

from .sandbox_wire import World, item

UPDATE = "updateCustomerSessionV2"
EVENT = {"type": "newsletter", "profileId": "ada"}
SEED = {"attributes": {"CustomerSession": {"version": "number", "channel": "string"}},
        "eventTypes": ["newsletter"]}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    made = World(server, f"mon-{uuid4().hex[:8]}")
    server.reset(made.name, seed=SEED)
    return made


def overlap(world):
    name = f"park-{world.name}"
    world.server.faults(world.name).add(when={"first": 1}, do={"park": {"name": name}})
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(world.session, profileId="ada")]
        world.server.wait_until_parked(world.name, name)
        held.append(pool.submit(world.session, profileId="ada"))
        world.server.journal(world.name, wait=0.5, count=2)
        while len(world.calls()) < 2:
            world.server.journal(world.name, wait=0.05, count=2)
        world.server.release(name)
        assert [one.result(20).status for one in held] == [200, 200]


def no_overlap(world):
    for _ in range(2):
        world.session(profileId="ada")
        world.session("s2", profileId="bob")


def write_after_erase(world):
    world.send("PUT", "/v2/customer_profiles/ada", {})
    world.send("DELETE", "/v1/customer_data/ada")
    world.send("PUT", "/v2/customer_profiles/ada", {})


def erased_and_left_alone(world):
    world.session(profileId="ada", cartItems=[item()])
    world.send("DELETE", "/v1/customer_data/ada")
    world.session(state="closed")
    world.send("GET", "/v1/customer_profiles/ada/inventory")


def edit_after_close(world):
    world.session(state="closed", cartItems=[item()])
    world.session(cartItems=[item(20)])


def close_twice(world):
    world.session(state="closed", cartItems=[item()])
    world.session(state="closed", cartItems=[item()])
    world.session(state="cancelled")


def duplicate_event(world):
    world.send("POST", "/v2/events", EVENT)
    world.send("POST", "/v2/events", EVENT)


def events_told_apart(world):
    world.send("POST", "/v2/events", EVENT, Idempotency_Key="a")
    world.send("POST", "/v2/events", EVENT, Idempotency_Key="a")
    world.send("POST", "/v2/events", EVENT, Idempotency_Key="b")
    world.send("POST", "/v2/events?dry=true", EVENT)
    world.send("POST", "/v2/events", EVENT)
    world.server.clock(world.name).advance(61)
    world.send("POST", "/v2/events", EVENT)


def regress(world):
    world.server.monitors(world.name, **_off(world), versionAttribute="version")
    world.session(attributes={"version": 8})
    world.session(attributes={"version": 7})


def progress(world):
    world.server.monitors(world.name, versionAttribute="version")
    for version in (7, 7, 8):
        world.session(attributes={"version": version})
    world.session(attributes={"channel": "web"})
    world.session("other", attributes={"version": 1})


def key_misuse(world):
    path = "/v2/customer_sessions/s1"
    bodies = [{"customerSession": {"cartItems": [item(price)]}} for price in (1, 2)]
    for body, key in ((bodies[0], "a"), (bodies[1], "b"), (bodies[0], "a")):
        assert world.send("PUT", path, body, Idempotency_Key=key).status == 200


def keys_well_used(world):
    path, body = "/v2/customer_sessions/s1", {"customerSession": {}}
    for key in ("a", "a", "b"):
        assert world.send("PUT", path, body, Idempotency_Key=key).status == 200


def retry_too_soon(world):
    fault = {"status": {"code": 429, "retryAfter": 60}}
    world.server.faults(world.name).add(UPDATE, when={"first": 1}, do=fault)
    world.session()
    world.session()


def retry_in_time(world):
    clock = world.server.clock(world.name)
    clock.freeze()
    for wait in (60, {"date": 60}):
        fault = {"status": {"code": 503, "retryAfter": wait}}
        world.server.faults(world.name).clear()
        world.server.faults(world.name).add(UPDATE, when={"first": 1}, do=fault)
        world.session()
        world.session("another")
        clock.advance(60)
        world.session()


def retry_storm(world):
    world.server.monitors(world.name, **_off(world), storm=5)
    for _ in range(6):
        world.session()


def steady(world):
    world.server.monitors(world.name, storm=5, probes=2)
    for number in range(7):
        world.session(str(number))
        world.session("same")
        world.server.clock(world.name).advance(15)
    world.server.revoke(world.name)
    for _ in range(2):
        world.session()


def leak(world):
    world.session(attributes={"channel": world.key})


def nothing_leaks(world):
    world.session(attributes={"channel": "ada@example.test"})


def _off(world):
    """Keep what a test has switched off."""
    return {"off": sorted(world.server.sandbox.rooms.enter(world.name).violations.settings.off)}


SCRIPTS = {
    "overlap": (overlap, no_overlap),
    "write-after-erase": (write_after_erase, erased_and_left_alone),
    "edit-after-close": (edit_after_close, close_twice),
    "duplicate-event": (duplicate_event, events_told_apart),
    "regress": (regress, progress),
    "key-misuse": (key_misuse, keys_well_used),
    "retry-too-soon": (retry_too_soon, retry_in_time),
    "retry-storm": (retry_storm, steady),
    "leak": (leak, nothing_leaks),
}


def found(world):
    return [violation["monitor"] for violation in world.server.violations(world.name)]


@pytest.mark.parametrize("monitor", MONITORS)
def test_emu_12_fires(world, monitor):
    SCRIPTS[monitor][0](world)
    assert set(found(world)) == {monitor}
    assert world.server.violations(world.name)[0]["calls"]


@pytest.mark.parametrize("monitor", MONITORS)
def test_emu_12_stays_quiet(world, monitor):
    SCRIPTS[monitor][1](world)
    assert found(world) == []


@pytest.mark.parametrize("monitor", MONITORS)
def test_emu_12_can_be_switched_off(world, monitor):
    world.server.monitors(world.name, off=[monitor])
    SCRIPTS[monitor][0](world)
    assert found(world) == []


def test_emu_12_one_key_for_two_requests(world):
    path = "/v2/customer_sessions/s1"
    for price in (1, 2):
        body = {"customerSession": {"cartItems": [item(price)]}}
        world.send("PUT", path, body, Idempotency_Key="a")
    assert found(world) == ["key-misuse"]


def test_emu_12_too_many_probes_with_a_revoked_key(world):
    world.server.monitors(world.name, probes=3)
    world.server.revoke(world.name)
    for _ in range(4):
        assert world.session().status == 401
    assert found(world) == ["retry-storm"]


def test_emu_12_configured_secrets_and_mail_addresses(world):
    world.server.monitors(world.name, secrets=["hunter2"], forbidMail=True)
    world.session(attributes={"channel": "xhunter2x"})
    world.send("GET", "/v1/customer_profiles/ada%40example.test/inventory")
    assert found(world) == ["leak", "leak"]
    assert "hunter2" not in str(world.server.violations(world.name))


def test_emu_05_the_key_is_redacted_in_the_journal(world):
    world.send("GET", f"/v1/customer_profiles/{world.key}/inventory?x={world.key}")
    (call,) = world.calls()
    assert world.key not in call["path"] + str(call["query"])
    assert found(world) == ["leak"]


@pytest.mark.parametrize(
    "settings",
    [
        {"off": ["nosy"]},
        {"off": "overlap"},
        {"storm": 0},
        {"probes": True},
        {"secrets": [""]},
        {"colour": "blue"},
    ],
)
def test_emu_12_wrong_settings_are_refused(world, settings):
    with pytest.raises(ValueError, match=r"monitors|storm"):
        world.server.monitors(world.name, **settings)


def test_emu_12_versions_that_cannot_be_compared(world):
    world.server.monitors(world.name, versionAttribute="channel")
    world.session(attributes={"channel": "b"})
    world.session(attributes={"channel": "a"})
    assert found(world) == ["regress"]
    world.server.monitors(world.name, versionAttribute="version")
    world.session(attributes={"version": "x"})
    assert found(world) == ["regress"]
