"""A hash of a snapshot: equal fingerprints need no call."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from django_talon.shop.snapshots import ProfileSnapshot, SessionSnapshot


def _plain(value: Any) -> str:
    """Write what JSON has no form for, so that 5, 5.0 and 5.00 are the same amount."""
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _normal(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(entry) for entry in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    return _plain(value)


def fingerprint(snapshot: SessionSnapshot | ProfileSnapshot) -> str:
    """Return 64 hex digits that change whenever what would be sent changes."""
    content = asdict(snapshot)
    for item in content.get("items", ()):
        del item["key"]  # the shop's own name of the line, which is not sent
    text = msgspec.json.encode(_normal(content), order="deterministic")
    return hashlib.sha256(text).hexdigest()
