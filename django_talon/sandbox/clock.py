"""The time of a world: real, frozen, moved on by call; and waiting by that time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from .engine.campaigns import moment
from .engine.errors import RefusedError
from .wire import Json

_LONGEST_STEP = 100 * 365 * 86400.0


def real_time() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)


class Era:
    """The time between two resets of a world; its end wakes whoever waits in it."""

    def __init__(self) -> None:
        self.over = False
        self._gates: set[threading.Event] = set()
        self._lock = threading.Lock()

    @contextmanager
    def gate(self) -> Iterator[threading.Event]:
        """Give an event that the end of the era sets."""
        gate = threading.Event()
        with self._lock:
            self._gates.add(gate)
            if self.over:
                gate.set()
        try:
            yield gate
        finally:
            with self._lock:
                self._gates.discard(gate)

    def end(self) -> None:
        """Wake all who wait; from now on nobody waits in this era."""
        with self._lock:
            self.over = True
            for gate in self._gates:
                gate.set()


class Clock:
    """A clock that runs, stands still at ``frozen``, or is moved on; times are UTC."""

    def __init__(self, frozen: datetime | None = None) -> None:
        self._frozen = frozen
        self._offset = timedelta()
        self._sleepers: set[threading.Event] = set()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time in this world."""
        with self._lock:
            return self._frozen or real_time() + self._offset

    def freeze(self, at: datetime | None = None) -> None:
        """Stand still, at a time or where the clock is."""
        now = self.now()
        with self._lock:
            self._frozen = at or now
        self._wake()

    def run(self) -> None:
        """Run on from the time it is."""
        now = self.now()
        with self._lock:
            self._offset, self._frozen = now - real_time(), None

    def advance(self, seconds: float) -> None:
        """Move on; whoever waits for a time that has come goes on."""
        step = timedelta(seconds=seconds)
        with self._lock:
            if self._frozen is None:
                self._offset += step
            else:
                self._frozen += step
        self._wake()

    def sleep(self, seconds: float, era: Era) -> None:
        """Wait so many seconds of this clock, or for the end of the era."""
        due = self.now() + timedelta(seconds=seconds)
        with era.gate() as gate:
            with self._lock:
                self._sleepers.add(gate)
            try:
                while not era.over and (left := (due - self.now()).total_seconds()) > 0:
                    gate.wait(None if self._frozen else left)
                    gate.clear()
            finally:
                with self._lock:
                    self._sleepers.discard(gate)

    def _wake(self) -> None:
        with self._lock:
            for gate in self._sleepers:
                gate.set()

    def shown(self) -> Json:
        """Return time and mode as ``GET /_sandbox/clock`` shows them."""
        mode = "frozen" if self._frozen else "advanced" if self._offset else "real"
        return {"now": written(self.now()), "mode": mode}

    def order(self, body: Json) -> None:
        """Do what a control call says: ``freeze``, ``advance`` or ``run``."""
        if len(body) != 1:
            raise RefusedError(400, "say one of freeze, advance, run")
        name, value = next(iter(body.items()))
        if name == "freeze":
            self.freeze(None if value in (True, "now") else parsed(value))
        elif name == "advance":
            self.advance(_step(value))
        elif name == "run":
            self.run()
        else:
            raise RefusedError(400, "say one of freeze, advance, run")


def _step(value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise RefusedError(400, "advance must be a number of seconds") from error
    if not 0 <= seconds <= _LONGEST_STEP:
        raise RefusedError(400, "advance must be 0 seconds to 100 years")
    return seconds


def parsed(text: object) -> datetime:
    """Return an RFC 3339 time; raise the 400 for anything else."""
    try:
        found = moment(text, "time")
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
    if found is None:
        raise RefusedError(400, "a time is missing")
    return found


def written(at: datetime) -> str:
    """Return RFC 3339 with microseconds, in UTC."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
