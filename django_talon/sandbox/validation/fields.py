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

LARGEST = Decimal("1e15")


@dataclass
class Form:
    """One body being checked: the account's definitions, and what was found wrong so far."""

    definitions: Definitions
    loose: bool = False
    problems: list[Json] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def reject(self, title: str, details: str, pointer: str) -> None:
        """Note a problem of the value at this pointer."""
        self.problems.append(problem(title, details, pointer=pointer))

    def unknown(self, title: str, details: str, pointer: str, hint: str) -> None:
        """Note something undeclared: a problem, or when loose only a hint."""
        self.hints.append(hint)
        if not self.loose:
            self.reject(title, details, pointer)


Check = Callable[[Any, str, Form], Any]


def text(least: int = 0, most: int | None = None) -> Check:
    """Return a check for a text of so many characters."""

    def check(value: Any, pointer: str, form: Form) -> Any:
        if not isinstance(value, str):
            form.reject("Invalid type", "must be a string", pointer)
        elif len(value) < least or (most is not None and len(value) > most):
            form.reject("Invalid length", f"must have {least} to {most} characters", pointer)
        return value

    return check


def whole(least: int, most: int = 10**9) -> Check:
    """Return a check for an integer in this range."""

    def check(value: Any, pointer: str, form: Form) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            form.reject("Invalid type", "must be an integer", pointer)
        elif not least <= value <= most:
            form.reject("Out of range", f"must be {least} to {most}", pointer)
        return value

    return check


def number(least: int | None = None) -> Check:
    """Return a check for a number; it comes out as Decimal."""

    def check(value: Any, pointer: str, form: Form) -> Any:
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            form.reject("Invalid type", "must be a number", pointer)
            return value
        exact = Decimal(value)
        if abs(exact) > LARGEST or (least is not None and exact < least):
            form.reject("Out of range", f"must be {least or -LARGEST} to {LARGEST}", pointer)
        return exact

    return check


def date_time(value: Any, pointer: str, form: Form) -> Any:
    """Check an RFC 3339 time; it comes out as an aware datetime."""
    try:
        return moment(value, pointer)
    except SeedError:
        form.reject("Invalid type", "must be an RFC 3339 time", pointer)
        return value


def choice(*allowed: str) -> Check:
    """Return a check for one of these words, with the literal details of the real API."""
    listed = ", ".join(f'"{word}"' for word in allowed)

    def check(value: Any, pointer: str, form: Form) -> Any:
        if value not in allowed:
            name = pointer.rpartition("/")[2]
            form.reject("enum", f"{name} must be one of the following: {listed}", pointer)
        return value

    return check


def many(check_one: Check, most: int) -> Check:
    """Return a check for a list of at most so many entries."""

    def check(value: Any, pointer: str, form: Form) -> Any:
        if not isinstance(value, list):
            form.reject("Invalid type", "must be an array", pointer)
            return value
        if len(value) > most:
            form.reject("Out of range", f"must have at most {most} entries", pointer)
            return value
        return [check_one(entry, f"{pointer}/{i}", form) for i, entry in enumerate(value)]

    return check


def mapping(value: Any, pointer: str, form: Form) -> Any:
    """Check an object whose fields this sandbox does not look at."""
    if not isinstance(value, dict):
        form.reject("Invalid type", "must be an object", pointer)
    return value


def shape(required: dict[str, Check], optional: dict[str, Check]) -> Check:
    """Return a check for an object; null counts as not sent, unknown fields are refused."""
    checks = {**required, **optional}

    def check(value: Any, pointer: str, form: Form) -> Any:
        if not isinstance(value, dict):
            form.reject("Invalid type", "must be an object", pointer)
            return value
        sent = {name: entry for name, entry in value.items() if entry is not None}
        for name in required:
            if name not in sent:
                form.reject("Missing", f"{name} is required", f"{pointer}/{name}")
        return {name: _known(checks, name, entry, pointer, form) for name, entry in sent.items()}

    return check


def _known(checks: dict[str, Check], name: str, entry: Any, pointer: str, form: Form) -> Any:
    where = f"{pointer}/{escaped(name)}"
    if name in checks:
        return checks[name](entry, where, form)
    form.unknown("Unknown field", f"{name} is not known here", where, f"leave out {name}")
    return entry


def escaped(name: str) -> str:
    """Return a name as a JSON pointer writes it."""
    return name.replace("~", "~0").replace("/", "~1")
