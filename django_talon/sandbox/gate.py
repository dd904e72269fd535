"""Whether the door is open: calls are answered, refused, or swallowed."""

from __future__ import annotations

import threading
from collections.abc import Callable

OPEN, REFUSING, SWALLOWING = "open", "refuse", "blackhole"
Listener = Callable[[str], None]


class Gate:
    """The state that all doors of a sandbox share; they are told of each change."""

    def __init__(self) -> None:
        self.mode = OPEN
        self._turn = 0
        self._listeners: list[Listener] = []
        self._changed = threading.Condition()

    def subscribe(self, listener: Listener) -> None:
        """Call the listener with the mode whenever that changes."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.remove(listener)

    def turn(self, mode: str, seconds: float | None = None) -> None:
        """Open or close; with ``seconds`` (real ones) it opens again after that time."""
        with self._changed:
            self.mode = mode
            self._turn += 1
            turn = self._turn
            self._changed.notify_all()
        for listener in list(self._listeners):
            listener(mode)
        if mode != OPEN and seconds is not None:
            timer = threading.Timer(seconds, self._reopen, [turn])
            timer.daemon = True
            timer.start()

    def _reopen(self, turn: int) -> None:
        if turn == self._turn:
            self.turn(OPEN)

    def wait_until_open(self, within: float | None = None) -> bool:
        """Wait for the gate to open; say whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self.mode == OPEN, within)
