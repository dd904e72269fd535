"""The kinds of field a campaign file has; what does not fit is refused with its path."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .errors import SeedError
from .state import Json


def fields(value: Any, path: str, required: set[str], optional: set[str]) -> Json:
    """Return an object with exactly the fields allowed, or raise SeedError."""
    if not isinstance(value, dict):
        raise SeedError(path, "must be an object")
    for name in sorted(required - set(value)):
        raise SeedError(path, f"{name} is missing")
    for name in sorted(set(value) - required - optional):
        raise SeedError(f"{path}.{name}", "is not known here")
    return value


def many(value: Any, path: str) -> list[tuple[str, Any]]:
    """Return the entries of a list, each with its path."""
    if not isinstance(value, list):
        raise SeedError(path, "must be a list")
    return [(f"{path}[{index}]", entry) for index, entry in enumerate(value)]


def one_of(value: Any, path: str, *allowed: str) -> None:
    """Refuse what is none of these words."""
    if value not in allowed:
        raise SeedError(path, f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def text(value: Any, path: str, least: int = 1) -> str:
    """Return a text of so many characters or more, or raise SeedError."""
    if not isinstance(value, str) or len(value) < least:
        raise SeedError(path, f"must be a text of {least} characters or more")
    return value


def whole(value: Any, path: str, least: int = 0) -> int:
    """Return a whole number of at least so much, or raise SeedError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SeedError(path, f"must be a whole number, {least} or more")
    return value


def number(value: Any, path: str) -> Decimal:
    """Return a number that is not negative, or raise SeedError."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value < 0:
        raise SeedError(path, "must be a number, 0 or more")
    return Decimal(value)
