"""Feature 3 and section 4 of the emulator's list: each fault on the wire, byte by byte."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from django_talon.sandbox import fault_schema, handlers, wire
from django_talon.sandbox.buckets import Bucket
from django_talon.sandbox.faults import Faults
from django_talon.sandbox.journal import Journal
from django_talon.testing import SandboxServer

from .sandbox_wire import World, item

UPDATE = "updateCustomerSessionV2"
BROKEN = (ConnectionError, TimeoutError, OSError)


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"flt-{uuid4().hex[:8]}")


@pytest.fixture
def faults(server, world):
    return server.faults(world.name)


def updates(world, session_id="s1"):
    session = world.server.state(world.name)["sessions"].get(session_id)
    return session["updateCount"] if session else 0


def exchange(world, path="/v2/customer_sessions/s1", body=b'{"customerSession":{}}', **more):
    """Send one PUT and return every byte that came back, and how the connection ended."""
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ApiKey-v1 {world.key}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in more.items())
    head += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(urlsplit(world.server.url).netloc.split(":"), 20) as connection:
        received = b""
        try:
            connection.sendall(head.encode() + body)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            return received, "reset"
        return received, "closed"


# what is hit


def test_emu_03_first_two_after_apply_reset(world, faults):
    faults.add(UPDATE, when={"first": 2}, phase="after_apply", do={"reset": {}})
    assert [exchange(world)[1] for _ in range(2)] == ["reset", "reset"]
    assert updates(world) == 2
    assert world.session().status == 200
    assert [call["outcome"] for call in world.calls()] == ["reset", "reset", "answered"]


def test_emu_03_same_seed_same_1000_draws():
    draws = [_draws(7), _draws(7), _draws(8)]
    assert draws[0] == draws[1] != draws[2]
    assert 300 < sum(len(hit) for hit in draws[0]) < 700


def _draws(seed):
    faults, journal = Faults(), Journal("w")
    faults.add({"when": {"probability": 0.5}, "seed": seed, "do": {"delay": {"uniform": [0, 9]}}})
    entry = journal.begin(wire.Request("GET", "/"), "default")
    plans = [faults.plan(entry, {}) for _ in range(1000)]
    return [[action.seconds for action in plan.phase("before_apply")] for plan in plans]


def test_emu_03_delays_are_drawn_from_their_distribution():
    faults = Faults()
    spec = {"delay": {"lognormal": [2, 0.5]}}
    rule = faults.add({"seed": 1, "do": spec})
    seconds = sorted(rule.drawn().seconds for _ in range(500))
    assert 1.7 < seconds[250] < 2.3
    assert seconds[0] < 1 < 4 < seconds[-1]
    assert Faults().add({"seed": 1, "do": spec}).drawn().seconds in seconds


def test_emu_03_between_two_times_of_the_world(world, faults):
    world.server.clock(world.name).freeze("2026-05-01T11:59:59Z")
    noon = ["2026-05-01T12:00:00Z", "2026-05-01T13:00:00Z"]
    faults.add(UPDATE, when={"between": noon}, do={"status": {"code": 500}})
    assert world.session().status == 200
    world.server.clock(world.name).advance(1)
    assert world.session().status == 500
    world.server.clock(world.name).advance(3600)
    assert world.session().status == 200


def test_emu_03_header_method_and_application(world, faults):
    faults.add(match={"header": {"X-Flow": "a"}}, do={"status": {"code": 501}})
    faults.add(match={"header": {"Idempotency-Key": True}}, do={"status": {"code": 502}})
    faults.add(match={"method": "GET"}, do={"status": {"code": 503}})
    faults.add(match={"application": "outlet"}, do={"status": {"code": 504}})
    path, body = "/v2/customer_sessions/s1", {"customerSession": {}}
    assert world.send("PUT", path, body, X_Flow="b").status == 200
    assert world.send("PUT", path, body, X_Flow="a").status == 501
    assert world.send("PUT", path, body, Idempotency_Key="k").status == 502
    assert world.send("GET", path).status == 503
    assert World(world.server, f"{world.name}.outlet").session().status == 504


def test_emu_03_one_rule_can_be_removed(world, faults):
    rule = faults.add(UPDATE, do={"status": {"code": 500}})
    path = f"/_sandbox/faults?world={world.name}&id={rule['id']}"
    assert world.send("DELETE", path).status == 204
    assert world.send("DELETE", path).status == 404
    assert world.session().status == 200


def test_emu_03_the_schema_of_rules_is_served(world):
    schema = world.send("GET", "/_sandbox/faults/schema").body
    do = schema["properties"]["do"]["properties"]
    assert set(do) == set(fault_schema.ACTIONS)
    operations = schema["properties"]["match"]["properties"]["operation"]["enum"]
    assert UPDATE in operations
    assert do["status"]["required"] == ["code"]


# phases


def test_emu_03_applied_late(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"apply_late": {"seconds": 30}})
    world.server.clock(world.name).freeze()
    assert exchange(world) == (b"", "reset")
    assert updates(world) == 0
    world.server.clock(world.name).advance(31)
    world.server.expect(world.name, applied=True).times(1)
    assert updates(world) == 1


def test_emu_03_applied_twice(world, faults):
    faults.add("trackEventV2", do={"apply_twice": {}})
    event = {"type": "newsletter", "profileId": "u1"}
    assert world.send("POST", "/v2/events", event).status == 204
    assert len(world.server.state(world.name)["events"]) == 2


def test_emu_03_never_applied_but_200(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"never_apply_but_200": {}})
    said = world.session(cartItems=[item(50)], couponCodes=["WELCOME10"], want=["customerSession"])
    assert said.status == 200
    assert said.body["customerSession"]["total"] == 50
    assert updates(world) == 0
    assert [call["applied"] for call in world.calls()] == [False]
    assert world.session().status == 200
    assert updates(world) == 1


def test_emu_03_stale_read(world, faults):
    clock = world.server.clock(world.name)
    clock.freeze()
    world.session(attributes={"channel": "old"})
    faults.add("getCustomerSession", do={"stale_read": {"seconds": 60}})
    clock.advance(61)
    world.session(attributes={"channel": "new"})

    def seen():
        said = world.send("GET", "/v2/customer_sessions/s1")
        return said.body["customerSession"]["attributes"]["channel"]

    assert seen() == "old"
    clock.advance(61)
    assert seen() == "new"
    faults.clear()
    assert seen() == "new"


# the bytes


def test_emu_03_status_with_every_kind_of_retry_after(world, faults):
    for wanted in ("3", "0", "-5", "soon", "99999999999"):
        faults.clear()
        faults.add(UPDATE, do={"status": {"code": 429, "retryAfter": wanted, "text": "slow!"}})
        said = world.session()
        assert (said.status, said.headers["Retry-After"], said.body) == (429, wanted, "slow!")
    faults.clear()
    world.server.clock(world.name).freeze("2026-05-01T12:00:00Z")
    faults.add(UPDATE, do={"status": {"code": 503, "retryAfter": {"date": 90}}})
    at = parsedate_to_datetime(world.session().headers["Retry-After"])
    assert at == datetime(2026, 5, 1, 12, 1, 30, tzinfo=timezone.utc)
    faults.clear()
    faults.add(UPDATE, do={"status": {"code": 503, "retryAfter": {"date": 1e9}}})
    assert "2058" in world.session().headers["Retry-After"]


def test_emu_03_refuse_then_answer_again(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"refuse": {"seconds": 3}})
    assert exchange(world)[0] == b""
    with pytest.raises(ConnectionRefusedError):
        for _ in range(200):
            world.send("GET", "/_sandbox/health")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert world.session().status == 200
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the port never opened again")


def test_emu_03_blackhole_is_accepted_and_never_read():
    with SandboxServer() as server:
        world = World(server, "w")
        world.session()
        server.blackhole()
        netloc = urlsplit(server.url).netloc.split(":")
        with socket.create_connection(netloc, timeout=0.5) as connection:
            connection.sendall(b"GET /_sandbox/health HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(1)
            server.start()
            assert world.session().status == 200
            connection.settimeout(20)
            assert connection.recv(1) == b""
        assert len(world.calls()) == 2


def test_emu_03_hang_ends_with_the_clock_of_the_world(world, faults):
    world.server.clock(world.name).freeze()
    faults.add(UPDATE, do={"hang": {"seconds": 3600}})
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(exchange, world)
        world.server.journal(world.name, wait=1, count=9)
        assert not held.done()
        world.server.clock(world.name).advance(3601)
        assert held.result(20) == (b"", "closed")


@pytest.mark.parametrize("part", ["head", "body"])
def test_emu_03_drip(world, faults, part):
    faults.add(UPDATE, do={"drip": {"part": part, "bytes": 40, "interval": 0.2}})
    netloc = urlsplit(world.server.url).netloc.split(":")
    pieces = []
    with socket.create_connection(netloc, timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = (
            f"PUT /v2/customer_sessions/s1 HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\n"
        )
        body = b'{"customerSession": {}, "responseContent": ["customerSession"]}'
        request += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(request.encode() + body)
        while piece := connection.recv(65536):
            pieces.append(piece)
    assert len(pieces) > 1
    assert b"".join(pieces).startswith(b"HTTP/1.1 200 OK")
    assert (b"\r\n\r\n" in pieces[0]) is (part == "body")


def test_emu_03_reset_at_head_before_the_body_is_read(world, faults):
    faults.add(
        match={"operation": UPDATE, "id": "s1"}, when={"first": 1}, do={"reset": {"at": "head"}}
    )
    head = (
        f"PUT /v2/customer_sessions/s1 HTTP/1.1\r\nAuthorization: ApiKey-v1 {world.key}\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    with socket.create_connection(urlsplit(world.server.url).netloc.split(":"), 20) as connection:
        connection.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    (call,) = world.calls()
    assert (call["outcome"], call["operation"], call["body"]) == ("reset", UPDATE, None)
    assert call["faults"] == ["before_apply:reset"]
    assert world.session("s2").status == 200
    assert world.session("s1").status == 200


def test_emu_03_reset_at_accept_before_anything_is_read():
    with SandboxServer() as server:
        world = World(server, "w")
        server.faults("w").add(do={"reset": {"at": "accept"}}, when={"first": 1})
        with pytest.raises(BROKEN):
            world.session()
        assert world.calls() == []
        assert world.session().status == 200
        with pytest.raises(ValueError, match="match must be empty"):
            server.faults("w").add(UPDATE, do={"reset": {"at": "accept"}})


def test_emu_03_reset_in_the_middle_of_the_answer(world, faults):
    faults.add(UPDATE, do={"reset": {"at": "answer"}})
    received, end = exchange(world)
    assert end == "reset"
    assert not received or received.startswith(b"HTTP/1.1 200 OK")
    assert updates(world) == 1
    assert world.calls()[-1]["outcome"] == "reset"


def test_emu_03_truncate(world, faults):
    faults.add(UPDATE, when={"nth": 1}, do={"truncate": {"bytes": 7}})
    faults.add(UPDATE, when={"nth": 2}, do={"truncate": {"bytes": 7, "chunked": True}})
    faults.add(UPDATE, when={"nth": 3}, do={"truncate": {"bytes": 7, "inChunk": True}})
    faults.add("deleteCustomerData", do={"truncate": {}})
    received, end = exchange(world)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert (len(body), end) == (7, "closed")
    assert length > 7
    chunked, _ = exchange(world)
    assert b"Transfer-Encoding: chunked" in chunked
    assert chunked.endswith(b"\r\n\r\n7\r\n" + body + b"\r\n")
    cut, _ = exchange(world)
    assert cut.endswith(b"\r\n\r\n%x\r\n" % length + body)
    world.send("PUT", "/v2/customer_profiles/u1", {})
    with pytest.raises(http.client.HTTPException):
        world.send("DELETE", "/v1/customer_data/u1")
    assert [call["outcome"] for call in world.calls()].count("truncated") == 4


@pytest.mark.parametrize(
    ("kind", "content_type", "is_body"),
    [
        ("html", b"text/html", lambda body: b"<h1>" in body),
        ("empty", b"application/json", lambda body: body == b""),
        ("json", b"application/json", lambda body: body.endswith(b"[")),
        ("charset", b"charset=utf-8", lambda body: b"\xff\xfe" in body),
    ],
)
def test_emu_03_junk(world, faults, kind, content_type, is_body):
    faults.add(UPDATE, do={"junk": {"kind": kind}})
    head, _, body = exchange(world)[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert content_type in head
    assert is_body(body)


def test_emu_03_gzip_bomb_is_bounded(world, faults):
    faults.add(UPDATE, do={"junk": {"kind": "gzip_bomb", "bytes": 3_000_000}})
    head, _, body = exchange(world)[0].partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(body) < 10_000
    assert len(gzip.decompress(body)) == 3_000_000
    with pytest.raises(ValueError, match="bytes"):
        faults.add(UPDATE, do={"junk": {"kind": "gzip_bomb", "bytes": 10**9}})


def test_emu_03_redirect_notices_a_forwarded_key(world, faults):
    faults.add(UPDATE, when={"first": 1}, do={"redirect": {"code": 308}})
    faults.add(UPDATE, do={"redirect": {"code": 301, "to": "http://elsewhere.test/\r\nX: y"}})
    said = world.session()
    assert (said.status, said.headers["X-Sandbox-Reason"]) == (308, "fault rule 1: redirect")
    away = world.session().headers
    assert away["Location"] == "http://elsewhere.test/%0D%0AX:%20y"
    assert world.server.violations(world.name) == []
    assert world.send("GET", said.headers["Location"]).status == 200
    assert [v["monitor"] for v in world.server.violations(world.name)] == ["leak"]


def test_emu_03_revoke_for_some_calls(world, faults):
    faults.add(UPDATE, when={"nth": 2}, do={"revoke": {"calls": 3}})
    assert [world.session().status for _ in range(6)] == [200, 401, 401, 401, 200, 200]
    faults.clear()
    faults.add(UPDATE, when={"first": 1}, do={"revoke": {}})
    assert [world.session().status for _ in range(3)] == [401, 401, 401]
    world.server.restore(world.name)
    assert world.session().status == 200


@pytest.mark.parametrize(
    ("shape", "is_field"),
    [
        ({"pointer": "/effects", "how": "drop"}, lambda body: "effects" not in body),
        ({"pointer": "/effects", "how": "null"}, lambda body: body["effects"] is None),
        ({"pointer": "/effects", "how": "retype"}, lambda body: body["effects"] == {}),
        (
            {"pointer": "/customerSession/total", "how": "retype"},
            lambda b: b["customerSession"]["total"] == "0",
        ),
        (
            {"pointer": "/customerSession/id", "how": "retype", "value": "x"},
            lambda b: b["customerSession"]["id"] == "x",
        ),
        ({"pointer": "/new~1field", "how": "add", "value": 1}, lambda body: body["new/field"] == 1),
        ({"pointer": "/nothing/here", "how": "drop"}, lambda body: "effects" in body),
        (
            {"pointer": "/customerSession/state", "how": "retype"},
            lambda b: b["customerSession"]["state"] == 0,
        ),
    ],
)
def test_emu_03_shape(world, faults, shape, is_field):
    faults.add(UPDATE, do={"shape": shape})
    said = world.session(want=["customerSession"])
    assert said.status == 200
    assert is_field(said.body)


# limits


def test_emu_11_token_bucket_passes_burst_and_refill(world, faults):
    clock = world.server.clock(world.name)
    clock.freeze()
    faults.add(do={"limit": {"rate": 20, "burst": 5, "hint": "seconds"}})
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda n: world.session(f"s{n}"), range(100)))
    assert sorted(one.status for one in said) == [200] * 5 + [429] * 95
    refused = next(one for one in said if one.status == 429)
    assert refused.headers["Retry-After"] == "1"
    clock.advance(0.5)
    assert [world.session(f"t{n}").status for n in range(12)] == [200] * 5 + [429] * 7
    clock.advance(0.1)
    assert [world.session(f"u{n}").status for n in range(3)] == [200, 200, 429]


def test_emu_11_limit_by_customer_with_a_date(world, faults):
    clock = world.server.clock(world.name)
    clock.freeze("2026-05-01T12:00:00Z")
    faults.add(do={"limit": {"rate": 0.1, "burst": 1, "scope": "customer", "hint": "date"}})
    assert world.session("a", profileId="u1").status == 200
    assert world.session("b", profileId="u2").status == 200
    refused = world.session("a", profileId="u1")
    assert (refused.status, refused.headers["Retry-After"]) == (
        429,
        "Fri, 01 May 2026 12:00:10 GMT",
    )
    faults.clear()
    faults.add(do={"limit": {"rate": 0, "burst": 1, "retryAfter": "60"}})
    assert [world.session(str(n)).headers.get("Retry-After") for n in range(2)] == [None, "60"]


def test_emu_03_limit_of_calls_at_the_same_time(world, faults):
    faults.add(do={"limit": {"concurrent": 2}})
    faults.add(UPDATE, when={"first": 2}, do={"park": {"name": world.name}})
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(world.session, f"s{n}") for n in range(2)]
        world.server.journal(world.name, wait=20, parked=world.name)
        world.server.expect(world.name, parked=world.name)
        deadline = time.monotonic() + 20
        while sum(c["parked"] == world.name for c in world.calls()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        refused = world.session("s3")
        assert (refused.status, "Retry-After" in refused.headers) == (429, False)
        world.server.release(world.name)
        assert [one.result(20).status for one in held] == [200, 200]
    assert world.session("s3").status == 200


def test_emu_03_an_empty_bucket_that_is_never_filled():
    bucket = Bucket(rate=0, burst=1)
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert bucket.enter("", now) is None
    assert bucket.enter("", now) == 3600


# what is refused


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"do": {"reset": {"at": "noon"}}}, "do.reset.at must be one of accept, head"),
        ({"do": {"redirect": {"code": 300}}}, "301, 302, 303, 307, 308"),
        ({"do": {"redirect": {}}}, "do.redirect.code is missing"),
        ({"do": {"junk": {"kind": "mail"}}}, "html"),
        ({"do": {"drip": {"bytes": 1.5}}}, "whole number"),
        ({"do": {"truncate": {"chunked": 1}}}, "true or false"),
        ({"do": {"delay": {"uniform": [1]}}}, "a list of two"),
        ({"do": {"delay": {"uniform": [1, "x"]}}}, "must be a number"),
        ({"do": {"limit": {"scope": "world"}}}, "key, customer"),
        ({"do": {"limit": {"concurrent": 0}}}, "1 to 1000000"),
        ({"do": {"shape": {"pointer": "/a"}}}, "how is missing"),
        ({"do": {"status": {"code": 503, "retryAfter": {"date": "x"}}}}, "retryAfter"),
        ({"do": {"status": {"code": 503, "retryAfter": []}}}, "must be a text"),
        ({"do": {"status": {"code": True}}}, "whole number"),
        ({"do": {"apply_twice": {"often": 3}}}, "nothing in it"),
        ({"do": {"park": {"name": ""}}}, "must be a text"),
        ({"do": {"reset": {}}, "match": {"header": {"X": 1}}}, "header names"),
        ({"do": {"reset": {}}, "match": {"header": "X"}}, "header names"),
        ({"do": {"reset": {}}, "match": {"dry": "yes"}}, "true or false"),
        ({"do": {"reset": {}}, "when": {"probability": 2}}, "0 to 1"),
        ({"do": {"reset": {}}, "when": {"between": ["now", "then"]}}, "RFC 3339"),
        ({"do": {"reset": {}}, "when": {"between": "now"}}, "a list of two"),
        ({"do": {"reset": {}}, "seed": "x"}, "seed must be a whole number"),
        ({"do": {"reset": {}}, "seconds": 99999}, "0 to 3600"),
        ({"do": {"reset": {}, "junk": {}}}, "one of status"),
    ],
)
def test_emu_03_malformed_rules_say_what_is_wrong(faults, rule, complaint):
    with pytest.raises(ValueError, match=complaint):
        faults.add(**rule)
    assert faults.list() == []


def test_a_mistake_of_our_own_is_a_500_that_says_so(world, monkeypatch, caplog):
    def broken(call):
        raise ZeroDivisionError

    monkeypatch.setitem(handlers.HANDLERS, "getCustomerSession", broken)
    said = world.send("GET", "/v2/customer_sessions/s1")
    assert (said.status, said.headers["X-Sandbox-Reason"]) == (
        500,
        "The sandbox failed; its log says why",
    )
    assert world.calls()[-1]["status"] == 500
    assert "ZeroDivisionError" in caplog.text
