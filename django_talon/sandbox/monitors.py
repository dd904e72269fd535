"""The judge: calls that were answered but break the contract a good client keeps."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .journal import Entry
from .wire import Json

OVERLAP, AFTER_ERASE, AFTER_CLOSE = "overlap", "write-after-erase", "edit-after-close"


@dataclass
class Violations:
    """What one world has seen go wrong, in order."""

    found: list[Json] = field(default_factory=list)
    _running: dict[str, list[Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, monitor: str, details: str, *entries: Entry) -> None:
        """Record a violation with the calls it is made of."""
        calls = [entry.index for entry in entries]
        self.found.append({"monitor": monitor, "details": details, "calls": calls})

    def started(self, entry: Entry, keys: list[str]) -> None:
        """Note a write about these customers and sessions, and with which it overlaps."""
        with self._lock:
            for key in keys:
                others = self._running.setdefault(key, [])
                for other in others:
                    self._overlap(entry, other, key)
                others.append(entry)

    def _overlap(self, entry: Entry, other: Entry, key: str) -> None:
        if other.index in entry.overlaps:
            return
        entry.overlaps.append(other.index)
        other.overlaps.append(entry.index)
        self.note(OVERLAP, f"two calls for {key} at the same time", other, entry)

    def ended(self, entry: Entry, keys: list[str]) -> None:
        """Note that a write is over; call it before the answer leaves."""
        with self._lock:
            for key in keys:
                running = self._running.get(key, [])
                running[:] = [other for other in running if other is not entry]
                if not running:
                    self._running.pop(key, None)
