"""Every call in order: entered when it arrives, completed before its answer leaves."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .wire import Answer, Json, Request

CAPACITY = 10_000


def real_clock() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)


@dataclass
class Entry:
    """One call. ``applied`` says whether the state change it asked for has happened."""

    index: int
    world: str
    application: str
    method: str
    path: str
    query: dict[str, str]
    started: datetime
    operation: str = ""
    session_id: str = ""
    profile_id: str = ""
    idempotency_key: str = ""
    body: Any = None
    status: int | None = None
    answer: Any = None
    reason: str = ""
    ended: datetime | None = None
    outcome: str = "running"
    applied: bool = False
    replayed: bool = False
    parked: str = ""
    faults: list[str] = field(default_factory=list)
    overlaps: list[int] = field(default_factory=list)

    def shown(self) -> Json:
        """Return the entry as ``GET /_sandbox/journal`` shows it; keys never stand in it."""
        return {
            "index": self.index,
            "world": self.world,
            "application": self.application,
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "sessionId": self.session_id,
            "profileId": self.profile_id,
            "idempotencyKey": self.idempotency_key,
            "body": self.body,
            "status": self.status,
            "answer": self.answer,
            "reason": self.reason,
            "started": _exact(self.started),
            "ended": _exact(self.ended) if self.ended else None,
            "outcome": self.outcome,
            "applied": self.applied,
            "replayed": self.replayed,
            "parked": self.parked,
            "faults": self.faults,
            "overlaps": self.overlaps,
        }


def _exact(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Journal:
    """The last calls of one world; ``dropped`` counts those that no longer fit."""

    def __init__(self, world: str, capacity: int = CAPACITY) -> None:
        self.world = world
        self.dropped = 0
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._next = 0
        self._lock = threading.Lock()

    def begin(self, request: Request, application: str) -> Entry:
        """Enter a call that has just arrived."""
        with self._lock:
            self.dropped += len(self._entries) == self._entries.maxlen
            entry = Entry(
                self._next,
                self.world,
                application,
                request.method,
                request.path,
                request.query,
                real_clock(),
                idempotency_key=request.headers.get("idempotency-key", ""),
            )
            self._next += 1
            self._entries.append(entry)
            return entry

    def answered(self, entry: Entry, answer: Answer) -> None:
        """Complete an entry with its answer."""
        entry.status, entry.answer = answer.status, answer.payload
        entry.reason = answer.headers.get("X-Sandbox-Reason", "")
        self._end(entry, "answered")

    def broken(self, entry: Entry, outcome: str) -> None:
        """Complete an entry that gets no answer."""
        self._end(entry, outcome)

    def _end(self, entry: Entry, outcome: str) -> None:
        entry.parked = ""
        entry.outcome = outcome
        entry.ended = real_clock()

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the entries from this index on, oldest first."""
        with self._lock:
            return [entry for entry in self._entries if entry.index >= since]
