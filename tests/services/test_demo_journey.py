"""``make demo`` as a person runs it: a process with processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
LONG = 300
ANY_PORTS = ("--shop-port", "0", "--sandbox-port", "0")


class Demo:
    """A running demo whose lines are collected while it prints them."""

    def __init__(self, *options, settings="example_project.settings"):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "example_project.demo", *ANY_PORTS, *options],
            cwd=PROJECT,
            env=dict(os.environ, DJANGO_SETTINGS_MODULE=settings, PYTHONIOENCODING="utf-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self):
        return "\n".join(self.lines)

    def pids(self, name=r"\w+"):
        return [
            int(pid)
            for pid in re.findall(rf"^{name} started.* pid (\d+)$", self.output, re.MULTILINE)
        ]

    def wait_for(self, pattern):
        end = time.monotonic() + LONG
        while not re.search(pattern, self.output, re.MULTILINE):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.05)

    def end(self):
        code = self.process.wait(LONG)
        self.reader.join(LONG)
        return code


@pytest.fixture
def demo():
    started = []

    def start(*options, **settings):
        started.append(Demo(*options, **settings))
        return started[-1]

    yield start
    for one in started:
        one.process.terminate()
        one.end()
        one.process.stdout.close()


def groups_alive(pids):
    return [pid for pid in pids if is_alive(pid)]


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_I9_make_demo_once_ends_with_0(demo, tmp_path):
    ready = tmp_path / "ready.json"
    run = demo("--once", "--ready", str(ready))

    assert run.end() == 0, run.output
    assert "every step was verified" in run.output
    assert "✗" not in run.output
    assert set(json.loads(ready.read_text())) == {
        "shop",
        "admin",
        "user",
        "password",
        "sandbox",
        "key",
    }
    assert groups_alive(run.pids()) == []


def test_I9_worker_killed_in_the_middle(demo):
    run = demo("--once")
    run.wait_for(r"^ +2  ")
    os.killpg(run.pids("worker")[0], signal.SIGKILL)

    assert run.end() == 0, run.output
    assert "worker ended (signal 9)" in run.output
    assert len(run.pids("worker")) == 2
    assert groups_alive(run.pids()) == []


def test_I9_fails_with_receivers_disconnected(demo):
    run = demo("--once", "--patience", "20", settings="tests.demo_without_receivers")

    assert run.end() == 1, run.output
    assert re.search(r"✗ Talon\.One receives an open customer session", run.output), run.output
    assert groups_alive(run.pids()) == []


def test_ctrl_c_leaves_nothing_running(demo, tmp_path):
    ready = tmp_path / "ready.json"
    run = demo("--ready", str(ready))
    run.wait_for(r"^Ctrl-C stops everything")
    addresses = json.loads(ready.read_text())
    for name in ("shop", "admin", "sandbox"):
        assert requests.get(addresses[name], timeout=30).status_code < 500

    run.process.send_signal(signal.SIGINT)

    assert run.end() == 0, run.output
    assert len(run.pids()) == 3, run.output
    assert groups_alive(run.pids()) == []


def test_sigterm_while_it_starts_leaves_nothing_running(demo):
    run = demo("--once")
    run.wait_for(r"^worker started")

    run.process.send_signal(signal.SIGTERM)

    assert run.end() == 130, run.output
    assert groups_alive(run.pids()) == []
