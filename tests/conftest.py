"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import celery
import pytest

from django_talon.outbox import endpoint
from django_talon.signals import pre_send
from tests import emptying, guards

pytest_plugins = ["django_talon.testing.plugin"]

emptying.install()

# A broker that needs no server: what is rung here wakes nobody; tests call drain().
celery.current_app.conf.broker_url = "memory://"


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket may be bound or connected while the test runs."""

    def refuse(*_: object) -> None:
        raise AssertionError("this test must need no socket")

    for name in ("bind", "connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture(autouse=True)
def no_call_inside_a_transaction(request: pytest.FixtureRequest) -> Iterator[None]:
    """The guard of the whole suite: no HTTP while a transaction is open, but dry questions.

    Tests that run inside Django's own test transaction are exempt: there it is
    always open.
    """
    marker = request.node.get_closest_marker("django_db")
    guarded = marker is not None and marker.kwargs.get("transaction")
    seen: list[str] = []

    def note(operation: str, dry: bool, **_: object) -> None:
        if guarded and not dry and guards.is_in_transaction():
            seen.append(operation)

    pre_send.connect(note, weak=False)
    yield
    pre_send.disconnect(note)
    assert not seen, f"called inside a transaction: {seen}"


@pytest.fixture(autouse=True)
def nothing_secret_is_told(request: pytest.FixtureRequest) -> Iterator[None]:
    """The other guard of the whole suite: no API key and no personal data in logs and rows."""
    marker = request.node.get_closest_marker("django_db")
    if marker is not None:  # so that the rows are still there when this looks at them
        request.getfixturevalue("transactional_db" if marker.kwargs.get("transaction") else "db")
    records = guards.Records()
    loggers = [logging.getLogger(name) for name in ("", *guards.LOGGERS)]
    levels = [logger.level for logger in loggers]
    for logger in loggers[1:]:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(records)
    yield
    loggers[0].removeHandler(records)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    shown = [*records.bad, *(guards.bad_rows() if marker is not None else ())]
    assert not shown, f"secret or personal: {shown}"


@pytest.fixture(autouse=True)
def fresh_clients() -> Iterator[None]:
    """Let no connection of one test's server live on in the next test."""
    yield
    endpoint._clients.clear()
