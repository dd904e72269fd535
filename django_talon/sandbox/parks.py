"""Calls held at a phase until a test releases them by name."""

from __future__ import annotations

import threading

from .clock import Era


class Parks:
    """The calls held at present, by the name of their place."""

    def __init__(self) -> None:
        self._held: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()

    def hold(self, name: str, era: Era) -> None:
        """Wait for the release of this name, or for a reset of the world."""
        with era.gate() as gate:
            with self._lock:
                self._held.setdefault(name, []).append(gate)
            gate.wait()
            self._forget(name, gate)

    def _forget(self, name: str, gate: threading.Event) -> None:
        with self._lock:
            left = [held for held in self._held.get(name, []) if held is not gate]
            if left:
                self._held[name] = left
            else:
                self._held.pop(name, None)

    def release(self, name: str) -> int:
        """Let all calls held under this name go on; return how many."""
        with self._lock:
            gates = self._held.pop(name, [])
        for gate in gates:
            gate.set()
        return len(gates)
