"""The sandbox's own paths under ``/_sandbox/``: what a test, a person or a script may order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django_talon._version import __version__

from . import fault_schema, inspector, limits, live, lookup, reports, resets, wire
from .engine.errors import RefusedError
from .faults import FaultError
from .gate import OPEN, REFUSING, SWALLOWING
from .journal import Entry, Journal
from .keys import DEFAULT_APPLICATION
from .lookup import Query, Reply
from .operations import SPECIFICATION
from .refusals import answer_to
from .service import Sandbox
from .wire import Answer, Request

PREFIX = "/_sandbox"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_A_MOMENT = 0.1


def handle(sandbox: Sandbox, request: Request) -> Answer:
    """Answer a control request; never raises."""
    path = request.path.removeprefix(PREFIX) or "/"
    if path == "/" and request.method == "GET":
        return Answer(200, inspector.page(), inspector.HEADERS)
    if path == "/limits" and request.method == "GET":
        return Answer(200, limits.page().encode(), _PLAIN)
    try:
        special = _SPECIAL.get((request.method, path))
        if path == "/redirected":
            special = _redirected
        if special is not None:
            return special(sandbox, request)
        return wire.json_answer(*_dispatch(sandbox, request, path))
    except RefusedError as error:
        return answer_to(error)
    except (FaultError, wire.MalformedError, ValueError) as error:
        return answer_to(RefusedError(400, str(error)))


def _dispatch(sandbox: Sandbox, request: Request, path: str) -> Reply:
    body = wire.decode(request.body) if request.body else {}
    try:
        return _order(sandbox, request, path, body)
    finally:
        for room in sandbox.rooms.all() if request.method != "GET" else ():
            room.journal.touch()


def _order(sandbox: Sandbox, request: Request, path: str, body: Any) -> Reply:
    parts = path.strip("/").split("/")
    if len(parts) == 3 and parts[0] == "keys" and request.method == "POST":
        return _order_key(sandbox, parts[1], parts[2], body)
    if len(parts) == 2 and parts[0] == "snapshots" and request.method == "POST":
        return resets.keep(sandbox, parts[1], body)
    action = _ACTIONS.get((request.method, path))
    if action is None:
        raise RefusedError(404, f"No control at {request.method} {request.path}")
    if not isinstance(body, dict | list):
        raise RefusedError(400, "The body must be an object")
    return action(sandbox, request.query, body)


def health(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Say that the sandbox runs: version, hash of the operations, seed, worlds, seconds up."""
    return 200, {
        "status": "ok",
        "version": __version__,
        "specification": SPECIFICATION,
        "seed": sandbox.rooms.seed.name,
        "loose": sandbox.loose,
        "worlds": [room.name for room in sandbox.rooms.all()],
        "uptime": round(time.monotonic() - sandbox.began, 3),
    }


def _journal(sandbox: Sandbox, request: Request) -> Answer:
    """Answer with the calls of one world, or of all, oldest first, once there are enough."""
    query = request.query
    since = lookup.whole(query, "since", 0)
    operation, subject = query.get("operation", ""), query.get("id", "")
    journals = [room.journal for room in lookup.rooms(sandbox, query.get("world"))]
    if query.get("world"):
        _wait(journals[0], query, since)
    else:
        journals.append(sandbox.rooms.lobby)
    found = [e for one in journals for e in one.entries(since) if e.concerns(operation, subject)]
    shown = [entry.shown() for entry in sorted(found, key=lambda e: (e.started, e.index))]
    headers = {"X-Sandbox-Dropped": str(sum(one.dropped for one in journals))}
    if query.get("world"):
        headers["X-Sandbox-Generation"] = str(lookup.room(sandbox, query["world"]).generation)
    return wire.json_answer(200, shown, headers)


def _wait(journal: Journal, query: Query, since: int) -> None:
    operation, subject = query.get("operation", ""), query.get("id", "")
    count, parked = lookup.whole(query, "count", 1), query.get("parked", "")

    def enough(entries: list[Entry]) -> bool:
        chosen = [entry for entry in entries if entry.concerns(operation, subject)]
        if parked:
            return any(entry.parked == parked for entry in chosen)
        return sum(entry.ended is not None for entry in chosen) >= count

    within = lookup.seconds(query.get("wait", "0"))
    if within:
        journal.wait(enough, since, within)


