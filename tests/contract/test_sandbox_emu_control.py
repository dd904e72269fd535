"""The emulator's list, what is ordered from outside: reset, clock, keys, snapshots, gate, TLS."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import itertools
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from django_talon.sandbox import keys, limits, tls
from django_talon.sandbox.doors.socket_server import SocketServer
from django_talon.sandbox.journal import Journal
from django_talon.sandbox.operations import OPERATIONS
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox
from django_talon.testing import SandboxServer

from .sandbox_wire import World, effects, item, raw

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


def order(world, path, body=None, method="POST"):
    return world.send(method, f"/_sandbox/{path}", {"world": world.name, **(body or {})})


def state(world):
    return json.dumps(world.server.state(world.name), default=str, sort_keys=True)


# 4: reset


def test_emu_04_reset_to_empty_seed_and_posted_seed(world):
    with_code = {"cartItems": [item(99.99)], "couponCodes": ["WELCOME10"]}
    assert effects(world.session(**with_code))[0] == ("acceptCoupon", "WELCOME10")
    assert order(world, "reset", {"to": "empty"}).status == 200
    assert effects(world.session(**with_code))[0][0] == "rejectCoupon"
    assert world.session(attributes={"channel": "web"}).status == 200
    assert order(world, "reset", {"to": "seed:demo"}).status == 200
    assert effects(world.session(**with_code))[0] == ("acceptCoupon", "WELCOME10")
    seed = {"attributes": {"CustomerSession": {"mood": "string"}}}
    assert order(world, "reset", {"seed": seed}).status == 200
    assert world.session(attributes={"mood": "good"}).status == 200
    assert world.session(attributes={"channel": "web"}).status == 400
    assert order(world, "reset").status == 200
    assert world.session(attributes={"mood": "good"}).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"to": "nowhere"}, 400),
        ({"to": "seed:unknown"}, 404),
        ({"to": "seed:../demo"}, 404),
        ({"to": "snapshot:none"}, 404),
        ({"to": "snapshot:"}, 400),
        ({"to": 1}, 400),
        ({"seed": {"campaigns": [{"id": 1}]}}, 400),
        ({"colour": "blue"}, 400),
    ],
)
def test_emu_04_resets_that_make_no_sense(world, body, status):
    world.session()
    assert order(world, "reset", body).status == status
    assert len(world.calls()) == 1


def test_emu_04_faults_clock_limits_journal_and_violations_go_together(world, faults):
    world.server.clock(world.name).freeze("2020-01-01T00:00:00Z")
    faults.add(do={"limit": {"rate": 1, "burst": 1}})
    world.session(state="closed", cartItems=[item()])
    world.server.monitors(world.name, storm=1)
    world.server.revoke(world.name)
    world.session(attributes={"channel": world.key})
    assert world.server.violations(world.name)
    order(world, "reset")
    assert (world.calls(), faults.list(), world.server.violations(world.name)) == ([], [], [])
    assert world.server.clock(world.name).now > "2026"
    assert [world.session().status for _ in range(3)] == [200, 200, 200]
    assert world.server.violations(world.name) == []


def test_emu_04_a_reset_voids_what_comes_late(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"apply_late": {"seconds": 60}})
    world.server.clock(world.name).freeze()
    with pytest.raises(ConnectionError):
        world.session()
    order(world, "reset")
    world.server.clock(world.name).advance(3600)
    time.sleep(0.2)
    assert world.server.state(world.name)["sessions"] == {}


def test_emu_04_a_thousand_resets_of_a_hundred_objects(world):
    for number in range(40):
        world.session(f"s{number}", profileId=f"u{number}", cartItems=[item()])
    for number in range(20):
        world.send("POST", "/v2/events", {"type": "newsletter", "profileId": f"u{number}"})
    world.server.snapshot(world.name, "full")
    kept = state(world)
    for _ in range(1000):
        world.server.reset(world.name, "snapshot:full")
    assert state(world) == kept
    world.server.reset(world.name)
    assert world.server.state(world.name)["sessions"] == {}


# 5: journal


def test_emu_05_aborted_dribbled_and_reset_calls_appear(world, faults):
    faults.add(when={"nth": 1}, do={"reset": {}})
    faults.add(when={"nth": 2}, do={"drip": {"bytes": 200, "interval": 0.01}})
    faults.add(when={"nth": 3}, do={"truncate": {}})
    faults.add(when={"nth": 4}, phase="after_apply", do={"park": {"name": world.name}})
    for _ in range(3):
        with contextlib.suppress(OSError, http.client.HTTPException):
            world.session()
    head = f"GET /v2/customer_sessions/s1 HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\n\r\n"
    with socket.create_connection(world.netloc.split(":"), 20) as hasty:
        hasty.sendall(head.encode())
        aborted = world.server.wait_until_parked(world.name, world.name)
    assert (aborted["operation"], aborted["outcome"]) == ("getCustomerSession", "running")
    world.server.release(world.name)
    world.server.expect(world.name, "getCustomerSession", status=200).once()
    outcomes = [call["outcome"] for call in world.calls()]
    assert outcomes == ["reset", "answered", "truncated", "answered"]


def test_emu_05_what_was_dropped_is_told(world):
    room = world.server.sandbox.rooms.enter(world.name)
    room.journal = Journal(world.name, capacity=3)
    for number in range(5):
        world.session(str(number))
    path = f"/_sandbox/journal?world={world.name}"
    said = world.send("GET", path)
    assert said.headers["X-Sandbox-Dropped"] == "2"
    assert [entry["index"] for entry in said.body] == [2, 3, 4]
    events, updates = (world.server.expect(world.name, name) for name in ("trackEvent", UPDATE))
    for failing in (
        lambda: events.times(1, within=0),
        lambda: events.once(within=0),
        lambda: updates.none(within=0),
        lambda: updates.sequence(["trackEvent"], within=0),
    ):
        with pytest.raises(AssertionError, match="dropped 2 calls"):
            failing()


# 6: assertions that wait


def test_emu_06_long_poll_over_http(world):
    path = f"/_sandbox/journal?world={world.name}&operation={UPDATE}&id=late&wait=20&count=1"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.send, "GET", path)
        world.session("early")
        assert not waiting.done()
        world.session("late")
        assert [entry["sessionId"] for entry in waiting.result(20).body] == ["late"]
    for wrong in ("wait=x", "wait=-1", "wait=1e9", "count=x", "since=-1"):
        assert world.send("GET", f"/_sandbox/journal?world={world.name}&{wrong}").status == 400


# 8: worlds


def test_emu_08_two_keys_two_worlds(server):
    one, two = (World(server, f"w8-{n}-{uuid4().hex[:6]}") for n in range(2))
    one.session("same", profileId="ada", cartItems=[item()])
    server.clock(one.name).freeze("2020-01-01T00:00:00Z")
    server.faults(one.name).add(do={"status": {"code": 500}})
    assert two.session("same", profileId="ada").status == 200
    assert (len(one.calls()), len(two.calls())) == (1, 1)
    assert server.state(two.name)["sessions"]["same"]["total"] == 0
    assert server.clock(two.name).now > "2026"
    assert one.session().status == 500


# 10: keys


def test_emu_10_revoked_expired_and_rotated(world):
    clock = world.server.clock(world.name)
    clock.freeze("2026-05-01T00:00:00Z")
    world.server.expire(world.name, "2026-05-02T00:00:00Z")
    assert world.session().status == 200
    clock.advance(86400)
    expired = world.session()
    assert (expired.status, expired.headers["X-Sandbox-Reason"]) == (
        401,
        "the key of this world has expired",
    )
    world.server.restore(world.name)
    assert world.session().status == 200
    suffix = world.server.rotate(world.name)
    assert "rotated" in world.session().headers["X-Sandbox-Reason"]
    assert World(world.server, world.name + suffix).session().status == 200
    assert order(world, f"keys/{world.name}/expire", {"at": "soon"}).status == 400
    assert order(world, f"keys/{world.name}/burn").status == 404
    assert order(world, "keys/a%20b/revoke").status == 400


def test_emu_10_one_key_one_rotation(world):
    world.server.rotate(world.name)
    other = World(world.server, f"{world.name}.outlet")
    assert other.session().status == 401
    assert World(world.server, f"{world.name}.outlet~1").session().status == 200


# HMAC (talon-semantics 1.2; appendix B1, B2)

KEY = "fefecafedeadbeef"
VECTORS = {
    '{"attributes":{"Name":"Ada"}}': "9ba33dc4c124f258737457258be9e3f3",
    "{}": "0ab22833fdd54e7d6f6a95dffd158d9e",
    "": "0dbc664752c37541281e3eef8eee0d2d",
}


@pytest.fixture(scope="module")
def signing():
    signers = [keys.signer(f"59:{KEY}:old")]
    with SandboxServer(signers=signers) as strict:
        yield World(strict, "old")


def signed(body, key=KEY, signer="59"):
    digest = hmac.new(bytes.fromhex(key), body.encode(), hashlib.md5).hexdigest()
    return f"signer={signer}; signature={digest}"


def send_signed(world, method, path, body, signature):
    connection = http.client.HTTPConnection(world.netloc, timeout=20)
    headers = {} if signature is None else {"Content-Signature": signature}
    connection.request(method, path, body.encode(), headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, json.loads(said) if said else None


@pytest.mark.parametrize("body", VECTORS)
def test_the_vectors_of_the_signature(body):
    assert signed(body) == f"signer=59; signature={VECTORS[body]}"


def test_a_signature_opens_the_world_of_its_application(signing):
    path = "/v1/customer_profiles/ada"
    status, said = send_signed(signing, "PUT", path, "{}", signed("{}"))
    assert (status, said["profile"]["integrationId"]) == (200, "ada")
    assert send_signed(signing, "GET", f"{path}/inventory", "", signed(""))[0] == 200
    assert "ada" in signing.server.state("old")["profiles"]


@pytest.mark.parametrize(
    "signature",
    [
        signed("{} "),
        signed("{}", signer="60"),
        signed("{}", key="0" * 16),
        "nonsense",
        "signer=59; signature=x",
    ],
)
def test_a_wrong_signature_is_the_documented_400(signing, signature):
    said = send_signed(signing, "PUT", "/v1/customer_profiles/ada", "{}", signature)
    assert said == (400, {"message": "HMAC signature mismatch."})


def test_a_signature_is_no_use_for_v2_or_beside_a_key(signing):
    path = "/v2/customer_profiles/ada"
    assert send_signed(signing, "PUT", path, "{}", signed("{}"))[0] == 401
    both = {"Content_Signature": signed("{}")}
    body = {"attributes": {}}
    assert signing.send("PUT", "/v1/customer_profiles/bob", body, **both).status == 200
    wrong = signing.send(
        "PUT", "/v1/customer_profiles/bob", body, Authorization="ApiKey-v1 x", **both
    )
    assert wrong.status == 401


def test_a_get_without_any_header_only_if_lenient(signing):
    path = "/v1/customer_profiles/ada/inventory"
    assert send_signed(signing, "GET", path, "", None)[0] == 401
    with SandboxServer(signers=[keys.signer(f"59:{KEY}:old")], loose=True) as lenient:
        world = World(lenient, "old")
        assert send_signed(world, "PUT", path[:-10], "{}", signed("{}"))[0] == 200
        assert send_signed(world, "GET", path, "", None)[0] == 200
        assert send_signed(world, "PUT", path[:-10], "{}", None)[0] == 401


def test_signers_are_checked_and_never_shown():
    for wrong in ("59", "59:12:w", "x:fefecafedeadbeef:w", "59:fefecafedeadbeef:"):
        with pytest.raises(ValueError, match="HEXKEY"):
            keys.signer(wrong)
    made = keys.signer(f"059:{KEY}:w.outlet")
    assert (made.id, made.caller) == ("59", keys.Caller("w", "outlet"))
    assert "fefe" not in repr(made)


# 11: limits and keys


def test_emu_11_five_parallel_updates_three_pass(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"park": {"name": world.name}})
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(world.session, profileId="ada")
        world.server.wait_until_parked(world.name, world.name)
        others = [pool.submit(world.session, f"s{n}", profileId="ada") for n in range(4)]
        deadline = time.monotonic() + 20
        while sum(one.done() for one in others) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        world.server.release(world.name)
        codes = sorted(one.result(20).status for one in (first, *others))
    assert codes == [200, 200, 200, 409, 409]


def test_emu_11_a_b_a_with_one_key_per_body_ends_at_b(world):
    path = "/v2/customer_sessions/s1"
    bodies = {price: {"customerSession": {"cartItems": [item(price)]}} for price in (1, 2)}
    total = lambda: world.server.state(world.name)["sessions"]["s1"]["total"]  # noqa: E731
    for price in (1, 2, 1):
        world.send("PUT", path, bodies[price], Idempotency_Key=f"k{price}")
    assert total() == 2
    for price in (1, 2, 1):
        world.send("PUT", path, bodies[price])
    assert total() == 1


@pytest.mark.parametrize(
    ("decided", "statuses", "ends_at"),
    [
        ({}, [200, 400], 1),
        ({"key_mismatch": 422}, [200, 422], 1),
        ({"key_mismatch": "replay"}, [200, 200], 1),
    ],
)
def test_emu_11_one_key_for_two_bodies_as_decided(world, decided, statuses, ends_at):
    order(world, "reset", {"seed": {"decisions": decided}})
    path = "/v2/customer_sessions/s1"
    bodies = [{"customerSession": {"cartItems": [item(price)]}} for price in (1, 2)]
    assert [world.send("PUT", path, b, Idempotency_Key="k").status for b in bodies] == statuses
    assert world.server.state(world.name)["sessions"]["s1"]["total"] == ends_at
    found = world.server.violations(world.name)
    assert [v["monitor"] for v in found] == ["key-misuse"]


@pytest.mark.parametrize("decided", [{}, {"key_in_flight": 429}, {"key_in_flight": "wait"}])
def test_emu_11_one_key_at_the_same_time_as_decided(world, faults, decided):
    order(world, "reset", {"seed": {"decisions": decided}})
    faults.add(when={"first": 1}, phase="after_apply", do={"park": {"name": world.name}})
    path, body = "/v2/customer_sessions/s1", {"customerSession": {}}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.send, "PUT", path, body, Idempotency_Key="k")
        world.server.wait_until_parked(world.name, world.name)
        second = pool.submit(world.send, "PUT", path, body, Idempotency_Key="k")
        if "wait" not in decided.values():
            assert second.result(20).status == decided.get("key_in_flight", 409)
        world.server.release(world.name)
        assert first.result(20).status == 200
        if "wait" in decided.values():
            assert second.result(20).body == first.result().body
    assert world.server.state(world.name)["sessions"]["s1"]["updateCount"] == 1


# 13: clock


def test_emu_13_the_same_script_twice_gives_the_same_journal(world):
    journals = []
    for _ in range(2):
        order(world, "reset")
        world.server.clock(world.name).freeze("2026-05-01T00:00:00Z")
        for number, state_ in itertools.product(range(3), ("open", "closed")):
            cart = {"cartItems": [item(9.99)], "couponCodes": ["WELCOME10"]}
            wanted = ["customerProfile", "coupons"]
            world.session(f"s{number}", profileId="ada", state=state_, want=wanted, **cart)
            world.server.clock(world.name).advance(1.5)
        world.send("POST", "/v1/referrals", {"campaignId": 2, "advocateProfileIntegrationId": "a"})
        url = f"{world.server.url}/_sandbox/journal?world={world.name}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            journals.append(answer.read())
    assert journals[0] == journals[1]
    assert journals[0].count(b'"updateCustomerSessionV2"') == 6


def test_emu_13_an_hour_of_retry_after_is_over_at_once(world, faults):
    clock = world.server.clock(world.name)
    clock.freeze("2026-05-01T00:00:00Z")
    faults.add(UPDATE, do={"limit": {"rate": 1 / 3600, "burst": 1, "hint": "seconds"}})
    assert world.session().status == 200
    refused = world.session()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3600")
    clock.advance(3600)
    assert world.session().status == 200
    assert world.server.violations(world.name) == []


def test_emu_13_a_coupon_expires_when_the_clock_says_so(world):
    seed = {"campaigns": [{"id": 1, "name": "May", "ruleset": {"promotionRules": [
        {"title": "t", "blocks": [{"type": "checkCoupon", "redeem": True}]}]},
        "coupons": [{"value": "MAYDAY", "expiryDate": "2026-06-01T00:00:00Z"}]}]}  # fmt: skip
    world.server.reset(world.name, seed=seed)
    clock = world.server.clock(world.name)
    clock.freeze("2026-05-31T00:00:00Z")
    codes = {"cartItems": [item()], "couponCodes": ["MAYDAY"]}
    assert effects(world.session(**codes))[0] == ("acceptCoupon", "MAYDAY")
    clock.advance(2 * 86400)
    assert effects(world.session(**codes))[0][0] == "rejectCoupon"


def test_emu_13_clock_orders(world):
    now = order(world, "clock", {"freeze": "2026-05-01T00:00:00+02:00"}).body
    assert now == {"now": "2026-04-30T22:00:00.000000Z", "mode": "frozen"}
    assert order(world, "clock", {"advance": 1.25}).body["now"] == "2026-04-30T22:00:01.250000Z"
    assert order(world, "clock", {"run": True}).body["mode"] == "advanced"
    assert order(world, "clock", {"freeze": "now"}).body["now"] < "2026-04-30T23"
    for wrong in ({}, {"freeze": "soon"}, {"advance": "x"}, {"advance": -1}, {"turn": 1},
                  {"advance": 1, "run": True}, {"advance": 1e12}):  # fmt: skip
        assert order(world, "clock", wrong).status == 400
    assert world.send("POST", "/_sandbox/clock", {"advance": 1}).status == 400
    order(world, "reset")
    assert world.server.clock(world.name).now > "2026-05"
    assert world.send("GET", f"/_sandbox/clock?world={world.name}").body["mode"] == "real"


def test_emu_13_each_world_begins_with_the_clock_of_the_command():
    from django_talon.sandbox.__main__ import clock_of

    with SandboxServer(clock=lambda: clock_of("frozen:2024-02-29T00:00:00Z")) as frozen:
        world = World(frozen, "w")
        created = world.session(want=["customerSession"]).body["customerSession"]["created"]
        assert created == "2024-02-29T00:00:00.000Z"
        assert world.calls()[0]["started"] == "2024-02-29T00:00:00.000000Z"


# 14: safety


def test_emu_14_strange_hosts_and_pages_are_refused(world):
    for path in ("/_sandbox/health", "/v2/customer_sessions/s1"):
        assert world.send("GET", path, Host="evil.test").status == 403
        assert world.send("GET", path, Host="127.0.0.1.evil.test:80").status == 403
    assert world.send("POST", "/_sandbox/reset", {}, Origin="http://evil.test").status == 403
    assert world.send("GET", "/_sandbox/health", Origin=world.server.url).status == 200
    page = world.send("GET", "/_sandbox/")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_emu_14_control_calls_need_a_token_where_others_reach_it(monkeypatch):
    monkeypatch.setattr(SocketServer, "is_local", False)
    door = SocketServer(Sandbox(load("demo")), token="s3cret")
    door.start()
    try:
        world = World(type("Running", (), {"url": door.url, "key": lambda self, w: "sbx-w"})(), "w")
        assert world.send("GET", "/_sandbox/health").status == 403
        assert world.send("GET", "/_sandbox/health?token=wrong").status == 403
        assert world.send("GET", "/_sandbox/", X_Sandbox_Token="s3cret").status == 200
        assert world.send("GET", "/_sandbox/health?token=s3cret", Host="me.test").status == 200
        assert world.session().status == 200
        door.token = ""
        assert world.send("GET", "/_sandbox/health?token=").status == 403
    finally:
        door.stop()


# 16: what the inspector listens to


def listen(world, name):
    """Open the stream of events and return it with what reads the next change."""
    connection = http.client.HTTPConnection(world.netloc, timeout=20)
    connection.request("GET", f"/_sandbox/events?world={name}")
    answer = connection.getresponse()

    def change():
        while line := answer.readline():
            if line.startswith(b"data: "):
                return json.loads(line[6:])
        raise AssertionError("the stream has ended")

    return connection, answer, change


def test_emu_16_events_tell_of_calls_orders_and_resets(world):
    world.session()
    connection, answer, change = listen(world, world.name)
    assert answer.getheader("Content-Type").startswith("text/event-stream")
    first = change()
    assert (first["calls"], world.name in first["worlds"]) == (1, True)
    world.session()
    while (told := change())["calls"] < 2:
        pass
    order(world, "clock", {"freeze": "now"})
    while (later := change())["version"] == told["version"]:
        pass
    order(world, "reset")
    while change()["generation"] == later["generation"]:
        pass
    connection.close()


def test_emu_16_events_tell_of_new_worlds(world):
    connection, _, change = listen(world, "")
    assert world.name not in change()["worlds"]
    world.session()
    assert world.name in change()["worlds"]
    connection.close()
    assert world.send("GET", "/_sandbox/events?world=a%20b").status == 400


# 18: snapshots


def test_emu_18_a_snapshot_comes_back_after_500_mutations(world):
    for number in range(5):
        world.session(f"s{number}", profileId=f"u{number}", cartItems=[item(number + 1)])
    world.server.snapshot(world.name, "before")
    kept = state(world)
    room = world.server.sandbox.rooms.enter(world.name)
    for number in range(500):
        world.session(
            f"s{number % 9}", profileId=f"u{number % 9}", attributes={"channel": str(number)}
        )
    assert state(world) != kept
    world.server.reset(world.name, "snapshot:before")
    assert state(world) == kept
    assert room.world.clock() <= room.clock.now()
    assert world.session("s0", profileId="u0", cartItems=[item(2)]).status == 200
    world.server.reset(world.name, "snapshot:before")
    assert state(world) == kept
    assert world.send("GET", f"/_sandbox/snapshots?world={world.name}").body == ["before"]
    assert order(world, "snapshots/a%20b").status == 400


def test_emu_18_calls_under_way_are_not_applied(world, faults):
    world.server.snapshot(world.name, "s")
    faults.add(UPDATE, do={"park": {"name": world.name}})
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(world.session)
        world.server.wait_until_parked(world.name, world.name)
        world.server.reset(world.name, "snapshot:s")
        said = held.result(20)
    assert (said.status, said.body["message"]) == (503, "sandbox-reset")
    assert world.server.state(world.name)["sessions"] == {}


def test_emu_18_idempotency_keys_come_back_too(world):
    event = {"type": "newsletter", "profileId": "u1"}
    world.send("POST", "/v2/events", event, Idempotency_Key="before")
    world.server.snapshot(world.name, "s")
    world.send("POST", "/v2/events", event, Idempotency_Key="after")
    world.server.reset(world.name, "snapshot:s")
    for key in ("before", "after"):
        assert world.send("POST", "/v2/events", event, Idempotency_Key=key).status == 204
    assert [call["replayed"] for call in world.calls()] == [True, False]


# 21: explain


def test_emu_21_no_refusal_without_its_reason(world, faults):
    broken = faults.add("getCustomerInventory", do={"status": {"code": 500}})
    limit = faults.add("createReferral", do={"limit": {"rate": 0, "burst": 1}})
    referral = {"campaignId": 2, "advocateProfileIntegrationId": "a"}
    said = [
        world.send("GET", "/v1/customer_profiles/u/inventory"),
        world.send("POST", "/v1/referrals", referral),
        world.send("POST", "/v1/referrals", referral),
        world.send("GET", "/v2/customer_sessions/unknown"),
        world.send("PUT", "/v2/customer_sessions/s", {}),
        world.send("PUT", "/v2/customer_sessions/s", b"{"),
        world.send("GET", "/nowhere"),
        world.send("POST", "/v2/audiences", {}),
        world.send("DELETE", "/v2/events"),
        world.send("GET", "/", Authorization="x"),
        world.send("GET", "/_sandbox/nowhere"),
        world.send("GET", "/", Host="evil.test"),
        world.send("PUT", "/v2/customer_sessions/s", b" " * 6_000_000),
    ]
    assert [one.status for one in said] == [
        500, 201, 429, 404, 400, 400, 404, 501, 405, 401, 404, 403, 413,
    ]  # fmt: skip
    refused = [one.headers for one in said if one.status >= 300]
    assert all(headers.get("X-Sandbox-Reason") for headers in refused)
    assert refused[0]["X-Sandbox-Reason"] == f"fault rule {broken['id']}: status"
    assert refused[1]["X-Sandbox-Reason"] == f"fault rule {limit['id']}: limit"
    assert world.calls()[0]["reason"] == f"fault rule {broken['id']}: status"
    assert {headers["Link"] for headers in refused} == {'</_sandbox/limits>; rel="help"'}
    assert "Link" not in said[1].headers
    assert "| createAudienceV2 |" in world.send("GET", "/_sandbox/limits").body


# 22: down and up


def test_emu_22_refused_then_silent_then_normal():
    with SandboxServer() as server:
        world = World(server, "w")
        world.session()
        url = server.url
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            world.session()
        server.start()
        server.blackhole()
        with (
            socket.create_connection(urlsplit(url).netloc.split(":"), 0.3) as silent,
            pytest.raises(TimeoutError),
        ):
            silent.sendall(b"GET / HTTP/1.1\r\n\r\n")
            silent.recv(1)
        server.start()
        assert (server.url, world.session().status) == (url, 200)


def test_emu_22_by_control_call():
    with SandboxServer() as server:
        world = World(server, "w")
        said = world.send("POST", "/_sandbox/gate", {"mode": "refuse", "seconds": 2})
        assert (said.status, said.body) == (202, {"mode": "refuse", "seconds": 2.0})
        assert until(lambda: not answers(world))
        assert until(lambda: answers(world))
        for wrong in ({"mode": "ajar"}, {"mode": "open", "seconds": -1}):
            assert world.send("POST", "/_sandbox/gate", wrong).status == 400


def answers(world):
    try:
        return world.session().status == 200
    except OSError:
        return False


def until(condition):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


# 23: TLS


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("expired", "expired"),
        ("wrong-host", "mismatch"),
        ("cut", None),
    ],
)
def test_emu_23_bad_tls_ports_fail_in_their_own_way(server, kind, complaint):
    with server.secure(kind) as secure:
        context = ssl.create_default_context(cafile=str(secure.certificate))
        with pytest.raises((ssl.SSLError, ConnectionError), match=complaint):
            ask(secure.url, context)


def test_emu_23_a_tls_port_answers_who_trusts_its_certificate(server, world):
    with server.secure() as secure:
        context = ssl.create_default_context(cafile=str(secure.certificate))
        assert ask(secure.url, context)["status"] == "ok"
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            ask(secure.url, ssl.create_default_context())


def ask(url, context):
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=20, context=context)
    try:
        connection.request("GET", "/_sandbox/health")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_emu_23_tls_without_openssl_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tls.TlsError, match="openssl command"):
        tls.context("self-signed", tmp_path)
    broken = tmp_path / "openssl"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(tls.TlsError, match="no such luck"):
        tls.context("self-signed", tmp_path)


# 24: crash hooks

KILLED = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1])
body = b'{"customerSession": {"profileId": "ada"}}'
connection.request("PUT", "/v2/customer_sessions/s1", body, {"Authorization": sys.argv[2]})
connection.getresponse()
"""


