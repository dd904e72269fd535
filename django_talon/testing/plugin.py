"""pytest fixtures: one sandbox per test run, one world per test.

Opt in with ``pytest_plugins = ["django_talon.testing.plugin"]``; needs pytest-django. A test that
breaks a rule fails: a violation, or a 4xx that no fault rule made. ``talon_one_strict = off`` in
the ini file only collects them, and the mark ``@pytest.mark.talon_one(strict=False)`` exempts one
test. ``talon_one = off`` skips the tests that use it. ``talon_one_shared = on`` makes it one
sandbox for all workers of pytest-xdist.

A test that would reach a real Talon.One is stopped before it connects, and fails;
``talon_one_real = on``, or the mark ``talon_one(real=True)``, lets it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from .expect import Expectation
from .guard import guard
from .orders import Json, SandboxControl, WorldClock, WorldFaults
from .remote import RunningSandbox
from .server import SandboxServer

_LAST_CALLS = 20
_SHARED = pytest.StashKey[SandboxServer]()
_URL = "talon_sandbox_url"


class TalonOne:
    """The world of one test, already set in ``settings.TALON_ONE``."""

    def __init__(self, server: SandboxControl, world: str) -> None:
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

    @property
    def clock(self) -> WorldClock:
        """The clock of this world."""
        return self.server.clock(self.world)

    def expect(self, operation: str = "", *, id: str = "", **fields: Any) -> Expectation:  # noqa: A002
        """Return an expectation: ``expect("updateCustomerSessionV2", id=...).times(1)``."""
        return self.server.expect(self.world, operation, id=id, **fields)

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

    def monitors(self, **settings: Any) -> Json:
        """Set what the monitors go by, such as ``off=["overlap"]``."""
        return self.server.monitors(self.world, **settings)

    def revoke(self) -> None:
        """Refuse this world's keys with 401."""
        self.server.revoke(self.world)

    def restore(self) -> None:
        """Accept this world's keys again."""
        self.server.restore(self.world)

    def snapshot(self, name: str) -> None:
        """Keep the state; ``reset("snapshot:<name>")`` comes back to it."""
        self.server.snapshot(self.world, name)

    def reset(self, to: str = "seed", seed: Json | None = None) -> None:
        """Take the world back to the seed, to "empty", a snapshot, or another seed."""
        self.server.reset(self.world, to, seed)

    def export(self) -> Json:
        """Return the world as a campaign file's content, for `reset` or a file."""
        return self.server.export(self.world)

    def broken_rules(self) -> list[str]:
        """Return the violations, and the 4xx answers that no fault rule made."""
        found = [f"{v['monitor']}: {v['details']} (calls {v['calls']})" for v in self.violations()]
        refused = [
            _line(call)
            for call in self.calls()
            if 400 <= (call["status"] or 0) < 500 and not call["faults"]
        ]
        return found + refused


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("talon_one", "off: skip the tests that use the fixture talon_one", "bool", True)
    parser.addini(
        "talon_one_strict", "fail tests with violations or unexpected 4xx answers", "bool", True
    )
    parser.addini("talon_one_shared", "one sandbox for all workers of pytest-xdist", "bool", False)
    parser.addini("talon_one_real", "let tests connect to a real Talon.One", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "talon_one(strict, real): fail on violations and unexpected 4xx; reach the real Talon.One",
    )
    guard.install()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the shared sandbox is, started for the first one."""
    config = node.config
    if not config.getini("talon_one_shared"):
        return
    if _SHARED not in config.stash:
        config.stash[_SHARED] = SandboxServer().start()
    node.workerinput[_URL] = config.stash[_SHARED].url


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SHARED in config.stash:
        config.stash[_SHARED].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the connections of a test, its fixtures included."""
    guard.on, guard.blocked = not _may_be_real(item), []
    try:
        return (yield)
    finally:
        guard.on = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test whose connection was refused, though its code swallowed the error."""
    yield
    if guard.blocked:
        pytest.fail(guard.blocked[0], pytrace=False)


def _may_be_real(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("talon_one")
    default = bool(item.config.getini("talon_one_real"))
    return bool(mark.kwargs.get("real", default)) if mark else default


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what Talon.One received to the report of a test that failed."""
    report = yield
    world = getattr(item, "funcargs", {}).get("talon_one")
    if report.failed and isinstance(world, TalonOne):
        report.sections.append(("talon_one: the last calls", "\n".join(_last_calls(world))))
    return report


def _last_calls(world: TalonOne) -> list[str]:
    return [_line(call) for call in world.calls()[-_LAST_CALLS:]]


def _line(call: Json) -> str:
    said = call["status"] or call["outcome"]
    return f"#{call['index']} {call['method']} {call['path']} -> {said} {call['reason']}".rstrip()


@pytest.fixture(scope="session")
def talon_sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxControl]:
    """Return a sandbox that runs for the whole test session.

    Without ``talon_one_shared`` it is a `SandboxServer`, which can be stopped and started.
    """
    shared = getattr(request.config, "workerinput", {}).get(_URL)
    if shared is not None:
        yield RunningSandbox(shared)
        return
    with SandboxServer() as server:
        yield server


@pytest.fixture
def talon_one(
    talon_sandbox: SandboxControl, settings: Any, request: pytest.FixtureRequest
) -> Iterator[TalonOne]:
    """Return a fresh world; ``settings.TALON_ONE`` points at it for the time of the test."""
    if not _ini(request, "talon_one"):
        pytest.skip("talon_one = off")
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")[:40]
    world = TalonOne(talon_sandbox, f"{name}-{uuid4().hex[:8]}")
    settings.TALON_ONE = pointed(getattr(settings, "TALON_ONE", {}), world)
    yield world
    broken = world.broken_rules() if _is_strict(request) else []
    told = [
        "Talon.One was used against its rules:",
        *broken,
        "the last calls:",
        *_last_calls(world),
    ]
    world.reset()
    if broken:
        pytest.fail("\n".join(told), pytrace=False)


def _ini(request: pytest.FixtureRequest, name: str) -> bool:
    return bool(request.config.getini(name))


def _is_strict(request: pytest.FixtureRequest) -> bool:
    mark = request.node.get_closest_marker("talon_one")
    default = _ini(request, "talon_one_strict")
    return bool(mark.kwargs.get("strict", default)) if mark else default


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
