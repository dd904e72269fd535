"""The doorbell: a message without content that tells a worker to look.

One daemon thread per process publishes it, so that a dead or silent broker
costs a request nothing. A ring that gets lost costs latency only: the row is
the promise, and the sweep finds it.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time

from django_talon.conf import conf

logger = logging.getLogger("django_talon")

DELIVER = "django_talon.tasks.deliver"
#: At most five rings a second.
INTERVAL = 0.2
#: Seconds after which the sweep is as good as a wake-up.
LONGEST_SNOOZE = 5.0
#: Seconds by which a wake-up should rather be late than early, by whoever's clock.
MARGIN = 0.1
#: Seconds after which nobody needs to hear the ring any more.
EXPIRES = 60.0


class Bell:
    """The thread of one process, made at the first ring and again after a fork."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._rung = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._logged_at = -math.inf

    def ring(self) -> None:
        """Ask for a message to be published soon; returns at once."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._idle.clear()
            self._rung.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="django-talon-wake", daemon=True
                )
                self._thread.start()

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until what was rung is published; return whether it was."""
        if self._pid != os.getpid() or self._thread is None:
            return True
        return self._idle.wait(timeout)

    def _run(self) -> None:
        while True:
            self._rung.wait()
            self._rung.clear()
            self._publish()
            with self._lock:
                if not self._rung.is_set():
                    self._idle.set()
            time.sleep(INTERVAL)

    def _publish(self) -> None:
        try:
            publish()
        except Exception as error:  # noqa: BLE001  a broker can fail in any way; the row waits
            if time.monotonic() - self._logged_at > 60:
                self._logged_at = time.monotonic()
                logger.warning(
                    "The Celery broker did not take a wake-up (%s). Nothing is lost: the sweep"
                    " or talon_relay delivers what waits.",
                    type(error).__name__,
                )


def publish(countdown: float | None = None) -> None:
    """Send the wake-up now. Raises whatever the broker's client raises.

    A worker heeds it after ``countdown`` seconds, by default ``DEBOUNCE``.
    """
    from celery import current_app

    seconds = conf.DEBOUNCE if countdown is None else countdown
    current_app.send_task(
        DELIVER,
        countdown=seconds,
        expires=seconds + EXPIRES,
        retry=False,
        ignore_result=True,
    )


class Snooze:
    """For how long the workers of this process have put off what they could not do yet.

    The last wake-up may have come and gone by then, and the sweep takes its time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The first and the last of it, by the monotonic clock.
        self._ends: list[float] = []

    def note(self, seconds: float) -> None:
        """Say that something is due again in so many seconds; a long time is the sweep's."""
        if seconds <= LONGEST_SNOOZE:
            with self._lock:
                ends = sorted([*self._ends, time.monotonic() + seconds])
                self._ends = list(dict.fromkeys([ends[0], ends[-1]]))

    def take(self) -> float | None:
        """Return the seconds until the first of it is due, then until the last of it."""
        with self._lock:
            if not self._ends:
                return None
            first, self._ends = self._ends[0], self._ends[1:]
        return max(first - time.monotonic(), 0.0) + MARGIN


snooze = Snooze()
_bell = Bell()


def ring() -> None:
    """Wake a worker soon, without waiting for the broker."""
    _bell.ring()


def come_back() -> None:
    """Wake a worker when what was put off for a moment is due; a lost wake costs latency only."""
    seconds = snooze.take()
    if seconds is not None:
        try:
            publish(seconds)
        except Exception as error:  # noqa: BLE001  the broker is in trouble; the sweep comes
            logger.debug("No wake-up for what was put off (%s).", type(error).__name__)


@atexit.register
def flush() -> None:
    """Give the last ring of a process, such as a management command, a second to leave."""
    _bell.flush()