def test_emu_24_a_worker_is_killed_while_its_call_is_parked(world, faults):
    faults.add(UPDATE, phase="after_apply", do={"park": {"name": world.name}})
    arguments = [sys.executable, "-c", KILLED, world.netloc, f"ApiKey-v1 {world.key}"]
    for count in range(1, 6):
        with subprocess.Popen(arguments) as worker:
            parked = world.server.wait_until_parked(world.name, world.name, within=30)
            assert parked["applied"]
            worker.kill()
            assert worker.wait(30) == -signal.SIGKILL
        assert world.server.release(world.name) == 1
        world.server.expect(world.name, UPDATE).times(count, within=30)
    assert world.server.state(world.name)["sessions"]["s1"]["updateCount"] == 5


# 25: version and health


def test_emu_25_version_header_and_health(world):
    from django_talon import __version__

    said = world.send("GET", "/_sandbox/health")
    assert said.headers["Server"] == f"talon-sandbox/{__version__}"
    assert said.body["version"] == __version__
    assert re.fullmatch("[0-9a-f]{16}", said.body["specification"])
    assert said.body["uptime"] >= Decimal(0)


# 26: the limits page

API_2026 = """
activateLoyaltyPoints bestPriorPrice createAudienceV2 createCouponReservation createReferral
createReferralsForMultipleAdvocates deleteAudienceMembershipsV2 deleteAudienceV2
deleteCouponReservation deleteCustomerData deleteLoyaltyTransactionsFromLedgers
generateLoyaltyCard getCustomerAchievementHistory getCustomerAchievements getCustomerInventory
getCustomerSession getEventV3 getLoyaltyBalances getLoyaltyCardBalances getLoyaltyCardPoints
getLoyaltyCardTransactions getLoyaltyProgramProfilePoints getLoyaltyProgramProfileTransactions
getReservedCustomers integrationGetAllCampaigns joinLoyaltyProgram linkLoyaltyCardToProfile
reopenCustomerSession returnCartItems syncCatalog trackEventV2 trackEventV3
unlinkLoyaltyCardFromProfile updateAudienceCustomersAttributes updateAudienceV2
updateCustomerProfileAudiences updateCustomerProfileV2 updateCustomerProfilesV2
updateCustomerSessionV2
""".split()


