"""The comparisons of ``checkAttribute``."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .state import Json

Test = Callable[[Any, Json], bool]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    return None


def _compare(test: Callable[[Decimal, Decimal], bool]) -> Test:
    def compare(value: Any, block: Json) -> bool:
        left, right = _number(value), _number(block["value"])
        return left is not None and right is not None and test(left, right)

    return compare


def _between(value: Any, block: Json) -> bool:
    number = _number(value)
    return number is not None and Decimal(block["min"]) <= number <= Decimal(block["max"])


def _contains(value: Any, block: Json) -> bool:
    return isinstance(value, str | list) and block["value"] in value


def _text(test: Callable[[str, str], bool]) -> Test:
    def matches(value: Any, block: Json) -> bool:
        return isinstance(value, str) and test(value, str(block["value"]))

    return matches


def _one_of(value: Any, block: Json) -> bool:
    return value in block["value"]


def _not(test: Test) -> Test:
    return lambda value, block: not test(value, block)


def _empty(value: Any, block: Json) -> bool:
    return value is None or value in ("", [])


def _exists(value: Any, block: Json) -> bool:
    return value is not None


_POSITIVE: dict[str, Test] = {
    "equals": lambda value, block: bool(value == block["value"]),
    "contains": _contains,
    "oneOf": _one_of,
    "empty": _empty,
    "exists": _exists,
}

OPERATORS: dict[str, Test] = {
    **_POSITIVE,
    **{f"not({name})": _not(test) for name, test in _POSITIVE.items()},
    "lessThan": _compare(lambda a, b: a < b),
    "lessThanOrEqual": _compare(lambda a, b: a <= b),
    "greaterThan": _compare(lambda a, b: a > b),
    "greaterThanOrEqual": _compare(lambda a, b: a >= b),
    "between": _between,
    "startsWith": _text(str.startswith),
    "endsWith": _text(str.endswith),
    "matchesRegexp": _text(lambda value, pattern: re.search(pattern, value) is not None),
    "isTrue": lambda value, block: value is True,
    "isFalse": lambda value, block: value is False,
}

REQUIRED: dict[str, tuple[str, ...]] = {
    "between": ("min", "max"),
    **{name: () for name in OPERATORS if "empty" in name or "exists" in name or "is" in name[:2]},
}


def required(operator: str) -> tuple[str, ...]:
    """Return the fields a block with this operator must have."""
    return REQUIRED.get(operator, ("value",))
