"""What the sandbox does where the truth is unpublished, and which dialect it speaks.

Every field is a switch: a campaign file sets it under ``decisions``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .errors import SeedError

DIALECTS = ("both", "current", "2020")
_WORDS: dict[str, tuple[Any, ...]] = {
    "dialect": DIALECTS,
    "repeated_close": ("replay", "refuse"),
    "cancel_open": ("rollback", "nothing"),
    "return_without_quantity": ("line", "unit"),
    "event_effects": ("none", "tuples"),
    "illegal_transition": (400, 409),
    "unknown_session": (404, 400),
    "unknown_campaign": (400, 404),
    "second_erasure": (204, 404),
    "silent_v3": (204, 200),
    "key_mismatch": (400, 409, 422, "replay"),
    "key_in_flight": (409, 400, 429, "wait"),
}


@dataclass(frozen=True)
class Decisions:
    """One choice per open question; the defaults are those of SANDBOX.md.

    ``dialect`` "both" serves the V1 paths next to today's; "current" and "2020" are pure.
    The numbers are HTTP statuses.
    """

    dialect: str = "both"
    repeated_close: str = "replay"
    profile_can_change: bool = False
    unknown_session: int = 404
    reservation_creates_profile: bool = True
    shuffle_effects: bool = False
    extreme_decimals: bool = False
    session_always: bool = False
    cancel_open: str = "rollback"
    bare_rollbacks: bool = False
    return_without_quantity: str = "line"
    event_effects: str = "none"
    illegal_transition: int = 400
    unknown_campaign: int = 400
    second_erasure: int = 204
    silent_v3: int = 204
    key_mismatch: int | str = 400
    key_in_flight: int | str = 409
    keeps_errors: bool = False
    advocate_must_exist: bool = False

    @property
    def is_2020(self) -> bool:
        """Whether answers have the shapes of 2020 and nothing younger."""
        return self.dialect == "2020"


def choices() -> dict[str, tuple[Any, ...]]:
    """Return what each decision can be, the default first."""
    found = {}
    for entry in fields(Decisions):
        others = [w for w in _WORDS.get(entry.name, (True, False)) if w != entry.default]
        found[entry.name] = (entry.default, *others)
    return found


def parse(content: Any, path: str = "decisions") -> Decisions:
    """Return the decisions of a campaign file; raise SeedError for one that does not exist."""
    if not isinstance(content, dict):
        raise SeedError(path, "must be an object")
    known = {entry.name: entry for entry in fields(Decisions)}
    for name, value in content.items():
        if name not in known:
            raise SeedError(f"{path}.{name}", f"is no decision (there are {', '.join(known)})")
        allowed = _WORDS.get(name, (True, False))
        if not any(
            value is word or (value == word and type(value) is type(word)) for word in allowed
        ):
            raise SeedError(f"{path}.{name}", f"must be one of {', '.join(map(str, allowed))}")
    return Decisions(**content)
