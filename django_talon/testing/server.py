"""The sandbox in a thread of the test process, on a real socket."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlencode

from django_talon.sandbox import control, wire
from django_talon.sandbox.doors.socket_server import SocketServer
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

Json = dict[str, Any]


class SandboxServer:
    """A sandbox on a free port of this machine; ``stop()`` then ``start()`` keeps port and state.

    Worlds are named; ``key(world)`` is the API key that opens one. Money in what the methods
    return is ``Decimal``.
    """

    def __init__(
        self, seed: str = "demo", *, port: int = 0, host: str = "127.0.0.1", loose: bool = False
    ) -> None:
        self._door = SocketServer(Sandbox(load(seed), loose=loose), host, port)

    @property
    def url(self) -> str:
        """The base URL."""
        return self._door.url

    def start(self) -> SandboxServer:
        """Listen; the second time on the same port as before."""
        self._door.start()
        return self

    def stop(self) -> None:
        """Close the port and all connections, as a server that is down."""
        self._door.stop()

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def key(self, world: str, application: str = "") -> str:
        """Return the API key of a world, or of one of its further applications."""
        return f"sbx-{world}.{application}" if application else f"sbx-{world}"

    def journal(self, world: str, since: int = 0) -> list[Json]:
        """Return every call of a world in order, with body and answer."""
        entries: list[Json] = self._control("GET", "/journal", world=world, since=str(since))
        return entries

    def calls(self, world: str, operation: str | None = None) -> list[Json]:
        """Return the calls of a world to one operation, or to all."""
        found = self.journal(world)
        return [entry for entry in found if operation in (None, entry["operation"])]

    def wait_for_calls(
        self, world: str, operation: str | None = None, *, count: int = 1, within: float = 10
    ) -> list[Json]:
        """Return the calls once there are ``count`` finished ones; fail after so many seconds."""
        deadline = time.monotonic() + within
        while True:
            found = [entry for entry in self.calls(world, operation) if entry["ended"]]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                seen = [(e["operation"], e["status"], e["outcome"]) for e in self.journal(world)]
                raise AssertionError(f"{len(found)} of {count} {operation}; the journal: {seen}")
            time.sleep(0.02)

    def wait_until_parked(self, world: str, name: str, *, within: float = 10) -> Json:
        """Return the call that is parked under this name; fail after so many seconds."""
        deadline = time.monotonic() + within
        while True:
            for entry in self.journal(world):
                if entry["parked"] == name:
                    return entry
            if time.monotonic() > deadline:
                raise AssertionError(f"no call is parked under {name!r}")
            time.sleep(0.02)

    def reset(self, world: str) -> None:
        """Take a world back to the seed, with its faults, journal and violations."""
        self._control("POST", "/reset", {"world": world})

    def faults(self, world: str) -> WorldFaults:
        """Return the fault rules of a world."""
        return WorldFaults(self, world)

    def state(self, world: str, application: str = "default") -> Json:
        """Return profiles, sessions, coupons, referrals and events of a world."""
        found: Json = self._control("GET", "/state", world=world, application=application)
        return found

    def revoke(self, world: str) -> None:
        """Refuse the keys of a world with 401."""
        self._control("POST", f"/keys/{quote(world)}/revoke", {})

    def restore(self, world: str) -> None:
        """Accept the keys of a world again."""
        self._control("POST", f"/keys/{quote(world)}/restore", {})

    def release(self, name: str) -> int:
        """Let the calls parked under this name go on; return how many."""
        released: int = self._control("POST", "/release", {"name": name})["released"]
        return released

    def violations(self, world: str) -> list[Json]:
        """Return what the monitors found: overlaps, writes after erasure, edits after close."""
        found: list[Json] = self._control("GET", "/violations", world=world)
        return found

    def _control(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        target = f"{control.PREFIX}{path}?{urlencode(query)}"
        sent = b"" if body is None else wire.encode(body)
        answer = control.handle(self._door.sandbox, wire.Request(method, target, {}, sent))
        said: Any = wire.decode(answer.body) if answer.body else None
        if answer.status >= 400:
            raise ValueError(said["message"])
        return said


class WorldFaults:
    """The fault rules of one world."""

    def __init__(self, server: SandboxServer, world: str) -> None:
        self._server = server
        self._world = world

    def add(
        self,
        operation: str | None = None,
        *,
        do: Json | None = None,
        phase: str = "before_apply",
        when: Json | None = None,
        match: Json | None = None,
        **more: Any,
    ) -> Json:
        """Add a rule: what to do to which calls, and in which phase (see SANDBOX.md).

        ``operation`` is short for ``match={"operation": ...}``. Raise ValueError for a rule
        that is malformed.
        """
        matched = {**(match or {}), **({"operation": operation} if operation else {})}
        rule: Json = {"world": self._world, "match": matched, "when": when or {}, "phase": phase}
        if do is not None:
            rule["do"] = do
        added: Json = self._server._control("POST", "/faults", {**rule, **more})
        return added

    def list(self) -> list[Json]:
        """Return the rules with how many calls each has matched and hit."""
        found: list[Json] = self._server._control("GET", "/faults", world=self._world)
        return found

    def clear(self) -> None:
        """Remove all rules of the world."""
        self._server._control("DELETE", "/faults", world=self._world)
