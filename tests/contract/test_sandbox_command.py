"""The command line: a process of its own, as a shop in any language would start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from django_talon.sandbox import __main__ as command


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
