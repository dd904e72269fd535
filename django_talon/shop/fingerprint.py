"""A hash of a snapshot: equal fingerprints need no call."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from django_talon.shop.snapshots import ItemSnapshot, ProfileSnapshot, SessionSnapshot

_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def _number(value: Decimal) -> Decimal:
    """Return the one form of an amount: 5, 5.0 and 5.00 are the same."""
    return Decimal(format(value.normalize() + 0, "f"))


def _normal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _normal(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(entry) for entry in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    return str(value)


def _sent(item: ItemSnapshot) -> dict[str, Any]:
    """Return what is sent of a line: all but the shop's own name of it."""
    return {name: value for name, value in vars(item).items() if name != "key"}


def fingerprint(snapshot: SessionSnapshot | ProfileSnapshot) -> str:
    """Return 64 hex digits that change whenever what would be sent changes."""
    content = dict(vars(snapshot))
    if "items" in content:
        content["items"] = [_sent(item) for item in content["items"]]
    return hashlib.sha256(_encoder.encode(_normal(content))).hexdigest()
