"""Real processes on the test's own database, and the services they talk to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection

from tests import guards

REDIS = os.environ.get("TALON_TEST_REDIS", "redis://127.0.0.1:6379/9")
RABBITMQ = os.environ.get("TALON_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


def answers(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname, parts.port)) == 0


@pytest.fixture(params=[pytest.param(REDIS, id="redis"), pytest.param(RABBITMQ, id="rabbitmq")])
def broker(request: pytest.FixtureRequest) -> str:
    if not answers(request.param):
        pytest.skip(f"needs a broker at {request.param.split('@')[-1]}")
    return request.param


class Processes:
    """Starts Python processes of the test's shop, each in its own group."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **self.environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def script(self, text: str, **environment: str) -> subprocess.Popen[str]:
        """Run Python code in which Django is set up."""
        head = "import django; django.setup()\n"
        return self.start("-c", head + textwrap.dedent(text), **environment)

    def relay(self, **environment: str) -> subprocess.Popen[str]:
        return self.start("-m", "django", "talon_relay", **environment)

    def environment(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TALON_TEST_GUARDED": "yes",
            "TALON_TEST_NAME": str(connection.settings_dict["NAME"]),
            "TALON_TEST_TALON_ONE": json.dumps(django_settings.TALON_ONE),
        }

    def kill(self, process: subprocess.Popen[str], how: int = signal.SIGKILL) -> int:
        """Send a signal to the whole group, and wait for its end."""
        os.killpg(process.pid, how)
        return process.wait(timeout=60)


@pytest.fixture
def processes(transactional_db: None) -> Iterator[Processes]:
    started = Processes()
    yield started
    for process in started.running:
        if process.poll() is None:
            started.kill(process)
    said = [process.stdout.read() for process in started.running if process.stdout is not None]
    print(*said, sep="\n")
    for process in started.running:
        if process.stdout is not None:
            process.stdout.close()
    assert not [text for text in said if guards.seen_in(text) or guards.Guarded.SAYS in text]


@pytest.fixture
def talon(talon_one: Any, settings: Any) -> Any:
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0, "HOLD": 1, "LEASE": 4, "DEADLINE": 2}
    return talon_one
