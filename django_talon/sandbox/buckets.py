"""Rate limits: a token bucket and a cap on calls at the same time, per key or customer."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from .wire import Json


@dataclass
class Bucket:
    """``rate`` tokens a second of the world's clock, at most ``burst``; ``concurrent`` at once."""

    rate: float | None = None
    burst: int = 1
    concurrent: int | None = None
    _levels: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    _running: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def made(cls, parameters: Json) -> Bucket:
        """Return the bucket of a fault rule's ``limit``."""
        rate, burst = parameters.get("rate"), parameters.get("burst")
        return cls(rate, burst or max(1, ceil(rate or 1)), parameters.get("concurrent"))

    def enter(self, who: str, now: datetime) -> float | None:
        """Take a token: None if there was one, else the seconds until there is (0: unknown)."""
        with self._lock:
            if self.concurrent is not None and self._running[who] >= self.concurrent:
                return 0.0
            missing = self._missing(who, now)
            if missing is None:
                self._running[who] += 1
            return missing

    def _missing(self, who: str, now: datetime) -> float | None:
        if self.rate is None:
            return None
        level, since = self._levels.get(who, (float(self.burst), now))
        level = min(self.burst, level + self.rate * max(0.0, (now - since).total_seconds()))
        taken = level >= 1
        self._levels[who] = (level - taken, now)
        if taken:
            return None
        return (1 - level) / self.rate if self.rate else 3600.0

    def leave(self, who: str) -> None:
        """Note that a call that had a token is over."""
        with self._lock:
            self._running[who] -= 1
