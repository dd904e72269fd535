"""Fixtures that every part of the suite shares."""

from __future__ import annotations

from collections.abc import Iterator

import celery
import pytest
from django.db import connections

from django_talon.outbox import endpoint
from django_talon.signals import pre_send

pytest_plugins = ["django_talon.testing.plugin"]

# A broker that needs no server: what is rung here wakes nobody; tests call drain().
celery.current_app.conf.broker_url = "memory://"


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
        if guarded and not dry and connections["default"].in_atomic_block:
            seen.append(operation)

    pre_send.connect(note, weak=False)
    yield
    pre_send.disconnect(note)
    assert not seen, f"called inside a transaction: {seen}"


@pytest.fixture(autouse=True)
def fresh_clients() -> Iterator[None]:
    """Let no connection of one test's server live on in the next test."""
    yield
    endpoint._clients.clear()
