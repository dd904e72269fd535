"""The doorbell: one thread per process, which never holds up what rings it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.test import override_settings

from django_talon.outbox import wake

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], Any], within: float = 20) -> None:
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "not in time"
        time.sleep(0.01)


class Exchange:
    """Stands in front of the broker: counts what is published, and can hold it up or fail."""

    def __init__(self) -> None:
        self.count = 0
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def publish(self) -> None:
        self.count += 1
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    found = Exchange()
    wake._bell.flush(20)  # what tests before this one have rung is not counted
    monkeypatch.setattr(wake, "publish", found.publish)
    yield found
    found.open.set()


def test_a_ring_is_published_once(exchange: Exchange):
    bell = wake.Bell()
    bell.ring()
    assert bell.flush(20)
    assert exchange.count == 1


def test_rings_while_one_is_on_its_way_are_one_more(exchange: Exchange):
    bell = wake.Bell()
    exchange.open.clear()
    bell.ring()
    wait_until(lambda: exchange.count == 1)
    for _ in range(1000):
        bell.ring()
    assert not bell.flush(0.01)
    exchange.open.set()
    wait_until(lambda: exchange.count == 2)
    assert bell.flush(20)
    time.sleep(2 * wake.INTERVAL)
    assert exchange.count == 2


def test_ringing_does_not_wait_for_a_silent_broker(exchange: Exchange):
    bell = wake.Bell()
    exchange.open.clear()
    for _ in range(100):
        bell.ring()
    wait_until(lambda: exchange.count == 1)
    assert not bell.flush(0)


def test_one_thread_however_many_ring_at_once(exchange: Exchange):
    bell = wake.Bell()
    before = threading.active_count()
    start = threading.Barrier(8)

    def ring() -> None:
        start.wait()
        bell.ring()

    threads = [threading.Thread(target=ring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threading.active_count() == before + 1
    assert bell.flush(20)
    assert bell._thread is not None
    assert bell._thread.daemon


def test_what_the_broker_raises_is_logged_once_a_minute(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    now = 1000.0
    monkeypatch.setattr(wake.time, "monotonic", lambda: now)
    exchange.error = ConnectionRefusedError("amqp://user:password@broker")
    bell = wake.Bell()
    with caplog.at_level(logging.WARNING, logger="django_talon"):
        for now in (1000.0, 1030.0, 1059.0, 1061.0):  # noqa: B007
            bell._publish()
    told = (
        "The Celery broker did not take a wake-up (ConnectionRefusedError). Nothing is lost: the"
        " sweep or talon_relay delivers what waits."
    )
    assert [record.getMessage() for record in caplog.records] == [told, told]
    exchange.error = None
    bell.ring()
    assert bell.flush(20)
    assert exchange.count == 5


def test_the_first_failure_is_logged_on_a_machine_that_has_just_started(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wake.time, "monotonic", lambda: 12.0)
    exchange.error = OSError()
    with caplog.at_level(logging.WARNING, logger="django_talon"):
        wake.Bell()._publish()
    assert len(caplog.records) == 1


def test_the_message_is_empty_late_and_perishable():
    with override_settings(TALON_ONE={"DEBOUNCE": 2}), current_app.connection() as connection:
        name = current_app.conf.task_default_queue
        channel = connection.default_channel
        queue = current_app.amqp.queues[name].bind(channel)
        queue.declare()
        queue.purge()
        wake.publish()
        message = queue.get(no_ack=True)
        assert queue.get() is None
    assert message is not None
    assert message.headers["task"] == "django_talon.tasks.deliver"
    assert message.payload[:2] == [[], {}]
    assert message.headers["eta"] < message.headers["expires"]
    assert message.headers["ignore_result"] is True


CHILD = """
import os, sys, threading, time, types
from django.conf import settings
settings.configure(TALON_ONE={})
import django_talon
# The modules beside it need a project with models; the bell does not.
package = types.ModuleType("django_talon.outbox")
package.__path__ = [os.path.join(os.path.dirname(django_talon.__file__), "outbox")]
sys.modules["django_talon.outbox"] = package
from django_talon.outbox import wake
wake.publish = lambda: os.write(1, f"{os.getpid()}\\n".encode())
"""


def run(code: str) -> list[str]:
    done = subprocess.run(
        # Python 3.12 warns of every fork while there is a thread; that is what is tried here.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CHILD + code],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_gets_a_thread_of_its_own():
    """As under gunicorn --preload or Celery's prefork pool."""
    pids = run(
        """
wake.ring()
assert wake._bell.flush(20)
child = os.fork()
if child == 0:
    wake.ring()
    os._exit(0 if wake._bell.flush(20) else 1)
assert os.waitpid(child, 0)[1] == 0
print(os.getpid(), child, flush=True)
"""
    )
    parent, child = pids[-2:]
    assert pids[:-2] == [parent, child]


def test_the_last_ring_of_a_process_leaves_before_it_ends():
    assert len(run("wake.ring()")) == 1


def test_a_process_that_ends_does_not_wait_for_a_silent_broker():
    assert run("wake.publish = lambda: time.sleep(3600)\nwake.ring()") == []


def test_a_process_that_never_rang_has_no_thread():
    assert run("print(threading.active_count())") == ["1"]


def test_what_was_put_off_wakes_a_worker_for_the_first_and_for_the_last_of_it():
    snooze = wake.Snooze()
    assert snooze.take() is None
    for seconds in (0.9, 0.3, 0.6, wake.LONGEST_SNOOZE + 1):
        snooze.note(seconds)
    first, last = snooze.take(), snooze.take()
    assert first is not None
    assert last is not None
    assert 0 < first <= 0.3 + wake.MARGIN < last <= 0.9 + wake.MARGIN
    assert snooze.take() is None


def test_a_broker_in_trouble_does_not_fail_the_task(monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []

    def refuse(countdown: float) -> None:
        asked.append(countdown)
        raise ConnectionError

    monkeypatch.setattr(wake, "publish", refuse)
    wake.snooze.note(0.5)
    wake.come_back()
    wake.come_back()
    assert len(asked) == 1
