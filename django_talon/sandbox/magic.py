"""Codes and ids that ask for trouble: what a tester can type into a shop, without a control call.

``SBX-503-3`` fails three times and then works; so does a session or profile whose id begins
with it. Each becomes a fault rule when it is first seen.
"""

from __future__ import annotations

import re
import threading

from .faults import Faults
from .journal import Entry
from .wire import Json

_VALUE = re.compile(r"^sbx-([45]\d\d|slow|reset)(?:-(\d{1,3}))?(?=-|\Z)", re.ASCII | re.IGNORECASE)
_ACTIONS: dict[str, Json] = {
    "slow": {"delay": {"seconds": 3}},
    "reset": {"reset": {}},
    "429": {"status": {"code": 429, "retryAfter": "1"}},
}


class Magic:
    """The magic values that one world has seen."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def notice(self, entry: Entry) -> None:
        """Add a fault rule for each magic value that a call is the first to name."""
        named = [("coupon", code) for code in entry.coupons]
        named += [("session", entry.session_id), ("profile", entry.profile_id)]
        for kind, value in named:
            match = _VALUE.match(value)
            if match is not None:
                self._once(kind, value, match.group(1).lower(), int(match.group(2) or 1))

    def _once(self, kind: str, value: str, what: str, times: int) -> None:
        with self._lock:
            if (kind, value) in self._seen or not times:
                return
            self._seen.add((kind, value))
            action = _ACTIONS.get(what) or {"status": {"code": int(what)}}
            self._faults.add({"match": {kind: value}, "when": {"first": times}, "do": action})
