"""Expectations that wait: how often Talon.One was called, with what, in which order."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .orders import SandboxControl

Json = dict[str, Any]
_NEAREST = 3
_POLL = 5.0


class Expectation:
    """Calls of one world to an operation, about a session or profile, with given content.

    ``fields`` are those of the journal (``status=200``, ``applied=True``); ``body`` and
    ``answer`` need only hold what is named: ``body={"customerSession": {"state": "closed"}}``.
    ``items`` is short for the cart items of a session update.
    """

    def __init__(
        self, server: SandboxControl, world: str, operation: str, subject: str, fields: Json
    ) -> None:
        self._server, self._world = server, world
        self._operation, self._subject = operation, subject
        self._fields = dict(fields)
        if "items" in self._fields:
            items = self._fields.pop("items")
            wanted = {"customerSession": {"cartItems": items}}
            self._fields["body"] = {**self._fields.get("body", {}), **wanted}

    def times(self, count: int, *, within: float = 10) -> list[Json]:
        """Return the calls once there are exactly so many; fail if there are not in time."""
        found = self._wait(count, within)
        if len(found) != count:
            raise AssertionError(self._report(f"{count} calls", found, within))
        return found

    def once(self, *, within: float = 10) -> Json:
        """Return the one call; fail if there is none or another in time."""
        return self.times(1, within=within)[0]

    def none(self, *, within: float = 1) -> None:
        """Fail if there is such a call before the time is over."""
        found = self._wait(1, within)
        if found:
            raise AssertionError(self._report("no call", found, within))

    def sequence(self, wanted: Sequence[str | Json], *, within: float = 10) -> list[Json]:
        """Return the calls once they are these, in order.

        A wanted one is an operation, or fields that the call must have.
        """
        ends = time.monotonic() + within
        steps = [{"operation": step} if isinstance(step, str) else step for step in wanted]
        while True:
            left = max(0.0, ends - time.monotonic())
            found = self._wait(len(steps), left)
            if len(found) == len(steps) and all(map(_holds, found, steps)):
                return found
            if left <= 0 or len(found) >= len(steps):
                raise AssertionError(self._told(steps, found, within))

    def _wait(self, count: int, within: float) -> list[Json]:
        """Return the finished calls once there are so many that match, or in the end."""
        ends, seen = time.monotonic() + within, 0
        while True:
            found = [entry for entry in self._calls(seen, ends) if self._matches(entry)]
            left = ends - time.monotonic()
            if len(found) >= count or left <= 0:
                return found
            seen = len(self._finished())

    def _calls(self, seen: int, ends: float) -> list[Json]:
        """Return the finished calls, waiting for one more than seen."""
        wait = round(min(max(0.0, ends - time.monotonic()), _POLL), 6)
        self._server.journal(
            self._world, wait=wait, count=seen + 1, operation=self._operation, id=self._subject
        )
        return self._finished()

    def _finished(self) -> list[Json]:
        entries = self._server.journal(self._world, operation=self._operation, id=self._subject)
        return [entry for entry in entries if entry["ended"]]

    def _matches(self, entry: Json) -> bool:
        return _holds(entry, self._fields)

    def _report(self, wanted: str, found: list[Json], within: float) -> str:
        lines = [f"expected {wanted} {self._named()} within {within} s, found {len(found)}"]
        others = self._nearest()
        if not found and others:
            lines.append(f"the nearest {len(others)}:")
        for entry in found[:_NEAREST] or others:
            lines += [_line(entry), *_diff(self._fields, entry)]
        return "\n".join([*lines, self._dropped()])

    def _told(self, steps: list[Json], found: list[Json], within: float) -> str:
        lines = [f"expected a sequence of {len(steps)} within {within} s, found {len(found)}"]
        lines += [f"  found: {_line(entry)}" for entry in found]
        for number, step in enumerate(steps):
            entry = found[number] if number < len(found) else None
            if entry is None:
                lines.append(f"  missing: {step}")
            elif not _holds(entry, step):
                lines += [f"  at {number}: {_line(entry)}", *_diff(step, entry)]
        return "\n".join([*lines, self._dropped()])

    def _named(self) -> str:
        about = f" about {self._subject!r}" if self._subject else ""
        return f"to {self._operation or 'any operation'}{about}"

    def _nearest(self) -> list[Json]:
        """Return the calls that have most in common with what was expected."""

        def distance(entry: Json) -> tuple[bool, bool, int]:
            named = [entry["sessionId"], entry["profileId"]]
            return (
                entry["operation"] != self._operation,
                bool(self._subject) and self._subject not in named,
                len(_diff(self._fields, entry)),
            )

        return sorted(self._server.journal(self._world), key=distance)[:_NEAREST]

    def _dropped(self) -> str:
        return f"(the journal has dropped {self._server.dropped(self._world)} calls)"


def _holds(found: Any, wanted: Any) -> bool:
    """Say whether all that is wanted is there; lists must have the same length."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and _holds(found[name], entry) for name, entry in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(map(_holds, found, wanted))
    if isinstance(wanted, float):
        return bool(found == Decimal(str(wanted)))
    return bool(found == wanted)


def _part(found: Any, wanted: Any) -> Any:
    """Return of what was found only the parts that were asked for."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {name: _part(found.get(name), entry) for name, entry in wanted.items()}
    if isinstance(wanted, list | tuple) and isinstance(found, list):
        pairs = [_part(entry, wanted[n]) for n, entry in enumerate(found) if n < len(wanted)]
        return pairs + found[len(wanted) :]
    return found


def _diff(wanted: Json, entry: Json) -> list[str]:
    before, after = _lines(wanted), _lines(_part(entry, wanted))
    diff = difflib.unified_diff(before, after, "expected", "found", lineterm="", n=2)
    return [f"    {line}" for line in diff]


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, default=str).splitlines()


def _line(entry: Json) -> str:
    subject = entry["sessionId"] or entry["profileId"]
    said = entry["status"] or entry["outcome"]
    return f"  #{entry['index']} {entry['operation'] or entry['path']} {subject} -> {said}"
