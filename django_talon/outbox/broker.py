"""What the shop's Celery says of its broker and of its beat."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SWEEP = "django_talon.tasks.sweep"


@dataclass(frozen=True)
class Broker:
    """The broker that wakes are published to."""

    #: Celery's name of it: ``redis``, ``amqp``, ``memory``.
    transport: str
    #: The setting that is missing, so that nobody waits for a silent broker for ever.
    missing_timeouts: str
    #: Whether beat's schedule in the settings has the sweep.
    sweeps: bool

    def answers(self, seconds: float) -> bool:
        """Return whether a connection can be made in that time."""
        done = threading.Event()

        def connect() -> None:
            from celery import current_app

            with current_app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=math.ceil(seconds))
                done.set()

        # Where no time-out is set it may hang for ever, so it hangs in a thread of its own.
        threading.Thread(target=_quietly, args=(connect,), daemon=True).start()
        return done.wait(seconds)


def _quietly(connect: Any) -> None:
    try:
        connect()
    except Exception:  # noqa: BLE001  a broker can fail in any way: it does not answer
        return


def configured() -> Broker | None:
    """Return the broker of the Celery app of this process, or ``None`` if it has none."""
    from celery import current_app

    settings = current_app.conf
    if not settings.broker_url:
        return None
    transport = current_app.connection_for_write().transport_cls
    options = settings.broker_transport_options or {}
    return Broker(str(transport), _missing(str(transport), options), _sweeps(settings))


def _missing(transport: str, options: Mapping[str, Any]) -> str:
    if transport in {"redis", "rediss"} and not options.get("socket_timeout"):
        return (
            'CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}'
        )
    return ""


def _sweeps(settings: Any) -> bool:
    entries = (settings.beat_schedule or {}).values()
    return any(entry.get("task") == SWEEP for entry in entries)
