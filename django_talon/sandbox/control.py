"""The sandbox's own paths under ``/_sandbox/``: journal, state, faults, reset, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import inspector, wire
from .engine import render, rollbacks
from .engine.errors import RefusedError
from .faults import FaultError
from .refusals import answer_to
from .rooms import DEFAULT_APPLICATION, Room
from .service import Sandbox
from .wire import Answer, Json, Request

PREFIX = "/_sandbox"
Query = dict[str, str]


def handle(sandbox: Sandbox, request: Request) -> Answer:
    """Answer a control request; never raises."""
    path = request.path.removeprefix(PREFIX) or "/"
    if path == "/" and request.method == "GET":
        return Answer(200, inspector.PAGE, inspector.HEADERS)
    try:
        return wire.json_answer(*_dispatch(sandbox, request, path))
    except (RefusedError, FaultError, wire.MalformedError) as error:
        return answer_to(
            error if isinstance(error, RefusedError) else RefusedError(400, str(error))
        )


def _dispatch(sandbox: Sandbox, request: Request, path: str) -> tuple[int, Any]:
    parts = path.strip("/").split("/")
    if len(parts) == 3 and parts[0] == "keys" and request.method == "POST":
        return _switch_key(sandbox, parts[1], parts[2])
    action = _ACTIONS.get((request.method, path))
    if action is None:
        raise RefusedError(404, f"No control at {request.method} {request.path}")
    body = wire.decode(request.body) if request.body else {}
    if not isinstance(body, dict | list):
        raise RefusedError(400, "The body must be an object")
    return action(sandbox, request.query, body)


def _rooms(sandbox: Sandbox, world: Any) -> list[Room]:
    if world in (None, ""):
        return sandbox.rooms.all()
    if not isinstance(world, str):
        raise RefusedError(400, "world must be a text")
    return [sandbox.rooms.enter(world)]


def health(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Say that the sandbox runs, with which seed."""
    worlds = [room.name for room in sandbox.rooms.all()]
    return 200, {"status": "ok", "seed": sandbox.rooms.seed.name, "worlds": worlds}


def journal(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Return the calls of one world, or of all, oldest first."""
    since = query.get("since", "0")
    if not since.isdecimal():
        raise RefusedError(400, "since must be an index")
    journals = [room.journal for room in _rooms(sandbox, query.get("world"))]
    if not query.get("world"):
        journals.append(sandbox.rooms.lobby)
    entries = [entry for one in journals for entry in one.entries(int(since))]
    return 200, [entry.shown() for entry in sorted(entries, key=lambda e: (e.started, e.index))]


def reset(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Take one world, or all, back to the seed."""
    found = _rooms(sandbox, body.get("world") or query.get("world"))
    for room in found:
        room.reset()
    return 200, {"reset": [room.name for room in found]}


def state(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Return what an application of a world holds."""
    if not query.get("world"):
        raise RefusedError(400, "world is missing")
    room = sandbox.rooms.enter(query["world"])
    with room.lock:
        return 200, _state(room, query.get("application", DEFAULT_APPLICATION))


def _state(room: Room, name: str) -> Json:
    application = room.application(name)
    sessions = {
        key: {
            **render.session_v2(session),
            "effects": [render.effect_v2(effect) for effect in rollbacks.net(session)],
        }
        for key, session in application.sessions.items()
    }
    coupons = {
        key: {**render.coupon(coupon), "reservedFor": list(coupon.reserved_for)}
        for key, coupon in application.coupons.items()
    }
    return {
        "world": room.name,
        "application": name,
        "profiles": {key: render.profile(p) for key, p in room.world.profiles.items()},
        "erased": {key: render.time(at) for key, at in room.world.erased.items()},
        "sessions": sessions,
        "coupons": coupons,
        "referrals": {k: render.inventory_referral(r) for k, r in application.referrals.items()},
        "events": [render.event(event) for event in application.events],
    }


def list_faults(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Return the fault rules of one world, or of all."""
    found = _rooms(sandbox, query.get("world"))
    return 200, [{**rule.shown(), "world": r.name} for r in found for rule in r.faults.rules]


def add_fault(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Add a fault rule to the world it names."""
    world = body.get("world") if isinstance(body, dict) else None
    if not isinstance(world, str) or not world:
        raise RefusedError(400, "world is missing")
    return 201, sandbox.rooms.enter(world).faults.add(body).shown()


def clear_faults(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Remove the fault rules of one world, or of all."""
    for room in _rooms(sandbox, query.get("world")):
        room.faults.clear()
    return 204, None


def release(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Let the calls parked under a name go on."""
    name = body.get("name")
    if not isinstance(name, str):
        raise RefusedError(400, "name is missing")
    return 200, {"released": sandbox.parks.release(name)}


def violations(sandbox: Sandbox, query: Query, body: Any) -> tuple[int, Any]:
    """Return what the monitors found in one world, or in all."""
    found = _rooms(sandbox, query.get("world"))
    return 200, [{**v, "world": room.name} for room in found for v in list(room.violations.found)]


def _switch_key(sandbox: Sandbox, world: str, action: str) -> tuple[int, Any]:
    if action not in {"revoke", "restore"}:
        raise RefusedError(404, "keys can be revoked and restored")
    sandbox.rooms.enter(world).revoked = action == "revoke"
    return 200, {"world": world, "revoked": action == "revoke"}


_ACTIONS: dict[tuple[str, str], Callable[[Sandbox, Query, Any], tuple[int, Any]]] = {
    ("GET", "/health"): health,
    ("GET", "/journal"): journal,
    ("GET", "/state"): state,
    ("GET", "/faults"): list_faults,
    ("POST", "/faults"): add_fault,
    ("DELETE", "/faults"): clear_faults,
    ("GET", "/violations"): violations,
    ("POST", "/reset"): reset,
    ("POST", "/release"): release,
}