def clock(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return the time of a world and how it runs."""
    return 200, lookup.room(sandbox, query.get("world")).clock.shown()


def turn_clock(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Freeze, advance or run the clock of one world."""
    order = dict(lookup.fields(body))
    room = lookup.room(sandbox, order.pop("world", None))
    room.clock.order(order)
    return 200, room.clock.shown()


def state(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return what an application of a world holds."""
    room = lookup.room(sandbox, query.get("world"))
    with room.lock:
        return 200, reports.state(room, query.get("application", DEFAULT_APPLICATION))


def list_faults(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return the fault rules of one world, or of all."""
    found = lookup.rooms(sandbox, query.get("world"))
    return 200, [{**rule.shown(), "world": r.name} for r in found for rule in r.faults.rules]


def add_fault(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Add a fault rule to the world it names."""
    room = lookup.room(sandbox, lookup.fields(body).get("world"))
    with room.lock:
        rule = room.faults.add(body)
        if rule.action.name == "stale_read":
            room.application(DEFAULT_APPLICATION)
            room.history.note(room.world)
    return 201, rule.shown()


def clear_faults(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Remove the fault rules of one world, or of all, or the one with an id."""
    found = lookup.rooms(sandbox, query.get("world"))
    if "id" in query:
        removed = sum(room.faults.remove(lookup.whole(query, "id", 0)) for room in found)
        if not removed:
            raise RefusedError(404, "there is no such rule")
        return 204, None
    for room in found:
        room.faults.clear()
    return 204, None


def schema(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return the JSON Schema of fault rules."""
    return 200, fault_schema.SCHEMA


def release(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Let the calls parked under a name go on."""
    name = lookup.fields(body).get("name")
    if not isinstance(name, str):
        raise RefusedError(400, "name is missing")
    return 200, {"released": sandbox.parks.release(name)}


def violations(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return what the monitors found in one world, or in all."""
    found = lookup.rooms(sandbox, query.get("world"))
    return 200, [{**v, "world": room.name} for room in found for v in list(room.violations.found)]


def monitors(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Set what the monitors of a world go by, and which of them are off."""
    judge = lookup.room(sandbox, lookup.fields(body).get("world")).violations
    judge.settings = judge.settings.changed(body)
    return 200, judge.settings.shown()


def gate(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Refuse or swallow connections for some seconds, then answer again."""
    order = lookup.fields(body)
    mode, seconds = order.get("mode"), order.get("seconds", 1)
    if mode not in {OPEN, REFUSING, SWALLOWING}:
        raise RefusedError(400, f"mode is {OPEN}, {REFUSING} or {SWALLOWING}")
    seconds = fault_schema.SECONDS.read(seconds)
    later = threading.Timer(_A_MOMENT, sandbox.gate.turn, [mode, seconds])
    later.daemon = True
    later.start()  # once this answer has left
    return 202, {"mode": mode, "seconds": seconds}


def _order_key(sandbox: Sandbox, world: str, action: str, body: Any) -> Reply:
    room = lookup.room(sandbox, world)
    room.keys.order(action, lookup.fields(body))
    return 200, room.keys.shown(world)


def _redirected(sandbox: Sandbox, request: Request) -> Answer:
    """Answer at the end of a redirect, and note whether a key came along."""
    room = lookup.room(sandbox, request.query.get("world"))
    entry = room.journal.begin(request, "")
    if {"authorization", "content-signature"} & set(request.headers):
        room.violations.forwarded(entry)
    answer = wire.json_answer(200, {"redirected": True})
    room.journal.answered(entry, answer)
    return answer


_ACTIONS: dict[tuple[str, str], Callable[[Sandbox, Query, Any], Reply]] = {
    ("GET", "/health"): health,
    ("GET", "/state"): state,
    ("GET", "/faults"): list_faults,
    ("POST", "/faults"): add_fault,
    ("DELETE", "/faults"): clear_faults,
    ("GET", "/faults/schema"): schema,
    ("GET", "/violations"): violations,
    ("POST", "/monitors"): monitors,
    ("GET", "/clock"): clock,
    ("POST", "/clock"): turn_clock,
    ("GET", "/snapshots"): resets.snapshots,
    ("POST", "/reset"): resets.reset,
    ("POST", "/release"): release,
    ("POST", "/gate"): gate,
}
_SPECIAL: dict[tuple[str, str], Callable[[Sandbox, Request], Answer]] = {
    ("GET", "/journal"): _journal,
    ("GET", "/export"): resets.export,
    ("GET", "/events"): live.events,
}
