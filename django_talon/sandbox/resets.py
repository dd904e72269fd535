"""Taking a world back: to the seed, to nothing, to a snapshot."""

from __future__ import annotations

from typing import Any

from . import lookup, seeds, wire
from .engine.campaigns import Seed, exported
from .engine.campaigns import parse as parse_seed
from .engine.errors import RefusedError
from .keys import NAME
from .lookup import Query, Reply
from .rooms import Room, emptied
from .service import Sandbox
from .wire import Answer, Request


def reset(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Take one world, or all, back to the seed, to nothing, or to a snapshot."""
    body = lookup.fields(body)
    found = lookup.rooms(sandbox, body.get("world") or query.get("world"))
    target, content = body.get("to", "seed"), body.get("seed")
    if set(body) - {"world", "to", "seed"} or not isinstance(target, str):
        raise RefusedError(400, "reset takes world, to and seed")
    for room in found:
        _reset(sandbox, room, target, content)
    return 200, {"reset": [room.name for room in found]}


def _reset(sandbox: Sandbox, room: Room, target: str, content: Any) -> None:
    kind, _, name = target.partition(":")
    if kind == "snapshot" and name:
        if name not in room.snapshots:
            raise RefusedError(404, f"{room.name} has no snapshot {name!r}")
        room.restore(name)
    elif target == "empty":
        room.reset(emptied(sandbox.rooms.seed))
    elif kind == "seed":
        room.reset(_seed(sandbox, name, content))
    else:
        raise RefusedError(400, "to is empty, seed, seed:<name> or snapshot:<name>")


def _seed(sandbox: Sandbox, name: str, content: Any) -> Seed:
    if content is not None:
        return parse_seed(content, name or "posted")
    if not name or name == sandbox.rooms.seed.name:
        return sandbox.rooms.seed
    if name not in seeds.shipped():
        raise RefusedError(404, f"there is no seed {name!r} (there are {seeds.shipped()})")
    return seeds.load(name)


def export(sandbox: Sandbox, request: Request) -> Answer:
    """Answer with a campaign file from which a world like this one begins; its hash beside it."""
    room = lookup.room(sandbox, request.query.get("world"))
    with room.lock:
        content = exported(room.seed, room.world)
    headers = {"X-Sandbox-State": wire.digest(content["state"])}
    return wire.json_answer(200, content, headers)


def keep(sandbox: Sandbox, name: str, body: Any) -> Reply:
    """Take a snapshot of a world."""
    room = lookup.room(sandbox, lookup.fields(body).get("world"))
    if not NAME.fullmatch(name):
        raise RefusedError(400, "a snapshot's name has 1 to 100 letters, digits, - and _")
    room.keep(name)
    return 201, {"world": room.name, "snapshot": name}


def snapshots(sandbox: Sandbox, query: Query, body: Any) -> Reply:
    """Return the names of a world's snapshots."""
    return 200, sorted(lookup.room(sandbox, query.get("world")).snapshots)
