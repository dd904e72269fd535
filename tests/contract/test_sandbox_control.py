"""Faults with a phase, journal, monitors, reset: the sandbox's own paths, over the socket."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from django_talon.testing import SandboxServer

from .sandbox_wire import World, item

BROKEN = (ConnectionError, TimeoutError)
UPDATE = "updateCustomerSessionV2"


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"ctl-{uuid4().hex[:8]}")


@pytest.fixture
def faults(server, world):
    return server.faults(world.name)


def update_count(world, session_id="s1"):
    session = world.server.state(world.name)["sessions"].get(session_id)
    return session["updateCount"] if session else 0


def eventually(condition, within=10):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_status_before_apply(world, faults):
    faults.add(UPDATE, when={"first": 2}, do={"status": {"code": 503, "retryAfter": "1"}})
    said = world.session()
    assert (said.status, said.headers["Retry-After"]) == (503, "1")
    assert world.session().status == 503
    assert update_count(world) == 0
    assert world.session().status == 200
    assert [call["applied"] for call in world.calls()] == [False, False, True]
    assert faults.list()[0]["matched"] == 3
    assert faults.list()[0]["hit"] == 2


def test_reset_after_apply(world, faults):
    faults.add(UPDATE, when={"first": 2}, phase="after_apply", do={"reset": {}})
    for number in range(2):
        with pytest.raises(BROKEN):
            world.session(attributes={"channel": str(number)})
    assert update_count(world) == 2
    assert world.session().status == 200
    assert [(c["outcome"], c["applied"], c["status"]) for c in world.calls()] == [
        ("reset", True, None),
        ("reset", True, None),
        ("answered", True, 200),
    ]


def test_a_lost_answer_is_replayed_by_its_key(world, faults):
    faults.add("trackEventV2", when={"first": 1}, phase="after_apply", do={"reset": {}})
    body = {"type": "newsletter", "profileId": "u1"}
    with pytest.raises(BROKEN):
        world.send("POST", "/v2/events", body, Idempotency_Key="k")
    assert world.send("POST", "/v2/events", body, Idempotency_Key="k").status == 204
    assert len(world.server.state(world.name)["events"]) == 1


def test_late_apply(world, faults):
    faults.add(UPDATE, when={"first": 1}, phase="late_apply", seconds=2)
    with pytest.raises(BROKEN):
        world.session(attributes={"channel": "old"})
    assert world.session(attributes={"channel": "new"}).status == 200
    eventually(lambda: update_count(world) == 2)
    stored = world.server.state(world.name)["sessions"]["s1"]
    assert stored["attributes"] == {"channel": "old"}
    assert world.calls()[0]["applied"]


def test_a_reset_voids_what_comes_late(world, faults):
    faults.add(
        UPDATE, when={"first": 1}, phase="late_apply", do={"status": {"code": 504}}, seconds=0.2
    )
    assert world.session().status == 504
    world.server.reset(world.name)
    assert faults.list() == []
    time.sleep(0.4)
    assert update_count(world) == 0


def test_hang_delay_and_junk(world, faults):
    faults.add(UPDATE, when={"nth": 1}, do={"hang": {"seconds": 0.1}})
    faults.add(UPDATE, when={"nth": 2}, do={"delay": {"seconds": 0.1}})
    faults.add(UPDATE, when={"nth": 3}, phase="after_apply", do={"junk": {}})
    with pytest.raises(BROKEN):
        world.session()
    assert world.session().status == 200
    junk = world.session()
    assert (junk.status, junk.headers["Content-Type"]) == (200, "text/html")
    assert [call["outcome"] for call in world.calls()] == ["closed", "answered", "answered"]
    assert update_count(world) == 2


def test_matching(world, faults):
    faults.add(match={"id": "bad"}, do={"status": {"code": 500}})
    faults.add(match={"profile": "u1", "dry": True}, do={"status": {"code": 502}})
    faults.add("trackEventV2", when={"every": 2}, do={"status": {"code": 429}})
    assert world.session("bad").status == 500
    assert world.session("good", profileId="u1").status == 200
    assert world.session("good", query="?dry=true", profileId="u1").status == 502
    event = {"type": "newsletter", "profileId": "u2"}
    codes = [world.send("POST", "/v2/events", event).status for _ in range(4)]
    assert codes == [204, 429, 204, 429]
    faults.clear()
    assert world.session("bad").status == 200


def test_chance_is_reproducible(server):
    draws = []
    for name in ("chance-a", "chance-b"):
        world = World(server, name)
        rule = {"when": {"probability": 0.5}, "do": {"status": {"code": 500}}, "seed": 7}
        server.faults(name).add(UPDATE, **rule)
        draws.append([world.session().status for _ in range(20)])
    assert draws[0] == draws[1]
    assert set(draws[0]) == {200, 500}


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"do": {"explode": {}}},
        {"do": {"status": {"code": 99}}},
        {"do": {"status": {"code": "x"}}},
        {"do": {"park": {}}},
        {"do": {"hang": {"seconds": "long"}}},
        {"do": {"hang": {"seconds": -1}}},
        {"do": {"reset": {"at": "x"}}},
        {"do": {"reset": {}}, "phase": "someday"},
        {"do": {"reset": {}}, "match": {"colour": "blue"}},
        {"do": {"reset": {}}, "match": {"operation": "updateEverything"}},
        {"do": {"reset": {}}, "when": {"first": "two"}},
        {"do": {"reset": {}}, "when": {"every": 0}},
        {"do": {"reset": {}}, "colour": "blue"},
    ],
)
def test_malformed_rules_are_refused(world, rule):
    said = world.send("POST", "/_sandbox/faults", {"world": world.name, **rule})
    assert said.status == 400
    assert world.server.faults(world.name).list() == []


def test_malformed_rules_raise_in_tests(faults):
    with pytest.raises(ValueError, match="explode"):
        faults.add(UPDATE, do={"explode": {}})


def test_park_and_release(world, faults):
    faults.add(UPDATE, when={"first": 1}, phase="after_apply", do={"park": {"name": world.name}})
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(world.session, profileId="u1")
        entry = world.server.wait_until_parked(world.name, world.name)
        assert (entry["status"], entry["applied"], entry["ended"]) == (None, True, None)
        others = [world.session(f"other-{n}", profileId=f"u{n + 2}").status for n in range(5)]
        assert others == [200] * 5
        assert world.send("POST", "/_sandbox/release", {"name": world.name}).body == {"released": 1}
        assert parked.result(20).status == 200
    assert world.server.release("nobody") == 0


def test_one_running_two_waiting_then_409(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"park": {"name": f"{world.name}-q"}})
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(world.session, profileId="u1")]
        world.server.wait_until_parked(world.name, f"{world.name}-q")
        for count in (2, 3):
            running.append(pool.submit(world.session, profileId="u1"))
            eventually(lambda: len(world.calls()) == count)  # noqa: B023
        eventually(lambda: len(world.server.violations(world.name)) == 3)
        refused = world.session("elsewhere", profileId="u1")
        assert (refused.status, refused.body["message"]) == (
            409,
            "Too many requests are updating this profile at the same time",
        )
        session = world.session(profileId="u1")
        assert "updating this session at" in session.body["message"]
        assert world.session(query="?dry=true", profileId="u1").status == 200
        world.server.release(f"{world.name}-q")
        assert [future.result(20).status for future in running] == [200] * 3


def test_overlap_monitor(world, faults):
    world.session("a", profileId="u1")
    world.session("b", profileId="u1")
    assert world.server.violations(world.name) == []
    faults.add(match={"id": "a"}, do={"park": {"name": f"{world.name}-o"}})
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.session, "a", profileId="u1")
        world.server.wait_until_parked(world.name, f"{world.name}-o")
        second = pool.submit(world.session, "b")
        eventually(lambda: world.server.violations(world.name))
        world.server.release(f"{world.name}-o")
        assert (first.result(20).status, second.result(20).status) == (200, 200)
    found = world.server.violations(world.name)
    assert [(v["monitor"], v["calls"]) for v in found] == [("overlap", [2, 3])]
    assert [call["overlaps"] for call in world.calls()] == [[], [], [3], [2]]


def test_edit_after_close_monitor(world):
    world.session(state="closed", cartItems=[item()])
    world.session(state="closed", cartItems=[item()])
    assert world.server.violations(world.name) == []
    world.session(cartItems=[item(20)])
    assert [v["monitor"] for v in world.server.violations(world.name)] == ["edit-after-close"]


def test_reset_releases_what_is_parked(world, faults):
    faults.add(UPDATE, do={"park": {"name": f"{world.name}-r"}})
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(world.session)
        world.server.wait_until_parked(world.name, f"{world.name}-r")
        world.server.reset(world.name)
        assert parked.result(20).status == 503
    assert update_count(world) == 0
    assert world.calls() == []


def test_journal(world):
    world.session(profileId="u1", attributes={"channel": "<script>"})
    world.send("GET", "/v1/customer_profiles/u1/inventory?coupons=true")
    said = world.send("GET", f"/_sandbox/journal?world={world.name}")
    first, second = said.body
    assert (first["operation"], first["sessionId"], first["profileId"]) == (UPDATE, "s1", "u1")
    assert first["body"]["customerSession"]["attributes"] == {"channel": "<script>"}
    assert first["answer"]["effects"] == []
    assert first["started"] <= first["ended"] <= second["started"]
    assert (second["query"], second["index"]) == ({"coupons": "true"}, 1)
    assert world.key not in str(said.body)
    later = world.send("GET", f"/_sandbox/journal?world={world.name}&since=1").body
    assert [entry["index"] for entry in later] == [1]
    assert world.send("GET", "/_sandbox/journal?since=x").status == 400
    everyone = world.send("GET", "/_sandbox/journal").body
    assert world.name in {entry["world"] for entry in everyone}


def test_control_paths(world):
    assert world.send("GET", "/_sandbox/health").body["status"] == "ok"
    page = world.send("GET", "/_sandbox/")
    assert (page.status, "innerHTML" in page.body) == (200, False)
    assert world.send("GET", "/_sandbox/state").status == 400
    assert world.send("GET", "/_sandbox/nothing").status == 404
    assert world.send("POST", "/_sandbox/keys/a/eat").status == 404
    assert world.send("POST", "/_sandbox/release", {}).status == 400
    assert world.send("POST", "/_sandbox/release", b"{").status == 400
    assert world.send("POST", "/_sandbox/reset", b"1").status == 400
    assert world.send("POST", "/_sandbox/reset", {"world": 1}).status == 400
    assert world.send("POST", f"/_sandbox/keys/{world.name}/revoke").body["revoked"]


def test_stop_and_start_keep_port_and_state():
    server = SandboxServer().start()
    world = World(server, "w")
    try:
        world.session(profileId="u1")
        url = server.url
        server.stop()
        with pytest.raises(ConnectionError):
            world.session()
        server.start()
        assert server.url == url
        assert world.send("GET", "/v2/customer_sessions/s1").status == 200
    finally:
        server.stop()
        server.stop()


def test_reset_everything():
    with SandboxServer() as server:
        World(server, "a").session()
        World(server, "b").session()
        said = World(server, "a").send("POST", "/_sandbox/reset", {})
        assert said.body == {"reset": ["a", "b"]}
        assert server.state("b")["sessions"] == {}


def test_waiting_fails_with_the_journal(world):
    world.session()
    assert len(world.server.wait_for_calls(world.name, UPDATE)) == 1
    with pytest.raises(AssertionError, match=UPDATE):
        world.server.wait_for_calls(world.name, "trackEvent", within=0)
    with pytest.raises(AssertionError, match="parked"):
        world.server.wait_until_parked(world.name, "x", within=0)


def test_many_held_calls_starve_nobody(world, faults):
    faults.add(match={"method": "GET"}, do={"park": {"name": f"{world.name}-m"}})
    world.session()
    held = [
        threading.Thread(target=world.send, args=("GET", "/v2/customer_sessions/s1"), daemon=True)
        for _ in range(50)
    ]
    for thread in held:
        thread.start()
    eventually(lambda: sum(c["parked"] != "" for c in world.calls()) == 50, within=30)
    assert world.session().status == 200
    world.server.release(f"{world.name}-m")
    for thread in held:
        thread.join(20)
    assert not any(thread.is_alive() for thread in held)