def test_emu_26_every_operation_of_2026_is_marked():
    known = {operation.name for operation in OPERATIONS}
    assert set(API_2026) <= known
    assert known - set(API_2026) == {"updateCustomerSession", "updateCustomerProfile", "trackEvent"}
    table = limits.table()
    for name in known:
        assert re.search(rf"^\| {name} \| `\w+ /v\S+` \| (emulated|partial: .+|absent \(501\)) \|$",
                         table, re.MULTILINE), name  # fmt: skip


def test_emu_26_sandbox_md_holds_the_generated_page():
    page = (Path(__file__).parents[2] / "SANDBOX.md").read_text(encoding="utf-8")
    assert limits.page() in page, "run python -m django_talon.sandbox --limits"
    assert set(limits.PARTIAL) <= {operation.name for operation in OPERATIONS}


# 27: concurrency


def test_emu_27_500_parked_calls_starve_nobody(world, faults):
    world.session()
    faults.add(match={"method": "GET"}, do={"park": {"name": world.name}})
    head = f"GET /v2/customer_sessions/s1 HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\n"
    held = []
    for _ in range(500):
        connection = socket.create_connection(world.netloc.split(":"), timeout=60)
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        held.append(connection)
    journal = world.server.sandbox.rooms.enter(world.name).journal
    journal.wait(lambda entries: sum(e.parked != "" for e in entries) == 500, 0, 60)
    assert sum(entry.parked != "" for entry in journal.entries()) == 500
    assert world.session("s501", cartItems=[item(5)]).body["effects"] == []
    assert world.server.state(world.name)["sessions"]["s501"]["total"] == 5
    assert world.server.release(world.name) == 500
    for connection in held:
        with connection:
            assert connection.recv(15) == b"HTTP/1.1 200 OK"


