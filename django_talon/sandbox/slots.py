"""At most one running and two waiting calls per customer and per session, then 409."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from .engine.errors import RefusedError

WAITING = 2
PATIENCE = 30.0


class Slots:
    """The queues of one world, first come first served."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._queues: dict[str, deque[object]] = {}
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, keys: list[str]) -> Iterator[None]:
        """Wait for a turn on every key, hold it; raise the 409 where too many wait."""
        ticket = object()
        self._join(ticket, keys)
        try:
            self._wait(ticket, keys)
            yield
        finally:
            self._leave(ticket, keys)

    def _join(self, ticket: object, keys: list[str]) -> None:
        with self._changed:
            for key in keys:
                if len(self._queues.get(key, ())) > WAITING:
                    raise _crowded(key)
            for key in keys:
                self._queues.setdefault(key, deque()).append(ticket)

    def _wait(self, ticket: object, keys: list[str]) -> None:
        def first() -> bool:
            return all(self._queues[key][0] is ticket for key in keys)

        with self._changed:
            if not self._changed.wait_for(first, self._patience):
                raise _crowded(keys[-1])

    def _leave(self, ticket: object, keys: list[str]) -> None:
        with self._changed:
            for key in keys:
                self._queues[key].remove(ticket)
                if not self._queues[key]:
                    del self._queues[key]
            self._changed.notify_all()


def _crowded(key: str) -> RefusedError:
    kind = key.partition(":")[0]
    message = f"Too many requests are updating this {kind} at the same time"
    return RefusedError(409, message, reason=f"1 running and {WAITING} waiting for this {kind}")
