from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter

from django_talon import client as c
from tests.unit.client.servers import OK, answer, answering, read_request, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


def call(url, **options):
    client = c.IntegrationClient(url, api_key="sEcReT", **options)
    return client.update_customer_session_v2("s1", {"customerSession": {}})


def fails(url, **options):
    with pytest.raises(c.TalonError) as caught:
        call(url, **options)
    error = caught.value
    assert "sEcReT" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


def after_request(*pieces):
    def handle(conn, server):
        server.seen.append(read_request(conn))
        for piece in pieces:
            piece(conn) if callable(piece) else conn.sendall(piece)

    return handle


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(data):
    def send(conn):
        for byte in data:
            conn.sendall(bytes([byte]))
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        (after_request(reset), c.TalonConnectionError),
        (after_request(), c.TalonConnectionError),
        (after_request(HEAD), c.TalonUnreadableAnswer),
        (after_request(b"nonsense\r\n\r\n"), c.TalonConnectionError),
        (after_request(HEAD + b"Content-Length: 99\r\n\r\n" + OK), c.TalonConnectionError),
        (after_request(HEAD + b"Content-Length: 9\r\n\r\n" + OK), c.TalonUnreadableAnswer),
        (after_request(HEAD + b"\r\n" + OK[:20]), c.TalonUnreadableAnswer),
        (
            after_request(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"),
            c.TalonConnectionError,
        ),
        (
            after_request(HEAD + b"Content-Length: 99\r\n\r\n{", reset),
            c.TalonConnectionError,
        ),
    ],
    ids=[
        "reset",
        "closed",
        "cut headers",
        "no http",
        "too short",
        "too long",
        "cut without length",
        "cut chunk",
        "reset in the body",
    ],
)
def test_F3_broken_after_sending_is_ambiguous(handle, kind):
    with serving(handle) as server:
        error = fails(server.url)
    assert type(error) is kind
    assert (error.retryable, error.ambiguous) == (True, True)
    assert error.operation == "updateCustomerSessionV2"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "handle",
    [
        after_request(lambda conn: conn.recv(1)),
        after_request(drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000)),
        after_request(HEAD + b"Content-Length: 1000\r\n\r\n", drip(b" " * 1000)),
        after_request(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", drip(b"1\r\n \r\n" * 300)),
    ],
    ids=["silence", "dripped headers", "dripped body", "dripped chunks"],
)
def test_F1_the_deadline_bounds_every_read(handle):
    with serving(handle) as server:
        started = time.monotonic()
        error = fails(server.url, timeout=(5, 20), deadline=0.5)
        assert time.monotonic() - started < 15
    assert type(error) is c.TalonTimeout
    assert (error.retryable, error.ambiguous, error.status) == (True, True, None)


def test_F1_the_read_timeout_is_per_read():
    with serving(after_request(lambda conn: conn.recv(1))) as server:
        assert type(fails(server.url, timeout=(5, 0.2), deadline=60)) is c.TalonTimeout


def test_F1_one_call_can_have_its_own_deadline():
    with serving(after_request(lambda conn: conn.recv(1))) as server:
        client = c.IntegrationClient(server.url, api_key="k", timeout=(5, 60), deadline=60)
        with pytest.raises(c.TalonTimeout):
            client.delete_customer_data("u1", deadline=0.2)
        with pytest.raises(c.TalonConnectionError) as caught:
            client.delete_customer_data("u1", deadline=0)
    assert not caught.value.ambiguous
    assert len(server.seen) == 1


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_F3_refused_is_not_ambiguous():
    error = fails(closed_port())
    assert type(error) is c.TalonConnectionError
    assert (error.retryable, error.ambiguous) == (True, False)
    assert "was not sent" in str(error)


