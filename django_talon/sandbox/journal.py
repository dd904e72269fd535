"""Every call in order: entered when it arrives, completed before its answer leaves."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import wire
from .clock import real_time, written
from .engine.state import Clock
from .wire import Answer, Json, Request

CAPACITY = 10_000


@dataclass
class Entry:
    """One call. ``applied`` says whether the state change it asked for has happened.

    ``sent`` and ``answer`` are the JSON of both bodies, read only when somebody looks.
    """

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
    coupons: tuple[str, ...] = ()
    idempotency_key: str = ""
    sent: bytes = b""
    status: int | None = None
    answer: bytes = b""
    reason: str = ""
    ended: datetime | None = None
    outcome: str = "running"
    applied: bool = False
    replayed: bool = False
    parked: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    overlaps: list[int] = field(default_factory=list)

    def concerns(self, operation: str, subject: str) -> bool:
        """Say whether the call is to this operation and about this session or profile."""
        named = (self.session_id, self.profile_id, *self.ids.values())
        return operation in ("", self.operation) and (not subject or subject in named)

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
            "body": _read(self.sent),
            "status": self.status,
            "answer": _read(self.answer),
            "reason": self.reason,
            "started": written(self.started),
            "ended": written(self.ended) if self.ended else None,
            "outcome": self.outcome,
            "applied": self.applied,
            "replayed": self.replayed,
            "parked": self.parked,
            "faults": self.faults,
            "overlaps": self.overlaps,
        }


def _read(body: bytes) -> Any:
    return wire.decode(body) if body else None


class Journal:
    """The last calls of one world; ``dropped`` counts those that no longer fit."""

    def __init__(self, world: str, capacity: int = CAPACITY, clock: Clock = real_time) -> None:
        self.world = world
        self.dropped = 0
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._next = 0
        self.version = 0
        self._changed = threading.Condition()

    @property
    def next_index(self) -> int:
        """The index that the next call gets."""
        return self._next

    def begin(self, request: Request, application: str) -> Entry:
        """Enter a call that has just arrived."""
        entry = self.draft(request, application)
        self.enter(entry)
        return entry

    def draft(self, request: Request, application: str) -> Entry:
        """Return the entry of a call that has just arrived, not entered yet."""
        return Entry(
            -1,
            self.world,
            application,
            request.method,
            _without_key(request.path, request),
            {name: _without_key(value, request) for name, value in request.query.items()},
            self._clock(),
            idempotency_key=request.headers.get("idempotency-key", ""),
        )

    def enter(self, entry: Entry) -> None:
        """Give a drafted entry its place."""
        with self._changed:
            self.dropped += len(self._entries) == self._entries.maxlen
            entry.index = self._next
            self._next += 1
            self._entries.append(entry)
            self._tell()

    def answered(self, entry: Entry, answer: Answer) -> None:
        """Complete an entry with its answer."""
        entry.status = answer.status
        entry.answer = answer.body if answer.payload is not None else b""
        entry.reason = answer.headers.get("X-Sandbox-Reason", "")
        self._end(entry, answer.delivery.outcome if answer.delivery else "answered")

    def broken(self, entry: Entry, outcome: str) -> None:
        """Complete an entry that gets no answer."""
        self._end(entry, outcome)

    def _end(self, entry: Entry, outcome: str) -> None:
        with self._changed:
            entry.parked = ""
            entry.outcome = outcome
            entry.ended = self._clock()
            self._tell()

    def park(self, entry: Entry, name: str) -> None:
        """Note where a call is held, "" for nowhere."""
        with self._changed:
            entry.parked = name
            self._tell()

    def touch(self) -> None:
        """Tell whoever listens that something beside the calls has changed."""
        with self._changed:
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()

    def changed(self, version: int, within: float) -> None:
        """Return once the journal is past a version, or after so many real seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version, within)

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the entries from this index on, oldest first."""
        with self._changed:
            return self._since(since)

    def _since(self, since: int) -> list[Entry]:
        return [entry for entry in self._entries if entry.index >= since]

    def wait(self, enough: Callable[[list[Entry]], bool], since: int, within: float) -> None:
        """Return once the entries from an index on are enough, or after so many real seconds."""
        with self._changed:
            self._changed.wait_for(lambda: enough(self._since(since)), within)


def _without_key(text: str, request: Request) -> str:
    key = request.key
    return text.replace(key, "[key]") if key else text
