"""pytest fixtures: one sandbox per test run, one world per test.

Opt in with ``pytest_plugins = ["django_talon.testing.plugin"]``; needs pytest-django.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .server import Json, SandboxServer, WorldFaults


class TalonOne:
    """The world of one test, already set in ``settings.TALON_ONE``."""

    def __init__(self, server: SandboxServer, world: str) -> None:
        self.server = server
        self.world = world

    @property
    def url(self) -> str:
        """The base URL of the sandbox."""
        return self.server.url

    @property
    def key(self) -> str:
        """The API key of this world."""
        return self.server.key(self.world)

    @property
    def faults(self) -> WorldFaults:
        """The fault rules of this world."""
        return self.server.faults(self.world)

    def calls(self, operation: str | None = None) -> list[Json]:
        """Return what Talon.One received, in order."""
        return self.server.calls(self.world, operation)

    def wait_for_calls(
        self, operation: str | None = None, *, count: int = 1, within: float = 10
    ) -> list[Json]:
        """Return the calls once there are ``count`` finished ones; fail after so many seconds."""
        return self.server.wait_for_calls(self.world, operation, count=count, within=within)

    def wait_until_parked(self, name: str, *, within: float = 10) -> Json:
        """Return the call that is parked under this name; fail after so many seconds."""
        return self.server.wait_until_parked(self.world, name, within=within)

    def release(self, name: str) -> int:
        """Let the calls parked under this name go on; return how many."""
        return self.server.release(name)

    def state(self, application: str = "default") -> Json:
        """Return profiles, sessions, coupons, referrals and events."""
        return self.server.state(self.world, application)

    def violations(self) -> list[Json]:
        """Return what the monitors found."""
        return self.server.violations(self.world)

    def revoke(self) -> None:
        """Refuse this world's keys with 401."""
        self.server.revoke(self.world)

    def restore(self) -> None:
        """Accept this world's keys again."""
        self.server.restore(self.world)

    def reset(self) -> None:
        """Take the world back to the seed."""
        self.server.reset(self.world)


@pytest.fixture(scope="session")
def talon_sandbox() -> Iterator[SandboxServer]:
    """Return a sandbox that runs for the whole test session."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def talon_one(
    talon_sandbox: SandboxServer, settings: Any, request: pytest.FixtureRequest
) -> Iterator[TalonOne]:
    """Return a fresh world; ``settings.TALON_ONE`` points at it for the time of the test."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")[:40]
    world = TalonOne(talon_sandbox, f"{name}-{uuid4().hex[:8]}")
    settings.TALON_ONE = pointed(getattr(settings, "TALON_ONE", {}), world)
    yield world
    world.reset()


def pointed(configured: Json, world: TalonOne) -> Json:
    """Return the setting with the addresses and keys of all its applications replaced."""
    here = {"BASE_URL": world.url}
    if "APPLICATIONS" not in configured:
        return {**configured, **here, "API_KEY": world.key}
    applications = {
        alias: {**one, **here, "API_KEY": world.server.key(world.world, _named(alias))}
        for alias, one in configured["APPLICATIONS"].items()
    }
    return {**configured, "APPLICATIONS": applications}


def _named(alias: str) -> str:
    return "" if alias == "default" else alias