def test_F3_an_unknown_host_is_not_ambiguous(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fails("http://talon.invalid")
    assert type(error) is c.TalonConnectionError
    assert (error.retryable, error.ambiguous) == (True, False)


def test_F3_a_connect_timeout_is_not_ambiguous():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
            crowd.append(waiting)
        error = fails(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=(0.3, 30))
        for waiting in crowd:
            waiting.close()
    assert type(error) is c.TalonConnectionError
    assert (error.retryable, error.ambiguous) == (True, False)


@pytest.mark.parametrize(
    "handle",
    [
        lambda conn, server: conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda conn, server: reset(conn),
    ],
    ids=["plain http", "reset in the handshake"],
)
def test_F3_failed_tls_handshake_sent_nothing(handle):
    with serving(handle) as server:
        error = fails(server.url.replace("http:", "https:"))
    assert isinstance(error, c.TalonConnectionError)
    assert not error.ambiguous


def test_L5_redirects_are_not_followed():
    with answering(answer()) as other, answering(answer(302, b"", Location=other.url)) as server:
        error = fails(server.url)
    assert type(error) is c.TalonRedirected
    assert other.seen == []


def test_L5_the_environment_is_not_trusted(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, closed_port())
    with answering(answer()) as server:
        call(server.url)
    assert server.seen[0].headers["authorization"] == "ApiKey-v1 sEcReT"


def test_L5_a_proxy_of_the_environment_is_used_if_asked_for(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine talon.invalid login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("no_proxy", "")
    with answering(answer()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        client = c.IntegrationClient("http://talon.invalid/base", api_key="sEcReT", trust_env=True)
        client.update_customer_session_v2("s1", {"customerSession": {}})
    [seen] = proxy.seen
    assert seen.target == "http://talon.invalid/base/v2/customer_sessions/s1"
    assert seen.headers["authorization"] == "ApiKey-v1 sEcReT"


def test_L5_no_proxy_names_the_hosts_that_are_called_directly(monkeypatch):
    monkeypatch.setenv("http_proxy", closed_port())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="sEcReT", trust_env=True)
        client.update_customer_session_v2("s1", {"customerSession": {}})
    assert len(server.seen) == 1


def test_connections_are_kept_and_shared_by_threads():
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        ids = [f"s{n}" for n in range(200)]
        with ThreadPoolExecutor(8) as pool:
            states = list(
                pool.map(
                    lambda i: client.update_customer_session_v2(i, {"customerSession": {}}), ids
                )
            )
    assert len(states) == 200
    assert sorted(s.target.rpartition("/")[2] for s in server.seen) == sorted(ids)
    assert server.connections <= 8


FIRST_CALLS = """
import sys, threading
from django_talon import client as c
from django_talon.client.types.base import decode

effect = b'{"campaignId":1,"rulesetId":2,"ruleIndex":0,"ruleName":"","effectType":"e","props":{}}'
state = b'{"effects":[%s],"createdCoupons":[],"createdReferrals":[],"loyalty":{"programs":{}}}'

def work():
    barrier.wait()
    decode(state % effect, c.IntegrationStateV2)

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_first_calls_of_many_threads_at_once():
    for _ in range(3):
        subprocess.run([sys.executable, "-W", "error", "-c", FIRST_CALLS], check=True, timeout=120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_makes_its_own_connection():
    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        client.delete_customer_data("parent")
        child = multiprocessing.get_context("fork").Process(
            target=client.delete_customer_data, args=("child",)
        )
        child.start()
        child.join(60)
        client.delete_customer_data("parent")
        assert child.exitcode == 0
    assert [s.target.rpartition("/")[2] for s in server.seen] == ["parent", "child", "parent"]
    assert server.connections == 2


class Broken(BaseAdapter):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def send(self, request, **kwargs):
        raise self.error

    def close(self):
        pass


@pytest.mark.parametrize(
    ("raised", "kind", "ambiguous"),
    [
        (requests.ConnectTimeout(), c.TalonConnectionError, False),
        (
            requests.ConnectionError(ConnectionRefusedError(111, "refused")),
            c.TalonConnectionError,
            False,
        ),
        (requests.ConnectionError("cut"), c.TalonConnectionError, True),
        (requests.ReadTimeout(), c.TalonTimeout, True),
        (urllib3.exceptions.ProtocolError("cut"), c.TalonConnectionError, True),
    ],
)
def test_what_an_adapter_raises(raised, kind, ambiguous):
    error = fails("http://talon.invalid", adapter=Broken(raised))
    assert type(error) is kind
    assert error.ambiguous is ambiguous


class Flooding(BaseAdapter):
    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO(b" " * 11_000_000)
        return response

    def close(self):
        pass


def test_L5_an_adapter_s_answer_is_capped_too():
    assert type(fails("http://talon.invalid", adapter=Flooding())) is c.TalonUnreadableAnswer


def test_an_interrupted_read_does_not_give_its_rest_to_the_next_call(monkeypatch):
    from django_talon.client import network

    with answering(answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k")

        def interrupted(response):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(network, "_read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.delete_customer_data("u1")
        client.delete_customer_data("u2")
    assert server.connections == 2


def test_a_kept_connection_that_was_closed_is_not_used_again():
    def handle(conn, server):
        server.seen.append(read_request(conn))
        conn.sendall(answer(204, b""))

    with serving(handle) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        for name in ("u1", "u2", "u3"):
            client.delete_customer_data(name)
            time.sleep(0.05)
    assert [s.target.rpartition("/")[2] for s in server.seen] == ["u1", "u2", "u3"]
    assert server.connections == 3


def test_a_connection_the_server_will_close_is_not_kept():
    with answering(answer(204, b"", Connection="close")) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        client.delete_customer_data("u1")
        client.delete_customer_data("u2")
    assert server.connections == 2


def test_an_answer_that_comes_before_the_body_was_read_is_heard():
    def handle(conn, server):
        conn.recv(1)
        conn.sendall(answer(413, b'{"message":"too much"}'))
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass

    with serving(handle) as server, pytest.raises(c.TalonRejected, match="413: too much"):
        c.IntegrationClient(server.url, api_key="k", timeout=(10, 30), deadline=60).create_referral(
            {"attributes": {"note": "x" * 5_000_000}}
        )


def test_head_and_body_leave_together():
    pieces = []

    def handle(conn, server):
        pieces.append(conn.recv(65536))
        conn.sendall(answer())

    with serving(handle) as server:
        call(server.url)
    assert pieces[0].endswith(b'\r\n\r\n{"customerSession":{}}')


@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "chunked"])
def test_L5_an_answer_of_unknown_length_is_capped(chunked):
    head = (
        b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n" if chunked else b"") + b"\r\n"
    )
    body = (b"%x\r\n" % 11_000_000 if chunked else b"") + b" " * 11_000_000
    with serving(after_request(head + body)) as server:
        error = fails(server.url, timeout=(30, 30), deadline=60)
    assert type(error) is c.TalonUnreadableAnswer
    assert "too long" in str(error)


def test_every_address_of_a_host_is_tried(monkeypatch):
    with answering(answer()) as server:
        port = int(server.url.rpartition(":")[2])
        dead = int(closed_port().rpartition(":")[2])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each))
            for each in (dead, port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        call("http://talon.invalid")
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
        assert type(fails("http://talon.invalid")) is c.TalonConnectionError
    assert server.seen[0].headers["host"] == "talon.invalid"


def test_F1_all_addresses_of_a_host_share_the_deadline(monkeypatch):
    with socket.socket() as listener, contextlib.ExitStack() as crowd:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = crowd.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        asked = socket.getaddrinfo
        found = asked(*listener.getsockname(), socket.AF_INET, socket.SOCK_STREAM) * 100
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a: asked(host, *a) if host[0] == "1" else found
        )
        started = time.monotonic()
        url = f"http://talon.invalid:{listener.getsockname()[1]}"
        error = fails(url, timeout=(0.5, 30), deadline=1.2)
        assert time.monotonic() - started < 25
    assert type(error) is c.TalonConnectionError
    assert not error.ambiguous


def test_a_host_that_cannot_be_is_not_ambiguous():
    error = fails(f"http://{'x' * 70}.invalid")
    assert type(error) is c.TalonConnectionError
    assert not error.ambiguous


def test_no_log_tells_an_id_but_urllib3_still_logs_for_others(caplog):
    caplog.set_level("DEBUG")
    with answering(answer(204, b"", Odd_="x").replace(b"Odd", b" Odd")) as server:
        c.IntegrationClient(server.url, api_key="sEcReT").delete_customer_data("ada@example.com")
        assert caplog.text == ""
        with urllib3.PoolManager() as others:
            others.request("GET", f"{server.url}/mine")
    assert "/mine" in caplog.text


def test_more_threads_than_are_kept_do_no_harm(monkeypatch):
    from django_talon.client import network

    monkeypatch.setattr(network, "_MOST_KEPT", 1)
    with answering(answer(204, b"")) as server:
        client = c.IntegrationClient(server.url, api_key="k", timeout=(10, 30), deadline=60)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(client.delete_customer_data, [f"u{n}" for n in range(40)]))
    assert len(server.seen) == 40
