"""From request to answer: key, route, journal, faults, queues, validation, engine."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Context, localcontext
from typing import Any

from . import handlers, idempotency, monitors, operations, refusals, rooms, wire
from .engine.campaigns import Seed
from .engine.errors import RefusedError, problem
from .faults import Action
from .journal import Entry, Journal
from .parks import Parks
from .rooms import Room, Rooms
from .validation import bodies
from .validation.fields import Form
from .wire import Answer, Broken, Request

_PRECISION = Context(prec=60)
_LOCKING = {
    "updateCustomerSessionV2",
    "updateCustomerSession",
    "updateCustomerProfileV2",
    "updateCustomerProfile",
    "trackEvent",
    "trackEventV2",
}
_SESSION_UPDATES = {"updateCustomerSessionV2", "updateCustomerSession"}


@dataclass
class _Visit:
    """One call on its way through: where it goes, what it says, what will happen to it."""

    request: Request
    room: Room
    application: str
    journal: Journal
    entry: Entry
    generation: int
    operation: operations.Operation | None = None
    ids: dict[str, str] = field(default_factory=dict)
    plan: list[tuple[str, Action]] = field(default_factory=list)

    @property
    def dry(self) -> bool:
        return self.request.query.get("dry", "").lower() in {"true", "1"}


class Sandbox:
    """The emulator without a door. ``loose`` accepts what the seed does not declare."""

    def __init__(self, seed: Seed, *, loose: bool = False) -> None:
        self.rooms = Rooms(seed)
        self.parks = Parks()
        self.loose = loose

    def handle(self, request: Request) -> Answer | Broken:
        """Answer one request to the Integration API; never raises."""
        with localcontext(_PRECISION):
            return self._handle(request)

    def _handle(self, request: Request) -> Answer | Broken:
        where = rooms.parse_key(request.headers.get("authorization", ""))
        if where is None:
            entry = self.rooms.lobby.begin(request, "")
            answer = refusals.answer_to(
                refusals.unauthorised("send Authorization: ApiKey-v1 sbx-<world>")
            )
            self.rooms.lobby.answered(entry, answer)
            return answer
        room = self.rooms.enter(where[0])
        with room.lock:
            journal, generation = room.journal, room.generation
            entry = journal.begin(request, where[1])
        visit = _Visit(request, room, where[1], journal, entry, generation)
        outcome = self._visit(visit)
        if isinstance(outcome, Answer):
            journal.answered(entry, outcome)
        else:
            journal.broken(entry, "reset" if outcome.reset else "closed")
        return outcome

    def _visit(self, visit: _Visit) -> Answer | Broken:
        keys: list[str] = []
        violations = visit.room.violations
        try:
            self._prepare(visit)
            keys = self._keys(visit)
            violations.started(visit.entry, keys)
            return self._run(visit, keys)
        except RefusedError as refused:
            return refusals.answer_to(refused)
        finally:
            violations.ended(visit.entry, keys)

    def _prepare(self, visit: _Visit) -> None:
        request, entry = visit.request, visit.entry
        parts, bad_path = _segments(request.path)
        operation, visit.ids, allowed = operations.find(request.method, parts)
        visit.operation = operation
        entry.operation = operation.name if operation else ""
        body_error = _read_body(entry, request)
        entry.session_id, entry.profile_id = self._subjects(visit)
        if visit.room.revoked:
            raise refusals.unauthorised("the key of this world is revoked")
        if bad_path or operation is None:
            raise refusals.no_route(request, allowed)
        if not operation.emulated:
            message = f"{operation.name} is not emulated by this sandbox"
            raise RefusedError(501, message, [problem("Not emulated", operation.name)])
        if body_error is not None:
            raise body_error
        visit.plan = visit.room.faults.plan(entry, visit.ids)

    def _subjects(self, visit: _Visit) -> tuple[str, str]:
        body = visit.entry.body if isinstance(visit.entry.body, dict) else {}
        inner = body.get("customerSession")
        named = inner if isinstance(inner, dict) else body
        session = visit.ids.get("sessionId") or _text(named.get("sessionId"))
        profile = visit.ids.get("profileId") or _text(named.get("profileId"))
        if session and not profile and visit.operation is not None:
            with visit.room.lock:
                application = visit.room.application(visit.application)
                stored = application.sessions.get(session)
            profile = stored.profile_id if stored else ""
        return session, profile

    def _keys(self, visit: _Visit) -> list[str]:
        """Return what a write occupies; dry runs occupy nothing."""
        name, entry = visit.entry.operation, visit.entry
        if visit.dry or (name not in _LOCKING and name != "deleteCustomerData"):
            return []
        keys = [f"session:{visit.application}:{entry.session_id}"] if entry.session_id else []
        return keys + ([f"profile:{entry.profile_id}"] if entry.profile_id else [])

    def _run(self, visit: _Visit, keys: list[str]) -> Answer | Broken:
        late = [action for phase, action in visit.plan if phase == "late_apply"]
        with ExitStack() as held:
            if visit.entry.operation in _LOCKING:
                held.enter_context(visit.room.slots.hold(keys))
            ended = self._phase(visit, "before_apply")
            if ended is not None:
                return ended
            if late:
                return self._later(visit, late[0])
            answer = self._apply(visit)
            return self._phase(visit, "after_apply") or answer

    def _later(self, visit: _Visit, action: Action) -> Broken | Answer:
        timer = threading.Timer(action.seconds, self._apply_late, [visit])
        timer.daemon = True
        timer.start()
        return self._end_by(visit, action) or Broken()

    def _apply_late(self, visit: _Visit) -> None:
        with localcontext(_PRECISION):
            self._apply(visit)

    def _phase(self, visit: _Visit, phase: str) -> Answer | Broken | None:
        for planned, action in visit.plan:
            if planned == phase:
                ended = self._end_by(visit, action)
                if ended is not None:
                    return ended
        return None

    def _end_by(self, visit: _Visit, action: Action) -> Answer | Broken | None:
        """Do what a fault says; return how the call ends, or None if it goes on."""
        if action.name == "park":
            visit.entry.parked = action.parameters["name"]
            self.parks.hold(action.parameters["name"], visit.room.overtaken)
            visit.entry.parked = ""
            return None
        if action.name in {"delay", "hang"}:
            visit.room.overtaken.wait(action.seconds)
            return Broken(reset=False) if action.name == "hang" else None
        if action.name == "reset":
            return Broken()
        if action.name == "junk":
            return refusals.junk()
        return refusals.injected(action.parameters)

    def _apply(self, visit: _Visit) -> Answer:
        """Change the state; a repeated idempotency key changes nothing."""
        repeatable = visit.entry.operation in idempotency.OPERATIONS
        try:
            if repeatable and "idempotency-key" in visit.request.headers:
                answer, visit.entry.replayed = visit.room.answers.once(
                    visit.application, visit.request, lambda: self._change(visit)
                )
                return answer
            return self._change(visit)
        except RefusedError as refused:
            self._judge_refused(visit, refused)
            return refusals.answer_to(refused)

    def _change(self, visit: _Visit) -> Answer:
        room, entry = visit.room, visit.entry
        form = Form(self.rooms.seed.definitions, self.loose)
        body = bodies.checked(entry.operation, entry.body, form)
        _check_ids(visit.ids)
        with room.lock:
            if visit.generation != room.generation:
                raise RefusedError(503, "sandbox-reset", reason="the world was reset meanwhile")
            application = room.application(visit.application)
            call = handlers.Call(room.world, application, visit.ids, visit.request.query, body)
            status, payload = handlers.HANDLERS[entry.operation](call)
            entry.applied = visit.request.method != "GET" and not visit.dry
            headers = {"X-Sandbox-Warning": ascii("; ".join(form.hints))} if form.hints else {}
            answer = wire.json_answer(status, payload, headers)
            self._judge_applied(visit)
            return Answer(status, answer.body, answer.headers, _frozen(answer.body))

    def _judge_applied(self, visit: _Visit) -> None:
        entry, room = visit.entry, visit.room
        named = entry.operation in _LOCKING and not visit.dry
        if named and entry.profile_id in room.world.erased and _names(visit):
            details = f"profile {entry.profile_id} was erased and is written again"
            room.violations.note(monitors.AFTER_ERASE, details, entry)

    def _judge_refused(self, visit: _Visit, refused: RefusedError) -> None:
        if refused.status != 400 or visit.entry.operation not in _SESSION_UPDATES or visit.dry:
            return
        with visit.room.lock:
            application = visit.room.application(visit.application)
            stored = application.sessions.get(visit.entry.session_id)
        if stored is not None and stored.state != "open":
            details = f"session {stored.integration_id} is {stored.state}: {refused.reason}"
            visit.room.violations.note(monitors.AFTER_CLOSE, details, visit.entry)


def _names(visit: _Visit) -> bool:
    """Say whether the request itself names the profile (a state-only call does not)."""
    if "profileId" in visit.ids:
        return True
    body = visit.entry.body
    inner = body.get("customerSession", body) if isinstance(body, dict) else {}
    return isinstance(inner, dict) and bool(inner.get("profileId"))


def _frozen(body: bytes) -> Any:
    return wire.decode(body) if body else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _segments(path: str) -> tuple[list[str], bool]:
    try:
        return wire.segments(path), False
    except UnicodeDecodeError:
        return [], True


def _check_ids(ids: dict[str, str]) -> None:
    for name, value in ids.items():
        if not value or len(value) > bodies.LONGEST_ID or "\x00" in value:
            details = f"{name} must have 1 to {bodies.LONGEST_ID} characters and no NUL"
            raise RefusedError(400, details, [problem("Invalid id", details, parameter=name)])


def _read_body(entry: Entry, request: Request) -> RefusedError | None:
    if entry.operation not in bodies.BODIES and not request.body:
        return None
    try:
        entry.body = wire.decode(request.body)
    except wire.MalformedError as error:
        if entry.operation in bodies.BODIES:
            errors = [problem("Malformed JSON", str(error), pointer="")]
            return RefusedError(400, "The request body is not valid JSON", errors)
    return None
