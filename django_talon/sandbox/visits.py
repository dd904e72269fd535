"""One call on its way through: where it goes, what it says, what will happen to it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import idempotency, operations, wire
from .clock import Era
from .engine.errors import RefusedError, problem
from .faults import Plan
from .journal import Entry, Journal
from .keys import Caller
from .rooms import Room
from .validation import bodies
from .wire import Request

LOCKING = {operation.name for operation in operations.EMULATED if operation.locks}


@dataclass
class Visit:
    """A call to one application of a world, and what the world was when it arrived.

    ``content`` is what its body says.
    """

    request: Request
    room: Room
    caller: Caller
    journal: Journal
    entry: Entry
    generation: int
    era: Era
    operation: operations.Operation | None = None
    ids: dict[str, str] = field(default_factory=dict)
    content: Any = None
    plan: Plan = field(default_factory=Plan)
    at_end: ExitStack = field(default_factory=ExitStack)

    @property
    def now(self) -> datetime:
        """The time in the world."""
        return self.room.clock.now()

    @property
    def dry(self) -> bool:
        """Whether the call asks to change nothing; a profile is only tried out with its rules."""
        if self.entry.operation == "updateCustomerProfileV2" and not (
            self._asks("runRuleEngine") and not self.room.world.decisions.is_2020
        ):
            return False
        return self._asks("dry")

    def _asks(self, name: str) -> bool:
        return self.request.query.get(name, "").lower() in {"true", "1"}

    @property
    def locks(self) -> bool:
        """Whether the call takes a turn in the queues of its customer and session."""
        return self.entry.operation in LOCKING

    @property
    def has_key(self) -> bool:
        """Whether the call has an Idempotency-Key that its operation honours; 2020 had none."""
        repeatable = self.entry.operation in idempotency.OPERATIONS
        repeatable = repeatable and not self.room.world.decisions.is_2020
        return repeatable and "idempotency-key" in self.request.headers

    @property
    def keys(self) -> list[str]:
        """What a write occupies; dry runs occupy nothing."""
        entry = self.entry
        if self.dry or not (self.locks or entry.operation == "deleteCustomerData"):
            return []
        application = self.caller.application
        keys = [f"session:{application}:{entry.session_id}"] if entry.session_id else []
        return keys + ([f"profile:{entry.profile_id}"] if entry.profile_id else [])

    @property
    def body(self) -> dict[str, Any]:
        """The part of the body that names session and profile; {} if there is none."""
        body = self.content
        inner = body.get("customerSession", body) if isinstance(body, dict) else {}
        return inner if isinstance(inner, dict) else {}

    def names_profile(self) -> bool:
        """Say whether the request itself names the profile (a state-only call does not)."""
        return "profileId" in self.ids or bool(self.body.get("profileId"))

    def route(self) -> RefusedError | None:
        """Find out what is asked; return what is wrong with the path or the body."""
        parts, bad_path = _segments(self.request.path)
        found = operations.find(self.request.method, parts)
        self.operation, self.ids, allowed = found
        self.entry.operation = self.operation.name if self.operation else ""
        self.entry.ids = self.ids
        unreadable = self._read_body()
        self.entry.session_id, self.entry.profile_id = self._subjects()
        self.entry.coupons = self._coupons()
        if bad_path or self.operation is None:
            return _no_route(self.request, [] if bad_path else allowed)
        dialect = self.room.world.decisions.dialect
        if not self.operation.is_in(dialect):
            message = f"{self.operation.name} does not exist in the dialect {dialect}"
            errors = [problem("Not found", self.request.path)]
            return RefusedError(404, f"No operation at {self.request.path}", errors, message)
        if not self.operation.emulated:
            message = f"{self.operation.name} is not emulated by this sandbox"
            return RefusedError(501, message, [problem("Not emulated", self.operation.name)])
        return unreadable

    def _read_body(self) -> RefusedError | None:
        is_due = self.entry.operation in bodies.BODIES
        if not is_due and not self.request.body:
            return None
        try:
            self.content = wire.decode(self.request.body)
            self.entry.sent = self.request.body
        except wire.MalformedError as error:
            if is_due:
                errors = [problem("Malformed JSON", str(error), pointer="")]
                return RefusedError(400, "The request body is not valid JSON", errors)
        return None

    def _coupons(self) -> tuple[str, ...]:
        """Return the coupon codes that the call names, in its path or body."""
        body = self.content if isinstance(self.content, dict) else {}
        session = body.get("customerSession")
        codes = session.get("couponCodes") if isinstance(session, dict) else [body.get("coupon")]
        found = [self.ids.get("couponValue"), *(codes if isinstance(codes, list) else ())]
        return tuple(code for code in found if isinstance(code, str))

    def _subjects(self) -> tuple[str, str]:
        session = self.ids.get("sessionId") or _text(self.body.get("sessionId"))
        profile = self.ids.get("profileId") or _text(self.body.get("profileId"))
        if session and not profile and self.operation is not None:
            with self.room.lock:
                application = self.room.application(self.caller.application)
                stored = application.sessions.get(session)
            profile = stored.profile_id if stored else ""
        return session, profile


def _no_route(request: Request, allowed: list[str]) -> RefusedError:
    if allowed:
        message = f"{request.method} is not allowed for {request.path}"
        return RefusedError(405, message, [problem("Method not allowed", ", ".join(allowed))])
    message = f"No operation at {request.method} {request.path}"
    return RefusedError(404, message, [problem("Not found", request.path)])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _segments(path: str) -> tuple[list[str], bool]:
    try:
        return wire.segments(path), False
    except UnicodeDecodeError:
        return [], True
