"""``manage.py talon_relay``: deliver without a broker."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error, close_old_connections

from django_talon.conf import conf
from django_talon.management.base import TalonCommand
from django_talon.outbox import delivery, health

logger = logging.getLogger("django_talon")

#: Seconds of work after which the relay looks whether it was asked to stop.
TURN = 1.0
#: Seconds to wait when the database does not answer.
DATABASE_PAUSE = 5.0


class Command(TalonCommand):
    """Drains the outbox until it is told to stop."""

    help = (
        "Deliver what waits in the outbox, without Celery and without a broker. Any number of"
        " relays and Celery workers may run at the same time. Ctrl-C or SIGTERM lets the cart or"
        " customer at hand be finished (20 seconds at most) and ends with 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="deliver what is due now, then end (for cron)"
        )
        parser.add_argument(
            "--pause",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="how long to wait when nothing is due (default: %(default)s)",
        )

    def handle(self, *args: Any, once: bool, pause: float, **options: Any) -> None:
        if not conf.ENABLED:
            self.stderr.write("TALON_ONE['ENABLED'] is off: nothing is delivered.")
        with asked_to_stop() as stop:
            if once:
                self._deliver_what_is_due(stop)
            else:
                self._deliver_for_ever(stop, pause)

    def _deliver_what_is_due(self, stop: threading.Event) -> None:
        while delivery.drain(TURN, threads=conf.WORKER_THREADS) and not stop.is_set():
            pass

    def _deliver_for_ever(self, stop: threading.Event, pause: float) -> None:
        self.stdout.write("Delivering to Talon.One. Ctrl-C ends it.")
        while not stop.is_set():
            close_old_connections()
            try:
                served = delivery.drain(TURN, threads=conf.WORKER_THREADS)
                health.measure()
            except Error as error:
                logger.error("The relay cannot use the database (%s).", type(error).__name__)
                stop.wait(DATABASE_PAUSE)
            else:
                stop.wait(0 if served else pause)


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
