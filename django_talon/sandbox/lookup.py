"""Reading what a control call asks: which worlds, which numbers."""

from __future__ import annotations

import re
from typing import Any

from .engine.errors import RefusedError
from .keys import NAME
from .rooms import Room
from .service import Sandbox

LONGEST_WAIT = 60.0
Query = dict[str, str]
Reply = tuple[int, Any]


def named(world: Any) -> str:
    """Return the name of the world that a call must name; raise the 400."""
    if not isinstance(world, str) or not world:
        raise RefusedError(400, "world is missing")
    if not NAME.fullmatch(world):
        raise RefusedError(400, "a world's name has 1 to 100 letters, digits, - and _")
    return world


def room(sandbox: Sandbox, world: Any) -> Room:
    """Return the room of the world that a call must name, made now if it is new."""
    return sandbox.rooms.enter(named(world))


def rooms(sandbox: Sandbox, world: Any) -> list[Room]:
    """Return the room of one world, or without a name of all."""
    if world in (None, ""):
        return sandbox.rooms.all()
    if not isinstance(world, str):
        raise RefusedError(400, "world must be a text")
    return [room(sandbox, world)]


def fields(body: Any) -> dict[str, Any]:
    """Return a body that must be an object; raise the 400."""
    if not isinstance(body, dict):
        raise RefusedError(400, "The body must be an object")
    return body


def whole(query: Query, name: str, default: int) -> int:
    """Return a query parameter that must be a whole number; raise the 400."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise RefusedError(400, f"{name} must be a number")
    return int(text)


def seconds(text: str) -> float:
    """Return how many seconds to wait, at most a minute; raise the 400."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text):
        raise RefusedError(400, "wait must be a number of seconds")
    return min(float(text), LONGEST_WAIT)
