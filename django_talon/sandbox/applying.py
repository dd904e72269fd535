"""The state change of a call: once, by its key, twice, on a copy, or in the past."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, localcontext
from typing import Any

from . import handlers, idempotency, monitors, refusals, wire
from .engine.errors import RefusedError, problem
from .engine.state import World
from .snapshots import Snapshot
from .validation import bodies
from .validation.fields import Form
from .visits import Visit
from .wire import Answer

PRECISION = Context(prec=60)
_TWO_REQUESTS = "one Idempotency-Key for two different requests"
_SESSION_UPDATES = {"updateCustomerSessionV2", "updateCustomerSession"}


class Applier:
    """Changes worlds. ``loose`` accepts what a seed does not declare."""

    def __init__(self, *, loose: bool) -> None:
        self.loose = loose

    def apply(self, visit: Visit) -> Answer:
        """Change the state as the plan says; refusals become their answers."""
        modes = [action.name for action in visit.plan.stage("apply")]
        try:
            with localcontext(PRECISION):
                return self._by_mode(visit, modes[0] if modes else "")
        except RefusedError as refused:
            _judge_refused(visit, refused)
            return refusals.answer_to(refused)

    def _by_mode(self, visit: Visit, mode: str) -> Answer:
        if mode == "apply_twice":
            self._change(visit)
            return self._change(visit)
        if mode == "never_apply_but_200":
            with visit.room.lock:
                return self._change(visit, Snapshot(visit.room.world).restored())
        if mode == "stale_read" and visit.request.method == "GET":
            return self._change(visit, _past(visit))
        return self._once(visit)

    def _once(self, visit: Visit) -> Answer:
        """Change the state; a repeated idempotency key changes nothing."""
        if not visit.has_key:
            return self._change(visit)
        once = visit.room.answers.once(
            visit.caller.application, visit.request, lambda: self._change(visit)
        )
        visit.entry.replayed = once.replayed
        if once.mismatched:
            visit.room.violations.note(monitors.KEY_MISUSE, _TWO_REQUESTS, visit.entry)
        elif once.replayed and visit.request.method == "PUT":
            visit.room.violations.replayed(visit.entry)
        return once.answer

    def _change(self, visit: Visit, copy: World | None = None) -> Answer:
        room, entry = visit.room, visit.entry
        form = Form(room.seed.definitions, self.loose)
        is_2020 = room.world.decisions.is_2020
        body = bodies.checked(entry.operation, visit.content, form, is_2020=is_2020)
        _check_ids(visit.ids)
        with room.lock:
            if visit.generation != room.generation:
                raise RefusedError(503, "sandbox-reset", reason="the world was reset meanwhile")
            world = copy or room.world
            application = room.application(visit.caller.application, world)
            held = _version(visit)
            call = handlers.Call(world, application, visit.ids, visit.request.query, body)
            status, payload = handlers.HANDLERS[entry.operation](call)
            headers = {"X-Sandbox-Warning": ascii("; ".join(form.hints))} if form.hints else {}
            answer = wire.json_answer(status, payload, headers)
            if copy is None and visit.request.method != "GET" and not visit.dry:
                entry.applied = True
                _judge_applied(visit, held)
            return answer


def _past(visit: Visit) -> World | None:
    seconds = visit.plan.stage("apply")[0].seconds
    with visit.room.lock:
        return visit.room.history.at(visit.now, seconds)


def _judge_applied(visit: Visit, held: Callable[[], None]) -> None:
    entry, room = visit.entry, visit.room
    if visit.locks and entry.profile_id in room.world.erased and visit.names_profile():
        details = f"profile {entry.profile_id} was erased and is written again"
        room.violations.note(monitors.AFTER_ERASE, details, entry)
    if entry.operation.startswith("trackEvent"):
        room.violations.event(entry, wire.encode(visit.content).decode())
    if visit.request.method == "PUT":
        room.violations.written(entry)
    held()
    if room.faults.has("stale_read"):
        room.history.note(room.world)


def _version(visit: Visit) -> Callable[[], None]:
    """Return a judge that compares the version sent with the one held before the change."""
    name, entry = visit.room.violations.settings.version_attribute, visit.entry
    if not name or visit.request.method != "PUT":
        return lambda: None
    application = visit.room.application(visit.caller.application)
    stored: Any = application.sessions.get(visit.ids.get("sessionId", ""))
    stored = stored or visit.room.world.profiles.get(visit.ids.get("profileId", ""))
    held = stored.attributes.get(name) if stored is not None else None
    attributes = visit.body.get("attributes")
    sent = attributes.get(name) if isinstance(attributes, dict) else None
    return lambda: visit.room.violations.version(entry, held, sent)


def _judge_refused(visit: Visit, refused: RefusedError) -> None:
    if isinstance(refused, idempotency.KeyReusedError):
        visit.room.violations.note(monitors.KEY_MISUSE, _TWO_REQUESTS, visit.entry)
    elif refused.status in {400, 409} and visit.entry.operation in _SESSION_UPDATES:
        _judge_edit(visit, refused)


def _judge_edit(visit: Visit, refused: RefusedError) -> None:
    if visit.dry:
        return
    with visit.room.lock:
        application = visit.room.application(visit.caller.application)
        stored = application.sessions.get(visit.entry.session_id)
    if stored is not None and stored.state != "open":
        details = f"session {stored.integration_id} is {stored.state}: {refused.reason}"
        visit.room.violations.note(monitors.AFTER_CLOSE, details, visit.entry)


def _check_ids(ids: dict[str, str]) -> None:
    for name, value in ids.items():
        if not value or len(value) > bodies.LONGEST_ID or "\x00" in value:
            details = f"{name} must have 1 to {bodies.LONGEST_ID} characters and no NUL"
            raise RefusedError(400, details, [problem("Invalid id", details, parameter=name)])