# bad input


def test_a_body_of_50_megabytes(world):
    assert world.send("PUT", "/v2/customer_sessions/s1", b"[" * 50_000_000).status == 413
    assert world.session().status == 200


def test_a_million_nested_brackets_in_control_calls(world):
    assert world.send("POST", "/_sandbox/reset", b"[" * 1_000_000).status == 400
    assert world.send("POST", "/_sandbox/clock", b"[]").status == 400
    assert world.send("POST", "/_sandbox/faults", b"[]").status == 400
    assert world.send("GET", "/_sandbox/state?world=%F0%9F%98%80").status == 400


def test_a_request_that_never_ends_is_answered():
    door = SocketServer(Sandbox(load("demo")), patience=0.3)
    door.start()
    try:
        for sent in (
            b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
            b"GET / HT",
            b"GET / HTTP/1.1\r\nA: b\r\n",
        ):
            assert raw(door.url, sent).startswith(b"HTTP/1.1 408 ")
        longer = b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nabc\r\n\r\n"
        assert b"HTTP/1.1 400 " in raw(door.url, longer)
    finally:
        door.stop()


@pytest.mark.parametrize(
    "sent", ["a%2Fb", "..", "%2e%2e", "%00", "\u00fc", "%F0%9F%8D%B5", "%ff", ";", "a%0d%0ab"]
)
def test_ids_never_break_anything(world, sent):
    for method, path in (
        ("PUT", f"/v2/customer_sessions/{sent}"),
        ("DELETE", f"/v1/customer_data/{sent}"),
        ("GET", f"/v1/coupon_reservations/customerprofiles/{sent}"),
    ):
        head = f"{method} {path} HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\n"
        body = b'{"customerSession":{}}' if method == "PUT" else b""
        tail = f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = raw(world.server.url, (head + tail).encode() + body)
        assert re.match(rb"HTTP/1.1 (200|204|400|404) ", answer)


def test_threads_end_with_the_server():
    before = threading.active_count()
    with SandboxServer() as server:
        world = World(server, "w")
        server.faults("w").add(do={"park": {"name": "x"}})
        caller = threading.Thread(target=lambda: _ignore(world.session), daemon=True)
        caller.start()
        server.wait_until_parked("w", "x")
        server.release("x")
        caller.join(20)
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ignore(call):
    with contextlib.suppress(OSError):
        call()
