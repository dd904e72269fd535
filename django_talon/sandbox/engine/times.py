"""RFC 3339 times, as campaign files and requests write them."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from .errors import SeedError

_TIME = re.compile(
    r"^(\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?)?$",
    re.ASCII,
)


def moment(value: Any, path: str) -> datetime | None:
    """Return an RFC 3339 time as UTC; None stays None, a mere date is its midnight."""
    if value is None:
        return None
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        raise SeedError(path, f"{value!r} is no RFC 3339 time")
    day, clock, fraction, zone = match.groups()
    micro = (fraction or "")[:6].ljust(6, "0")
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        parsed = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}.{micro}{offset}")
        return parsed.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise SeedError(path, f"{value!r} is no RFC 3339 time") from error
