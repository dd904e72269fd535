"""The command line: a process of its own, as a shop in any language would start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from django_talon.management.commands import talon_sandbox
from django_talon.sandbox import __main__ as command
from django_talon.sandbox import seeds
from django_talon.sandbox.declared import Declared
from django_talon.sandbox.doors.socket_server import SocketServer
from django_talon.sandbox.service import Sandbox
from django_talon.shop import Adapter, register
from django_talon.shop.registry import unregister
from django_talon.testing import SandboxServer

from .sandbox_wire import World, item


def environment():
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "", "PYTHONWARNINGS": "error"}


@pytest.fixture
def start(tmp_path):
    """Start sandboxes that end with the test; each comes with what its ready file said."""
    started = []

    def start_one(*arguments):
        ready = tmp_path / "url"
        line = ["-m", "django_talon.sandbox", "--port", "0", "--ready-file", str(ready)]
        process = subprocess.Popen(
            [sys.executable, *line, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        started.append(process)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, ready.read_text()

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_answer_stop(start, number):
    process, written = start()
    url = written.strip()
    assert written == f"{url}\n"
    with urllib.request.urlopen(f"{url}/_sandbox/health", timeout=20) as answer:
        assert json.load(answer)["seed"] == "demo"
    process.send_signal(number)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert f'"BASE_URL": "{url}"' in out
    assert "sbx-shop" in out


def await_held_call(url):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/_sandbox/journal?world=w", timeout=20) as answer:
            if json.load(answer):
                return
        time.sleep(0.02)
    raise AssertionError("the call never arrived")


def test_stops_while_calls_are_held(start):
    process, written = start()
    url = written.strip()
    rule = {"world": "w", "do": {"hang": {"seconds": 600}}}
    urllib.request.urlopen(f"{url}/_sandbox/faults", json.dumps(rule).encode(), timeout=20).close()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as held:
        held.sendall(
            b"DELETE /v1/customer_data/a HTTP/1.1\r\nAuthorization: ApiKey-v1 sbx-w\r\n\r\n"
        )
        await_held_call(url)
        process.terminate()
        assert held.recv(100) == b""
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_needs_no_django():
    code = (
        "import sys, django_talon.sandbox.__main__, django_talon.testing as t; t.SandboxServer;"
        "print([m for m in ('django', 'pytest', 'celery', 'requests', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout.strip() == "[]"


def run(capsys, *arguments):
    code = command.main(arguments)
    return code, capsys.readouterr().err


def test_busy_port(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = run(capsys, "--port", str(port))
    assert code == command.BUSY
    assert f"127.0.0.1:{port}" in errors
    assert "--port 0" in errors


def test_bad_seed(capsys, tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text('{"campaigns": [{"id": 1}]}')
    code, errors = run(capsys, "--seed", str(seed))
    assert code == command.BAD_SEED
    assert "campaigns[0]: name is missing" in errors
    assert run(capsys, "--seed", str(tmp_path / "absent.json"))[0] == command.BAD_SEED


def test_help_and_wrong_arguments(capsys):
    for arguments, code in ((["--help"], 0), (["--port", "99999"], 2), (["--port", "x"], 2)):
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
        assert caught.value.code == code
    assert "--ready-file" in capsys.readouterr().out


def test_own_seed(start, tmp_path):
    seed = tmp_path / "shop.json"
    seed.write_text('{"eventTypes": ["hello"], "campaigns": []}')
    _, written = start("--seed", str(seed), "--loose")
    with urllib.request.urlopen(f"{written.strip()}/_sandbox/health", timeout=20) as answer:
        assert json.load(answer)["seed"] == "shop"


def ask(url, path="/_sandbox/health", **headers):
    request = urllib.request.Request(f"{url.strip()}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def put(url, path, body, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url.strip()}{path}", data, sent, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_emu_02_one_command_and_its_url_answers(start):
    _, written = start()
    found = ask(written)
    assert (found["status"], found["seed"], found["worlds"]) == ("ok", "demo", [])
    assert written.startswith("http://127.0.0.1:")


def test_all_flags_at_once(start, tmp_path):
    rules = tmp_path / "faults.json"
    status = {"status": {"code": 503}}
    rules.write_text(
        json.dumps(
            [
                {"world": "w", "match": {"id": "down"}, "do": status},
                {"match": {"id": "everywhere"}, "do": status},
            ]
        )
    )
    _, written = start(
        *("--strict", "--dialect", "2020", "--clock", "frozen:2024-02-29T00:00:00Z"),
        *("--faults", str(rules), "--application", "59:fefecafedeadbeef:w.outlet"),
    )
    key = {"Authorization": "ApiKey-v1 sbx-w"}
    session = {"customerSession": {}, "responseContent": ["customerSession"]}
    status, said = put(written, "/v2/customer_sessions/s1", session, **key)
    assert (status, said["customerSession"]["created"]) == (200, "2024-02-29T00:00:00.000Z")
    assert put(written, "/v2/customer_sessions/down", session, **key)[0] == 503
    assert put(written, "/v2/customer_sessions/everywhere", session, **key)[0] == 503
    other = {"Authorization": "ApiKey-v1 sbx-other"}
    assert put(written, "/v2/customer_sessions/down", session, **other)[0] == 200
    assert put(written, "/v2/customer_profiles", {}, **key)[0] == 404
    signature = "signer=59; signature=9ba33dc4c124f258737457258be9e3f3"
    body = b'{"attributes":{"Name":"Ada"}}'
    signed = {"Content_Signature": signature}
    assert put(written, "/v1/customer_profiles/ada", body, **signed)[0] == 200
    assert "ada" in ask(written, "/_sandbox/state?world=w&application=outlet")["profiles"]


def test_a_tls_port_beside_the_other(start):
    process, _ = start("--tls-port", "0")
    line = ""
    while not line.startswith("TLS: "):
        line = process.stdout.readline()
    url, certificate = line.removeprefix("TLS: ").strip().split(", its certificate: ")
    context = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(f"{url}/_sandbox/health", timeout=20, context=context) as answer:
        assert json.load(answer)["status"] == "ok"


def test_where_others_can_reach_it_the_token_is_told(capsys, monkeypatch):
    monkeypatch.setattr(SocketServer, "is_local", False)
    door = SocketServer(Sandbox(seeds.load("demo")), port=8181, token="s3cret")
    command._announce([door], "")
    out, errors = capsys.readouterr()
    assert "other machines can reach this sandbox" in errors
    assert "http://127.0.0.1:8181/_sandbox/?token=s3cret" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clock", "stopped"],
        ["--clock", "frozen:soon"],
        ["--clock", "thawed:2026-01-01T00:00:00Z"],
        ["--dialect", "1999"],
        ["--strict", "--loose"],
        ["--application", "59:nonsense:w"],
        ["--tls", "homemade"],
    ],
)
def test_wrong_flags(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "{}", '[{"do": {"explode": {}}}]', None])
def test_bad_faults(capsys, tmp_path, content):
    rules = tmp_path / "faults.json"
    if content is not None:
        rules.write_text(content)
    code, errors = run(capsys, "--faults", str(rules))
    assert code == command.BAD_FAULTS
    assert "faults.json" in errors


def test_faults_in_yaml(tmp_path):
    rules = tmp_path / "faults.yaml"
    rules.write_text("- match: {operation: trackEventV2}\n  do: {delay: {seconds: 0.5}}\n")
    assert seeds.rules(rules)[0]["match"] == {"operation": "trackEventV2"}


def test_no_certificate_no_tls_port(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, errors = run(capsys, "--tls-port", "0")
    assert code == command.NO_TLS
    assert "openssl" in errors


def test_limits_are_printed(capsys):
    assert command.main(["--limits"]) == 0
    assert "| trackEventV2 | `POST /v2/events` |" in capsys.readouterr().out


@pytest.fixture
def shop():
    """An adapter that lists attributes of every kind."""

    @register
    class Listing(Adapter):
        cart = "shop.Cart"
        cart_customer = "user"
        cart_items = "items"
        order = "shop.Order"
        item = {"attributes": {"brand": "product.name", "size": "size"}}
        cart_attributes = {"since": "created_at", "guest": "is_guest", "mixed": "pk"}
        order_attributes = {"street": "street", "paid": "total", "mixed": "street"}
        customer_attributes = {"active": "is_active", "nick": "username", "tier": "profile.tier"}

    yield Listing
    unregister(Listing)


def test_manage_py_declares_what_the_adapters_list(shop):
    found = talon_sandbox.declared()
    session = found.attributes["CustomerSession"]
    assert (session["street"], session["paid"], session["mixed"]) == ("string", "number", "any")
    assert found.attributes["CustomerProfile"]["active"] == "boolean"
    assert found.attributes["CustomerProfile"]["nick"] == "string"
    assert found.attributes["CartItem"]["brand"] == "any"
    seed = found.added_to(seeds.load("demo"))
    with_shop = SandboxServer()
    with_shop.sandbox.rooms.seed = seed
    with with_shop as server:
        world = World(server, "w")
        item_ = {**item(), "attributes": {"brand": "Acme", "size": 3}}
        costs = {"gift-wrap": {"price": 3}}
        said = world.session(
            attributes={"street": "x", "channel": "web"}, cartItems=[item_], additionalCosts=costs
        )
        assert said.status == 200
        assert world.session(attributes={"paid": "x"}).status == 400
        assert world.session(attributes={"unlisted": "x"}).status == 400
        event = {"type": "anything", "profileId": "u", "attributes": {"whatever": [1]}}
        assert world.send("POST", "/v2/events", event).status == 204


def test_a_seed_wins_over_what_is_declared():
    seed = Declared({"CustomerSession": {"channel": "number"}}, ("x",), ("shipping", "wrap"))
    merged = seed.added_to(seeds.load("demo")).definitions
    assert merged.attributes["CustomerSession"]["channel"] == "string"
    assert merged.event_types[-1] == "x"
    assert merged.additional_costs["wrap"] == len(merged.additional_costs)
