"""The one schema of fault rules, for tests, command line and inspector: what may stand in them.

``SCHEMA`` is JSON Schema; the checks here are the same tables in action.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from .clock import parsed
from .engine.errors import RefusedError
from .operations import OPERATIONS
from .wire import Json

PHASES = ("before_apply", "after_apply", "late_apply")
JUNK = ("html", "empty", "json", "charset", "gzip_bomb")
POINTS = ("accept", "head", "body", "answer")
REDIRECTS = (301, 302, 303, 307, 308)
SHAPES = ("drop", "null", "retype", "add")
LONGEST, LARGEST = 3600, 256 * 1024 * 1024


class FaultError(ValueError):
    """A fault rule is malformed."""


class Kind(NamedTuple):
    """What a value may be: its JSON Schema, and the check that returns it in our types."""

    schema: Json
    read: Callable[[Any], Any]


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or hasattr(value, "is_finite"))


def number(least: float, most: float, *, whole: bool = False) -> Kind:
    """Return the kind of numbers in a range."""

    def read(value: Any) -> Any:
        plain = float(value) if isinstance(value, float) or _is_number(value) else None
        if plain is None or not least <= plain <= most or (whole and plain != int(plain)):
            raise FaultError(f"must be a {'whole ' * whole}number, {least} to {most}")
        return int(plain) if whole else plain

    name = "integer" if whole else "number"
    return Kind({"type": name, "minimum": least, "maximum": most}, read)


def words(*allowed: str) -> Kind:
    """Return the kind of these words."""

    def read(value: Any) -> str:
        if value not in allowed:
            raise FaultError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return Kind({"enum": list(allowed)}, read)


def _redirect(value: Any) -> int:
    if value not in REDIRECTS or isinstance(value, bool):
        raise FaultError(f"must be one of {', '.join(map(str, REDIRECTS))}")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise FaultError("must be a text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FaultError("must be true or false")
    return value


def _pair(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise FaultError("must be a list of two")
    return value


def _times(value: Any) -> tuple[datetime, datetime]:
    try:
        start, end = (parsed(entry) for entry in _pair(value))
    except RefusedError as error:
        raise FaultError(error.message) from error
    return start, end


def _distribution(value: Any) -> tuple[float, float]:
    low, high = (SECONDS.read(entry) for entry in _pair(value))
    return low, high


def _headers(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(
        v is True or isinstance(v, str) for v in value.values()
    ):
        raise FaultError("must map header names to texts, or to true for any value")
    return {name.lower(): wanted for name, wanted in value.items()}


def _retry_after(value: Any) -> Any:
    if isinstance(value, dict):
        return {"date": number(-1e9, 1e9).read(value.get("date"))}
    if _is_number(value):
        return str(value)
    return _text(value).replace("\r", "").replace("\n", "")


TEXT = Kind({"type": "string", "minLength": 1}, _text)
FLAG = Kind({"type": "boolean"}, _flag)
ANY = Kind({}, lambda value: value)
SECONDS = number(0, LONGEST)
COUNT = number(1, 1_000_000, whole=True)
RETRY_AFTER = Kind(
    {
        "oneOf": [
            {"type": ["string", "integer"]},
            {"type": "object", "properties": {"date": {"type": "number"}}, "required": ["date"]},
        ]
    },
    _retry_after,
)
_RANGE = Kind({"type": "array", "minItems": 2, "maxItems": 2}, _distribution)
_BETWEEN = Kind(
    {"type": "array", "items": {"format": "date-time"}, "minItems": 2, "maxItems": 2}, _times
)
_HEADER = Kind({"type": "object"}, _headers)

MATCH = {
    "operation": words(*(operation.name for operation in OPERATIONS)),
    "id": TEXT,
    "session": TEXT,
    "profile": TEXT,
    "application": TEXT,
    "coupon": TEXT,
    "method": TEXT,
    "dry": FLAG,
    "header": _HEADER,
}
WHEN = {
    "first": COUNT,
    "nth": COUNT,
    "every": COUNT,
    "probability": number(0, 1),
    "between": _BETWEEN,
}
ACTIONS: dict[str, dict[str, Kind]] = {
    "status": {
        "code": number(200, 599, whole=True),
        "retryAfter": RETRY_AFTER,
        "body": ANY,
        "text": Kind({"type": "string"}, str),
    },
    "refuse": {"seconds": SECONDS},
    "blackhole": {"seconds": SECONDS},
    "delay": {"seconds": SECONDS, "uniform": _RANGE, "lognormal": _RANGE},
    "hang": {"seconds": SECONDS},
    "park": {"name": TEXT},
    "drip": {"part": words("head", "body"), "bytes": COUNT, "interval": SECONDS},
    "reset": {"at": words(*POINTS), "seconds": SECONDS},
    "truncate": {"bytes": number(0, LARGEST, whole=True), "chunked": FLAG, "inChunk": FLAG},
    "junk": {"kind": words(*JUNK), "bytes": number(1, LARGEST, whole=True)},
    "redirect": {"code": Kind({"enum": list(REDIRECTS)}, _redirect), "to": TEXT},
    "apply_late": {"seconds": SECONDS},
    "apply_twice": {},
    "never_apply_but_200": {},
    "stale_read": {"seconds": SECONDS},
    "limit": {
        "rate": number(0, 1e6),
        "burst": COUNT,
        "concurrent": COUNT,
        "scope": words("key", "customer"),
        "retryAfter": RETRY_AFTER,
        "hint": words("none", "seconds", "date"),
    },
    "revoke": {"calls": COUNT},
    "shape": {"pointer": TEXT, "how": words(*SHAPES), "value": ANY},
}
REQUIRED = {
    "status": ("code",),
    "park": ("name",),
    "redirect": ("code",),
    "shape": ("pointer", "how"),
}
RULE = {
    "world": TEXT,
    "match": ANY,
    "when": ANY,
    "phase": words(*PHASES),
    "do": ANY,
    "seed": number(0, 2**53, whole=True),
    "seconds": SECONDS,
}


def read(what: str, value: Any, known: dict[str, Kind], required: tuple[str, ...] = ()) -> Json:
    """Return an object's values checked; raise FaultError that names what is wrong."""
    if not isinstance(value, dict) or set(value) - set(known):
        raise FaultError(f"{what} is an object with {', '.join(known) or 'nothing in it'}")
    for name in required:
        if name not in value:
            raise FaultError(f"{what}.{name} is missing")
    checked = {}
    for name, entry in value.items():
        try:
            checked[name] = known[name].read(entry)
        except FaultError as error:
            raise FaultError(f"{what}.{name} {error}") from error
    return checked


def _object(known: dict[str, Kind], required: tuple[str, ...] = ()) -> Json:
    properties = {name: kind.schema for name, kind in known.items()}
    made: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": list(required)} if required else made


def _schema() -> Json:
    do = _object({n: Kind(_object(k, REQUIRED.get(n, ())), ANY.read) for n, k in ACTIONS.items()})
    rule = _object(RULE)
    rule["properties"] |= {
        "match": _object(MATCH),
        "when": _object(WHEN),
        "do": {**do, "minProperties": 1, "maxProperties": 1},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A fault rule of the sandbox",
        **rule,
    }


SCHEMA = _schema()
