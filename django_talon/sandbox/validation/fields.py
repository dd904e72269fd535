"""The kinds of field a request may have, each with its check and its JSON pointer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ..engine.blocks import SeedError
from ..engine.campaigns import Definitions, moment
from ..engine.errors import problem
from ..wire import Json

#: Where a value stands in the body: the place it is part of, and its name or number there.
Place = tuple[Any, ...]
BODY: Place = ()
LARGEST = Decimal("1e15")


@dataclass
class Form:
    """One body being checked: the account's definitions, and what was found wrong so far."""

    definitions: Definitions
    loose: bool = False
    problems: list[Json] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def reject(self, title: str, details: str, place: Place) -> None:
        """Note a problem of the value at this place."""
        self.problems.append(problem(title, details, pointer=_pointer(place)))

    def unknown(self, title: str, details: str, place: Place, hint: str) -> None:
        """Note something undeclared: a problem, or when loose only a hint."""
        self.hints.append(hint)
        if not self.loose:
            self.reject(title, details, place)


Check = Callable[[Any, Place, Form], Any]


def _pointer(place: Place) -> str:
    if place == BODY:
        return ""
    outer, name = place
    return f"{_pointer(outer)}/{str(name).replace('~', '~0').replace('/', '~1')}"


def text(least: int = 0, most: int | None = None) -> Check:
    """Return a check for a text of so many characters."""

    def check(value: Any, place: Place, form: Form) -> Any:
        if not isinstance(value, str):
            form.reject("Invalid type", "must be a string", place)
        elif len(value) < least or (most is not None and len(value) > most):
            form.reject("Invalid length", f"must have {least} to {most} characters", place)
        return value

    return check


def whole(least: int, most: int = 10**9) -> Check:
    """Return a check for an integer in this range."""

    def check(value: Any, place: Place, form: Form) -> Any:
        if not _is_whole(value):
            form.reject("Invalid type", "must be an integer", place)
        elif not least <= value <= most:
            form.reject("Out of range", f"must be {least} to {most}", place)
        return value

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(least: int | None = None) -> Check:
    """Return a check for a number; it comes out as Decimal."""

    def check(value: Any, place: Place, form: Form) -> Any:
        if type(value) is not Decimal and not _is_whole(value):
            form.reject("Invalid type", "must be a number", place)
            return value
        exact = Decimal(value)
        if abs(exact) > LARGEST or (least is not None and exact < least):
            form.reject("Out of range", f"must be {least or -LARGEST} to {LARGEST}", place)
        return exact

    return check


def date_time(value: Any, place: Place, form: Form) -> Any:
    """Check an RFC 3339 time; it comes out as an aware datetime."""
    try:
        return moment(value, "")
    except SeedError:
        form.reject("Invalid type", "must be an RFC 3339 time", place)
        return value


def choice(*allowed: str) -> Check:
    """Return a check for one of these words, with the literal details of the real API."""
    listed = ", ".join(f'"{word}"' for word in allowed)

    def check(value: Any, place: Place, form: Form) -> Any:
        if value not in allowed:
            form.reject("enum", f"{place[-1]} must be one of the following: {listed}", place)
        return value

    return check


def many(check_one: Check, most: int) -> Check:
    """Return a check for a list of at most so many entries."""

    def check(value: Any, place: Place, form: Form) -> Any:
        if not isinstance(value, list):
            form.reject("Invalid type", "must be an array", place)
            return value
        if len(value) > most:
            form.reject("Out of range", f"must have at most {most} entries", place)
            return value
        return [check_one(entry, (place, i), form) for i, entry in enumerate(value)]

    return check


def mapping(value: Any, place: Place, form: Form) -> Any:
    """Check an object whose fields this sandbox does not look at."""
    if not isinstance(value, dict):
        form.reject("Invalid type", "must be an object", place)
    return value


def shape(required: dict[str, Check], optional: dict[str, Check]) -> Check:
    """Return a check for an object; null counts as not sent, unknown fields are refused."""
    checks = {**required, **optional}

    def check(value: Any, place: Place, form: Form) -> Any:
        if not isinstance(value, dict):
            form.reject("Invalid type", "must be an object", place)
            return value
        for name in required:
            if value.get(name) is None:
                form.reject("Missing", f"{name} is required", (place, name))
        return {
            name: checks.get(name, _unknown)(entry, (place, name), form)
            for name, entry in value.items()
            if entry is not None
        }

    return check


def _unknown(value: Any, place: Place, form: Form) -> Any:
    name = place[-1]
    form.unknown("Unknown field", f"{name} is not known here", place, f"leave out {name}")
    return value
