"""The sandbox in a thread of the test process, on a real socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from django_talon.sandbox import control, gate, tls, wire
from django_talon.sandbox.doors.socket_server import SocketServer
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

from .expect import Expectation

Json = dict[str, Any]
_ONE_POLL = 30.0


class Secure(NamedTuple):
    """A TLS port: its base URL, and the certificate that a client may trust."""

    url: str
    certificate: Path


class SandboxServer:
    """A sandbox on a free port of this machine; ``stop()`` then ``start()`` keeps port and state.

    Worlds are named; ``key(world)`` is the API key that opens one. Money in what the methods
    return is ``Decimal``. ``dialect`` is both, current or 2020; further options (``loose``,
    ``clock``, ``rules``, ``signers``) are those of `django_talon.sandbox.service.Sandbox`.
    """

    def __init__(
        self,
        seed: str = "demo",
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        dialect: str | None = None,
        **options: Any,
    ) -> None:
        self.sandbox = Sandbox(load(seed, dialect), **options)
        self._door = SocketServer(self.sandbox, host, port)

    @property
    def url(self) -> str:
        """The base URL."""
        return self._door.url

    def start(self) -> SandboxServer:
        """Listen; the second time on the same port as before. Ends a `blackhole`."""
        if self.sandbox.gate.mode != gate.OPEN:
            self.sandbox.gate.turn(gate.OPEN)
        self._door.start()
        return self

    def stop(self) -> None:
        """Close the port and all connections, as a server that is down."""
        self._door.stop()

    def blackhole(self) -> None:
        """Accept connections and never read from them, until `start`."""
        self.sandbox.gate.turn(gate.SWALLOWING)

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.start()
        self.stop()

    @contextmanager
    def secure(self, kind: str = "self-signed") -> Iterator[Secure]:
        """Open a TLS port to the same worlds: self-signed, expired, wrong-host or cut."""
        with tempfile.TemporaryDirectory() as folder:
            context, certificate = tls.context(kind, Path(folder))
            door = SocketServer(self.sandbox, self._door.host, tls=context)
            door.start()
            try:
                yield Secure(door.url, certificate)
            finally:
                door.stop()

    def key(self, world: str, application: str = "") -> str:
        """Return the API key of a world, or of one of its further applications."""
        return f"sbx-{world}.{application}" if application else f"sbx-{world}"

    def journal(self, world: str, since: int = 0, **query: Any) -> list[Json]:
        """Return every call of a world in order, with body and answer.

        ``wait=5, count=2, operation=..., id=...`` waits up to 5 seconds for two finished calls.
        """
        told = {name: str(value) for name, value in query.items()}
        entries: list[Json] = self._control(
            "GET", "/journal", world=world, since=str(since), **told
        )
        return entries

    def dropped(self, world: str) -> int:
        """Return how many of the oldest calls the journal no longer holds."""
        return self.sandbox.rooms.enter(world).journal.dropped

    def calls(self, world: str, operation: str | None = None) -> list[Json]:
        """Return the calls of a world to one operation, or to all."""
        found = self.journal(world)
        return [entry for entry in found if operation in (None, entry["operation"])]

    def expect(
        self,
        world: str,
        operation: str = "",
        *,
        id: str = "",  # noqa: A002 - as the shop reads it
        **fields: Any,
    ) -> Expectation:
        """Return an expectation about the calls of a world; see `Expectation`."""
        return Expectation(self, world, operation, id, fields)

    def wait_for_calls(
        self, world: str, operation: str | None = None, *, count: int = 1, within: float = 10
    ) -> list[Json]:
        """Return the calls once there are ``count`` finished ones; fail after so many seconds."""
        wanted = operation or ""
        entries = self.journal(world, wait=min(within, _ONE_POLL), count=count, operation=wanted)
        found = [
            entry for entry in entries if entry["ended"] and wanted in ("", entry["operation"])
        ]
        if len(found) < count:
            seen = [(e["operation"], e["status"], e["outcome"]) for e in self.journal(world)]
            raise AssertionError(f"{len(found)} of {count} {operation}; the journal: {seen}")
        return found

    def wait_until_parked(self, world: str, name: str, *, within: float = 10) -> Json:
        """Return the call that is parked under this name; fail after so many seconds."""
        for entry in self.journal(world, wait=min(within, _ONE_POLL), parked=name):
            if entry["parked"] == name:
                return entry
        raise AssertionError(f"no call is parked under {name!r}")

    def reset(self, world: str, to: str = "seed", seed: Json | None = None) -> None:
        """Take a world back to the seed, with its faults, clock, journal and violations.

        ``to`` may be ``"empty"``, ``"seed:demo"`` or ``"snapshot:<name>"``; ``seed`` is a
        campaign file's content to go on with.
        """
        order: Json = {"world": world, "to": to}
        self._control("POST", "/reset", order if seed is None else {**order, "seed": seed})

    def snapshot(self, world: str, name: str) -> None:
        """Keep the state of a world; ``reset(world, "snapshot:<name>")`` comes back to it."""
        self._control("POST", f"/snapshots/{quote(name)}", {"world": world})

    def faults(self, world: str) -> WorldFaults:
        """Return the fault rules of a world."""
        return WorldFaults(self, world)

    def clock(self, world: str) -> WorldClock:
        """Return the clock of a world."""
        return WorldClock(self, world)

    def monitors(self, world: str, **settings: Any) -> Json:
        """Set what the monitors of a world go by, such as ``off=["overlap"]``; see SANDBOX.md."""
        shown: Json = self._control("POST", "/monitors", {"world": world, **settings})
        return shown

    def state(self, world: str, application: str = "default") -> Json:
        """Return profiles, sessions, coupons, referrals and events of a world."""
        found: Json = self._control("GET", "/state", world=world, application=application)
        return found

    def revoke(self, world: str) -> None:
        """Refuse the keys of a world with 401."""
        self._order_key(world, "revoke")

    def restore(self, world: str) -> None:
        """Accept the keys of a world again."""
        self._order_key(world, "restore")

    def expire(self, world: str, at: str) -> None:
        """Refuse the keys of a world from a time on (RFC 3339, by the clock of the world)."""
        self._order_key(world, "expire", {"at": at})

    def rotate(self, world: str) -> str:
        """Refuse the old keys of a world; return what new ones have at their end."""
        suffix: str = self._order_key(world, "rotate")["suffix"]
        return suffix

    def _order_key(self, world: str, action: str, body: Json | None = None) -> Json:
        shown: Json = self._control("POST", f"/keys/{quote(world)}/{action}", body or {})
        return shown

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
        answer = control.handle(self.sandbox, wire.Request(method, target, {}, sent))
        said: Any = wire.decode(answer.body) if answer.body else None
        if answer.status >= 400:
            raise ValueError(said["message"])
        return said


class WorldClock:
    """The clock of one world."""

    def __init__(self, server: SandboxServer, world: str) -> None:
        self._server = server
        self._world = world

    @property
    def now(self) -> str:
        """The time, RFC 3339 in UTC."""
        now: str = self._server._control("GET", "/clock", world=self._world)["now"]
        return now

    def freeze(self, at: str = "now") -> None:
        """Stand still at a time (RFC 3339), or where the clock is."""
        self._order({"freeze": at})

    def advance(self, seconds: float) -> None:
        """Move on; delays, limits and validities follow at once."""
        self._order({"advance": seconds})

    def run(self) -> None:
        """Run on from the time it is."""
        self._order({"run": True})

    def _order(self, order: Json) -> None:
        self._server._control("POST", "/clock", {"world": self._world, **order})


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
