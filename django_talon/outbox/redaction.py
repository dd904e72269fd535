"""Requests as they may be shown to everybody: their shape, without what people told the shop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django_talon.models import DeadLetter
from django_talon.models.outbox import TRANSITIONS, Kind

#: Values that say nothing about a person.
_SHOWN = frozenset({"state", "type", "sku", "quantity", "price"})
#: Entries of a list that are shown; the others are like them.
_MOST = 20


def redacted(value: Any, name: str = "") -> Any:
    """Return the same structure with the type of each value in its place."""
    if isinstance(value, Mapping):
        return {key: redacted(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(entry) for entry in value[:_MOST]]
    if name in _SHOWN or value is None:
        return value
    if isinstance(value, bool):
        return "<boolean>"
    return "<number>" if isinstance(value, int | float) else "<text>"


def request_of(letter: DeadLetter) -> str:
    """Return the redacted request of a dead letter as JSON text.

    Empty for state: carts and customers are rendered anew whenever they are sent.
    """
    payload = letter.payload or {}
    if letter.kind == Kind.EVENT:
        body: Any = {name: payload.get(name) for name in ("type", "profile_id", "attributes")}
    elif letter.kind in TRANSITIONS and payload.get("request"):
        body = json.loads(payload["request"])
    else:
        return ""
    return json.dumps(redacted(body), indent=2, ensure_ascii=False)
