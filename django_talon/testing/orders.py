"""What a test may order of a sandbox, wherever that runs: worlds, faults, clock, journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .expect import Expectation

Json = dict[str, Any]
_ONE_POLL = 30.0
_NEVER = str(10**11)


class SandboxControl:
    """The control calls of a sandbox as methods, each about a world by its name."""

    @property
    def url(self) -> str:
        """The base URL."""
        raise NotImplementedError

    def _ask(
        self, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[Any, Mapping[str, str]]:
        """Return what a control call says, and its headers; raise ValueError if refused."""
        raise NotImplementedError

    def _control(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        return self._ask(method, path, body, **query)[0]

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
        _, headers = self._ask("GET", "/journal", world=world, since=_NEVER)
        return int(headers["X-Sandbox-Dropped"])

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

    def export(self, world: str) -> Json:
        """Return a world as a campaign file's content, for ``reset(world, seed=...)`` or a file."""
        content: Json = self._control("GET", "/export", world=world)
        return content

    def state_hash(self, world: str) -> str:
        """Return the hash of a world's state: equal states have equal ones."""
        return self._ask("GET", "/export", world=world)[1]["X-Sandbox-State"]

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


class WorldClock:
    """The clock of one world."""

    def __init__(self, server: SandboxControl, world: str) -> None:
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

    def __init__(self, server: SandboxControl, world: str) -> None:
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
