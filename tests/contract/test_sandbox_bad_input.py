"""What the sandbox says to requests that are wrong: never a 500, never silence."""

from __future__ import annotations

from uuid import uuid4

import pytest

from django_talon.testing import SandboxServer

from .sandbox_wire import World, item, raw


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"bad-{uuid4().hex[:8]}")


SESSION = "/v2/customer_sessions/s1"


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"profileId": 1}, "/profileId"),
        ({"profileId": "x" * 1001}, "/profileId"),
        ({"state": "partially_returned"}, "/state"),
        ({"couponCodes": "A"}, "/couponCodes"),
        ({"couponCodes": ["A", ""]}, "/couponCodes/1"),
        ({"couponCodes": ["x" * 101]}, "/couponCodes/0"),
        ({"referralCode": "x" * 101}, "/referralCode"),
        ({"cartItems": {}}, "/cartItems"),
        ({"cartItems": [1]}, "/cartItems/0"),
        ({"cartItems": [{"sku": "a", "price": 1}]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=0)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=1.5)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item(quantity=True)]}, "/cartItems/0/quantity"),
        ({"cartItems": [item("10")]}, "/cartItems/0/price"),
        ({"cartItems": [item(-1)]}, "/cartItems/0/price"),
        ({"cartItems": [item(1e300)]}, "/cartItems/0/price"),
        ({"cartItems": [item(attributes={"size": 1})]}, "/cartItems/0/attributes/size"),
        ({"cartItems": [item(colour="blue")]}, "/cartItems/0/colour"),
        ({"cartItems": [item(quantity=6000), item(quantity=6000)]}, "/cartItems"),
        ({"cartItems": [item()] * 1001}, "/cartItems"),
        ({"additionalCosts": {"tax": {"price": 1}}}, "/additionalCosts/tax"),
        ({"additionalCosts": {"shipping": {}}}, "/additionalCosts/shipping/price"),
        ({"additionalCosts": []}, "/additionalCosts"),
        ({"identifiers": ["a"] * 6}, "/identifiers"),
        ({"attributes": []}, "/attributes"),
        ({"attributes": {"channel": 1}}, "/attributes/channel"),
        ({"attributes": {"a/b~c": 1}}, "/attributes/a~1b~0c"),
        ({"loyaltyCards": ["a", "b"]}, "/loyaltyCards"),
        ({"colour": "blue"}, "/colour"),
    ],
)
def test_emu_09_every_wrong_field_has_its_pointer(world, content, pointer):
    said = world.session(**content)
    assert said.status == 400
    assert said.body["message"] == "The submitted data was invalid"
    pointers = [error["source"]["pointer"] for error in said.body["errors"]]
    assert pointers == [f"/customerSession{pointer}"]
    assert said.headers["X-Sandbox-Reason"]


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("PUT", SESSION, {}, "/customerSession"),
        ("PUT", SESSION, [], ""),
        ("PUT", SESSION, {"customerSession": {}, "responseContent": ["x"]}, "/responseContent/0"),
        ("PUT", "/v1/customer_sessions/s1", {"total": "1"}, "/total"),
        ("PUT", "/v1/customer_profiles/u", {"attributes": {"tier": False}}, "/attributes/tier"),
        (
            "PUT",
            "/v2/customer_profiles/u",
            {"attributes": {"BirthDate": "x"}},
            "/attributes/BirthDate",
        ),
        ("POST", "/v1/events", {"type": "newsletter", "attributes": {}}, "/sessionId"),
        ("POST", "/v2/events", {"type": "talon_session_closed", "profileId": "u"}, "/type"),
        ("POST", "/v2/events", {"type": "unheard", "profileId": "u"}, "/type"),
        ("POST", "/v2/events", {"type": 7, "profileId": "u"}, "/type"),
        ("POST", "/v1/coupon_reservations/WALLET10", {"integrationIDs": [""]}, "/integrationIDs/0"),
        ("POST", "/v1/referrals", {"campaignId": 2}, "/advocateProfileIntegrationId"),
        (
            "POST",
            "/v1/referrals",
            {"campaignId": 2, "advocateProfileIntegrationId": "a", "startDate": "soon"},
            "/startDate",
        ),
    ],
)
def test_emu_09_every_operation_checks_its_body(world, method, path, body, pointer):
    said = world.send(method, path, body)
    assert said.status == 400
    assert [error["source"]["pointer"] for error in said.body["errors"]] == [pointer]


