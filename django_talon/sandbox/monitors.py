"""The judge: calls that were answered but break the contract a good client keeps."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .engine.errors import RefusedError
from .journal import Entry
from .wire import Json, Request

OVERLAP = "overlap"
AFTER_ERASE = "write-after-erase"
AFTER_CLOSE = "edit-after-close"
DUPLICATE = "duplicate-event"
REGRESS = "regress"
KEY_MISUSE = "key-misuse"
TOO_SOON = "retry-too-soon"
STORM = "retry-storm"
LEAK = "leak"
MONITORS = (
    OVERLAP,
    AFTER_ERASE,
    AFTER_CLOSE,
    DUPLICATE,
    REGRESS,
    KEY_MISUSE,
    TOO_SOON,
    STORM,
    LEAK,
)

_MINUTE = timedelta(minutes=1)
_MAIL = re.compile(rb"[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+\.[A-Za-z]{2,}")


@dataclass
class Settings:
    """What the monitors go by. ``storm`` and ``probes`` are calls per minute."""

    off: frozenset[str] = frozenset()
    version_attribute: str = ""
    secrets: tuple[str, ...] = ()
    forbid_mail: bool = False
    storm: int = 60
    probes: int = 10

    def changed(self, body: Json) -> Settings:
        """Return the settings a control call asks for; raise the 400 for a wrong one."""
        known = {"world", "off", "versionAttribute", "secrets", "forbidMail", "storm", "probes"}
        off, secrets = body.get("off", sorted(self.off)), body.get("secrets", list(self.secrets))
        if set(body) - known or not _texts(off) or not _texts(secrets) or set(off) - set(MONITORS):
            names = f"{', '.join(sorted(known))}; monitors are {', '.join(MONITORS)}"
            raise RefusedError(400, f"monitors take {names}")
        storm, probes = body.get("storm", self.storm), body.get("probes", self.probes)
        if not all(type(count) is int and count > 0 for count in (storm, probes)):
            raise RefusedError(400, "storm and probes are whole numbers above 0")
        version = str(body.get("versionAttribute", self.version_attribute))
        mail = body.get("forbidMail", self.forbid_mail) is True
        return Settings(frozenset(off), version, tuple(secrets), mail, storm, probes)

    def shown(self) -> Json:
        """Return them as posted; secrets only by their number."""
        return {
            "off": sorted(self.off),
            "versionAttribute": self.version_attribute,
            "secrets": len(self.secrets),
            "forbidMail": self.forbid_mail,
            "storm": self.storm,
            "probes": self.probes,
        }


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)


@dataclass
class Violations:
    """What one world has seen go wrong, in order."""

    settings: Settings = field(default_factory=Settings)
    found: list[Json] = field(default_factory=list)
    _running: dict[str, list[Entry]] = field(default_factory=dict)
    _calls: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    _floors: dict[str, tuple[datetime, Entry]] = field(default_factory=dict)
    _events: dict[str, tuple[datetime, Entry]] = field(default_factory=dict)
    _last_keys: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def note(self, monitor: str, details: str, *entries: Entry) -> None:
        """Record a violation with the calls it is made of, unless its monitor is off."""
        if monitor not in self.settings.off:
            calls = [entry.index for entry in entries]
            with self._lock:
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

    def arrived(self, entry: Entry, request: Request) -> None:
        """Look at what a call carries, and whether it comes before its time."""
        sent = b"\n".join((request.target.encode(), request.body))
        secrets = [request.key, *self.settings.secrets]
        if any(secret.encode() in sent for secret in secrets if secret):
            self.note(LEAK, "a secret stands in the body or the URL", entry)
        if self.settings.forbid_mail and _MAIL.search(sent):
            self.note(LEAK, "an e-mail address stands in the body or the URL", entry)
        due, told = self._floors.get(_place(entry), (entry.started, entry))
        if entry.started < due:
            seconds = (due - entry.started).total_seconds()
            self.note(TOO_SOON, f"{seconds:.3f} s before the Retry-After was over", told, entry)

    def forwarded(self, entry: Entry) -> None:
        """Note that a key was sent to where a redirect pointed."""
        self.note(LEAK, "the key was forwarded to the target of a redirect", entry)

    def count(self, entry: Entry, *, refused: bool) -> None:
        """Count a write for its customer or session, or a probe with a key that is refused."""
        whose = "the refused key" if refused else entry.session_id or entry.profile_id
        most = self.settings.probes if refused else self.settings.storm
        if not whose:
            return
        with self._lock:
            calls = self._calls[f"{entry.application}:{entry.operation}:{whose}"]
            calls.append(entry.started)
            while calls[0] <= entry.started - _MINUTE:
                calls.popleft()
            crossed = len(calls) == most + 1
        if crossed:
            self.note(STORM, f"more than {most} calls in a minute for {whose}", entry)

    def told_to_wait(self, entry: Entry, until: datetime) -> None:
        """Remember a Retry-After: the same call has to wait until then."""
        with self._lock:
            self._floors[_place(entry)] = until, entry

    def event(self, entry: Entry, content: str) -> None:
        """Look whether an event that was stored now was stored before."""
        key = entry.idempotency_key
        name = f"{entry.application}:{key or content}"
        with self._lock:
            at, earlier = self._events.get(name, (None, entry))
            self._events[name] = entry.started, entry
        if at is not None and (key or entry.started - at <= _MINUTE):
            self.note(DUPLICATE, "the same event was stored twice", earlier, entry)

    def written(self, entry: Entry) -> None:
        """Remember the key of the last change of a session or profile."""
        with self._lock:
            self._last_keys[_place(entry)] = entry.idempotency_key, entry

    def replayed(self, entry: Entry) -> None:
        """Look whether a replay swallowed a state that is not the last one sent."""
        key, last = self._last_keys.get(_place(entry), (entry.idempotency_key, entry))
        if key != entry.idempotency_key:
            details = "a repeated Idempotency-Key swallowed a state that other calls had replaced"
            self.note(KEY_MISUSE, details, last, entry)

    def version(self, entry: Entry, held: Any, sent: Any) -> None:
        """Compare the version attribute of what is held with that of what was sent."""
        try:
            older = held is not None and sent is not None and sent < held
        except TypeError:
            return
        if older:
            name = self.settings.version_attribute
            self.note(REGRESS, f"{name} went back from {held} to {sent}", entry)


def _place(entry: Entry) -> str:
    return f"{entry.application} {entry.method} {entry.path} {entry.query.get('dry', '')}"
