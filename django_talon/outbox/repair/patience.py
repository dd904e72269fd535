"""Calls of a long run: as fast as asked for, waiting as long as Talon.One needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django_talon.client import TalonError
from django_talon.conf import Application
from django_talon.models import OutboxRow
from django_talon.models.outbox import Health, Why
from django_talon.outbox import backoff, calls, clock, endpoint
from django_talon.outbox.backoff import Verdict
from django_talon.outbox.repair.progress import Run

#: The outbox is kept shorter than this, so that a shopper's change never waits long.
QUEUE = 1000
#: Seconds between two looks at what is waited for.
LOOK = 1.0


class Stopped(Exception):
    """Somebody asked the run to end; it can go on later."""


class CannotGoOn(Exception):
    """Waiting does not help: the message says what to mend."""


class Again(Exception):
    """A call failed and may be made again later; ``verdict`` is what it means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("again later")
        self.verdict = verdict

    @property
    def is_ambiguous(self) -> bool:
        """Whether Talon.One may still be working on the request."""
        return self.verdict.why is Why.HOLD


class Patience:
    """Waits for the rate, for the endpoint and for the queue; says so, and can be stopped."""

    def __init__(
        self,
        *,
        rate: float | None = None,
        stop: threading.Event | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._rate = rate
        self._free_at = time.monotonic()
        self._stop = stop or threading.Event()
        self._say = say
        self.run: Run | None = None

    def check(self) -> None:
        """Raise `Stopped` if somebody asked for it; leave a sign of life otherwise."""
        if self._stop.is_set():
            raise Stopped
        if self.run is not None:
            self.run.beat()

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises `Stopped` as soon as somebody asks for it."""
        ends = time.monotonic() + seconds
        self.check()
        while (left := ends - time.monotonic()) > 0:
            self._stop.wait(min(left, LOOK))
            self.check()

    def pace(self, number: int) -> None:
        """Wait until so many more keep within the rate."""
        if not self._rate:
            return
        now = time.monotonic()
        self.wait(max(self._free_at - now, 0))
        self._free_at = max(self._free_at, now) + number / self._rate

    def room(self) -> None:
        """Wait until the outbox is short enough for more."""
        said = False
        while is_full():
            if not said:
                said = True
                self._say("The outbox is full: waiting until the workers have caught up.")
            self.wait(LOOK)

    def usable(self, app: Application) -> Mapping[str, datetime]:
        """Wait until an endpoint may be called; return the rights to probe that were taken.

        Raises `CannotGoOn` if it needs somebody to mend it.
        """
        said = ""
        while app.alias not in (standing := endpoint.look({app.alias}, clock.now())).usable:
            row = endpoint.row_of(app)
            refuse(app, row.health if row else None)
            until = standing.resting.get(app.alias)
            if row is not None and row.reason != said:
                said = row.reason
                when = f" until {until:%H:%M:%S} UTC" if until else ""
                self._say(f"{app.base_url} is {row.health} ({row.reason}): waiting{when}.")
            self.wait(LOOK)
        return standing.probes

    def until(self, moment: datetime, why: str) -> None:
        """Wait until a moment by the database's clock."""
        seconds = (moment - clock.now()).total_seconds()
        if seconds > 0:
            self._say(f"Waiting for {seconds:.0f} s: {why}.")
            self.wait(seconds + 0.1)

    def call(self, app: Application, about: str, method: str, *args: Any, **options: Any) -> Any:
        """Call, and call again until there is an answer. For what changes nothing.

        Raises a `TalonError` that trying again cannot help, and `CannotGoOn`.
        """
        attempts = 0
        while True:
            self.usable(app)
            try:
                return self.once(app, about, method, *args, attempts=attempts, **options)
            except Again as again:
                self.wait(min(again.verdict.lane_delay, backoff.jitter(attempts)))
                attempts += 1

    def once(
        self,
        app: Application,
        about: str,
        method: str,
        *args: Any,
        attempts: int = 0,
        **options: Any,
    ) -> Any:
        """Call once. Raises `Again` where that can help, `CannotGoOn`, or the `TalonError`."""
        try:
            return calls.call(app, about, method, *args, **options)
        except TalonError as error:
            if error.status == 404 and method.startswith("get_"):
                raise  # an answer: it is not there
            verdict = backoff.judge(error, attempts)
            endpoint.note(app, verdict, error)
            if verdict.is_dead:
                raise
            refuse(app, verdict.health)
            raise Again(verdict) from error


def refuse(app: Application, health: str | None) -> None:
    """Raise `CannotGoOn` for the states of an endpoint that time does not heal."""
    if health == Health.REFUSED:
        raise CannotGoOn(
            f"{app.base_url} does not accept the API key of {app.alias!r}. Set a valid one, then"
            " give the same command again."
        )
    if health == Health.MISCONFIGURED:
        raise CannotGoOn(
            f"{app.base_url} is not Talon.One's address. Mend BASE_URL of {app.alias!r}, then give"
            " the same command again."
        )


def is_full() -> bool:
    """Return whether so much waits in the outbox that nothing should be added."""
    return OutboxRow.objects.order_by()[: QUEUE + 1].count() > QUEUE
