"""Servers, proxies and workers that a fault test may break; see the docstring of the package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from kombu import Connection

from tests.helpers import wait_for
from tests.services.conftest import RABBITMQ, Processes, answers
from tests.services.faults.proxy import Proxy

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def only_on_its_databases(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("databases")
    engine = django_settings.DATABASES["default"]["ENGINE"].rsplit(".", 1)[-1]
    engine = "sqlite" if engine == "sqlite3" else engine
    if mark is not None and engine not in mark.args:
        pytest.skip(f"about {' and '.join(mark.args)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Redis:
    """A Redis server of the test's own, on its own port."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Redis:
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        wait_for(lambda: answers(self.url))
        return self

    def stop(self) -> None:
        """End it as a crash does: what it held is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None


@pytest.fixture
def redis(tmp_path: Any) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    server = Redis(str(tmp_path)).start()
    yield server
    server.stop()


@pytest.fixture
def proxy() -> Iterator[Callable[[str], tuple[Proxy, str]]]:
    """Put a proxy in front of a URL: returns it, and the URL that leads through it."""
    started: list[Proxy] = []

    def make(url: str) -> tuple[Proxy, str]:
        parts = urlsplit(url)
        made = Proxy(str(parts.hostname), int(parts.port or 80)).start()
        started.append(made)
        netloc = parts.netloc.replace(f":{parts.port}", f":{made.port}")
        netloc = netloc.replace(str(parts.hostname), "127.0.0.1")
        return made, parts._replace(netloc=netloc).geturl()

    yield make
    for one in started:
        one.thaw()
        one.stop()


@pytest.fixture
def queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the test's processes a queue of their own; RabbitMQ is shared with other tests."""
    name = f"talon-{os.getpid()}-{abs(hash(request.node.nodeid)) % 10**8}"
    monkeypatch.setenv("TALON_TEST_QUEUE", name)
    return name


@pytest.fixture
def rabbitmq(queue: str) -> Iterator[str]:
    """Return the URL of a real RabbitMQ, on which the test has a queue of its own."""
    if not answers(RABBITMQ):
        pytest.skip(f"needs a broker at {RABBITMQ.split('@')[-1]}")
    yield RABBITMQ
    with Connection(RABBITMQ) as connection:
        connection.default_channel.queue_delete(queue)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    """Return the URL of each kind of broker, with nothing in its queue."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, str) else str(found.url)


CELERY = ("-m", "celery", "-A", "tests.celery_app")


@pytest.fixture
def worker(processes: Processes) -> Start:
    """Start a real Celery worker: ``worker(url, pool="prefork")``."""

    def start(
        url: str, pool: str = "threads", *more: str, **environment: str
    ) -> subprocess.Popen[str]:
        options = ("worker", "--pool", pool, "--concurrency", "2", "--without-gossip")
        return processes.start(
            *CELERY, *options, "--without-mingle", *more, TALON_TEST_BROKER=url, **environment
        )

    return start


@pytest.fixture
def beat(processes: Processes, tmp_path: Any) -> Start:
    """Start a real Celery beat with the package's own schedule."""

    def start(url: str) -> subprocess.Popen[str]:
        number = len(list(tmp_path.glob("beat*")))
        file = tmp_path / f"beat{number}"
        file.mkdir()
        return processes.start(*CELERY, "beat", "-s", str(file / "s"), TALON_TEST_BROKER=url)

    return start


@pytest.fixture
def relay(processes: Processes) -> Start:
    """Start ``manage.py talon_relay``."""
    return processes.relay


@pytest.fixture
def entry(processes: Processes) -> Start:
    """Start an entry of ``entries.py``: ``entry("skewed", "3600", "talon_relay")``."""

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        return processes.start("-m", "tests.services.faults.entries", *arguments, **environment)

    return start