def test_emu_09_all_problems_are_told_at_once(world):
    said = world.session(state="lost", attributes={"a": 1}, cartItems=[item("x")])
    assert len(said.body["errors"]) == 3


def test_emu_09_literal_messages(world):
    said = world.session(state="lost", attributes={"MyAttribute": 1})
    first, second = said.body["errors"]
    assert (first["title"], first["details"]) == (
        "enum",
        'state must be one of the following: "open", "closed", "cancelled"',
    )
    assert (second["title"], second["details"]) == (
        "Unknown",
        'The attribute "MyAttribute" is not defined on CustomerSession entities.',
    )
    assert (
        '"attributes": {"CustomerSession": {"MyAttribute": "string"}}'
        in (said.headers["X-Sandbox-Reason"])
    )
    wrong = world.send("PUT", "/v2/customer_profiles/u", {"attributes": {"Name": False}})
    assert wrong.body["errors"][0]["details"] == 'Value of "Name" attribute (false) is not a string'


def test_emu_09_loose_accepts_with_a_warning():
    with SandboxServer(loose=True) as loose:
        said = World(loose, "w").session(
            attributes={"mood": "good"}, colour="blue", additionalCosts={"tax": {"price": 1}}
        )
        assert said.status == 200
        assert "mood" in said.headers["X-Sandbox-Warning"]
        assert World(loose, "w").session(attributes=[]).status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 1_000_000, b'{"a":"\\ud800"}', b"NaN", b"null"],
    ids=range(8),
)
def test_malformed_bodies(world, body):
    said = world.send("PUT", SESSION, body)
    assert said.status == 400
    assert world.calls()[-1]["status"] == 400


def test_big_bodies(world):
    assert world.send("PUT", SESSION, b" " * (6 * 1024 * 1024)).status == 413
    head = f"PUT {SESSION} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 413 " in raw(world.server.url, head.encode() + b"FFFFFFF\r\nabc")


def test_keys(world):
    for wrong in (
        "",
        "sbx-a",
        "Bearer sbx-a",
        "ApiKey-v1 abc",
        "ApiKey-v1 sbx-",
        "ApiKey-v1 sbx-a.b.c",
    ):
        said = world.send("PUT", SESSION, {"customerSession": {}}, Authorization=wrong)
        assert (said.status, said.body["StatusCode"]) == (401, 401)
    assert world.calls() == []
    world.server.revoke(world.name)
    assert world.session().status == 401
    assert world.calls()[-1]["status"] == 401
    world.server.restore(world.name)
    assert world.session().status == 200


def test_routes(world):
    said = world.send("GET", "/v9/nothing")
    assert (said.status, "/v9/nothing" in said.body["message"]) == (404, True)
    assert world.send("POST", SESSION, {}).status == 405
    assert world.send("GET", "/").status == 404
    assert world.send("PUT", "/v2/customer_sessions/%ff", {"customerSession": {}}).status == 404


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("a%2Fb", "a/b"),
        ("%2E%2E", ".."),
        ("a%20b%25", "a b%"),
        ("%F0%9F%8D%B5", "🍵"),
        ("..", ".."),
    ],
)
def test_odd_ids_stay_ids(world, sent, meant):
    said = world.session(sent, want=["customerSession"])
    assert said.body["customerSession"]["integrationId"] == meant
    assert world.calls()[-1]["sessionId"] == meant


def test_impossible_ids(world):
    for wrong in ("%00", "x" * 1001, ""):
        assert world.session(wrong).status == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbroken\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403),
        (b"GET /_sandbox/health HTTP/1.0\r\n\r\n", 200),
        (b"GET /_sandbox/health HTTP/1.1\r\nConnection: close\r\nHost: [::1]:80\r\n\r\n", 200),
    ],
)
def test_raw_requests(server, sent, status):
    closing = sent.replace(b"\r\nHost: evil", b"\r\nConnection: close\r\nHost: evil")
    assert raw(server.url, closing).startswith(f"HTTP/1.1 {status} ".encode())


def test_chunked_and_continued_bodies(world):
    head = (
        f"PUT {SESSION} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: ApiKey-v1 {world.key}\r\n"
    ).encode()
    chunks = b'5\r\n{"cus\r\n15\r\ntomerSession":{}}    \r\n0\r\nTrailer: x\r\n\r\n'
    answer = raw(world.server.url, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 200 ")
    more = b"Expect: 100-continue\r\nContent-Length: 22\r\n\r\n" + b'{"customerSession":{}}'
    answer = raw(world.server.url, head + more)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_too_short_bodies_end(server):
    import socket

    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
