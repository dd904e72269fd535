"""How answers write times, and leave out what has no value."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .state import Json


def time(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds, as the real API writes it."""
    utc = moment.astimezone(timezone.utc)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def present(**optional: Any) -> Json:
    """Return the fields that have a value, times as they are written."""
    shown = {name: value for name, value in optional.items() if value not in (None, "")}
    return {n: time(v) if isinstance(v, datetime) else v for n, v in shown.items()}
