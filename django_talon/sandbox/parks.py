"""Calls held at a phase until a test releases them by name."""

from __future__ import annotations

import threading


class Parks:
    """The calls held at present, by the name of their place."""

    def __init__(self) -> None:
        self._held: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()

    def hold(self, name: str, overtaken: threading.Event) -> None:
        """Wait for the release of this name, or for a reset of the world."""
        gate = threading.Event()
        with self._lock:
            self._held.setdefault(name, []).append(gate)
        while not gate.wait(0.05):
            if overtaken.is_set():
                break

    def release(self, name: str) -> int:
        """Let all calls held under this name go on; return how many."""
        with self._lock:
            gates = self._held.pop(name, [])
        for gate in gates:
            gate.set()
        return len(gates)
