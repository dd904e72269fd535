"""What the demo prints: one block per step, what was done, what arrived, what was checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from example_project.demo.journal import Call, Journal, as_told


class MismatchError(Exception):
    """Something was not as it should be; the report has said what."""


class Step:
    """One step of the journey. Everything asked of it is printed, then insisted upon."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since = len(journal.calls())
        self._acted_at = time.time()

    def did(self, what: str) -> None:
        say(f"      shop       {what}")

    def now(self) -> None:
        """Start the clock: what arrives is timed from here."""
        self._acted_at = time.time()

    def arrives(self, what: str, *, since: int | None = None, **expected: Any) -> Call:
        """Wait for the call that tells exactly this (see `Journal.wait`) and print it.

        Calls count from the beginning of the step, or from the one numbered ``since``.
        """
        since = self._since if since is None else since
        call = self._journal.wait(expected, since)
        if call is None:
            seen = [as_told(call) for call in self._journal.calls()[since:]]
            self._fail(f"Talon.One receives {what}", expected, seen or "no call")
        _print_call(call, call.started - self._acted_at)
        self._tick(f"Talon.One receives {what}")
        return call

    def check(self, what: str, expected: Any, got: Any) -> None:
        if expected != got:
            self._fail(what, expected, got)
        shown = "" if got is True else f": {got}"
        self._tick(f"{what}{shown}")

    def _tick(self, what: str) -> None:
        say(f"      {_mark(True)} {what}")

    def _fail(self, what: str, expected: Any, got: Any) -> None:
        say(f"      {_mark(False)} {what}")
        say(f"          expected: {expected}")
        for one in got if isinstance(got, list) else [got]:
            say(f"          got:      {one}")
        raise MismatchError(what)


class Report:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._number = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        self._number += 1
        say(f"\n{self._number:>3}  {title}")
        yield Step(self._journal)


def say(text: str) -> None:
    """Print whole lines at once: the processes' watcher speaks from a thread of its own."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _print_call(call: Call, seconds: float) -> None:
    when = f"{seconds:.2f} s later" if seconds >= 0 else "had arrived before"
    say(f"      Talon.One  {call.method} {call.path}   ({when})")
    for name, value in call.told.items():
        say(f"                 {name:<12} {_in_words(value)}")
    say(f"        answers  {call.status}  {call.summary}".rstrip())


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _mark(good: bool) -> str:
    marks = ("✓", "✗") if (sys.stdout.encoding or "").lower().startswith("utf") else ("ok", "NO")
    return marks[0] if good else marks[1]
