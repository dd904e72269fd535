"""The comparisons of ``checkAttribute``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

from . import times
from .errors import SeedError
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


def _common(value: Any, block: Json) -> int:
    """Count the listed values that a list holds."""
    return sum(wanted in value for wanted in block["values"]) if isinstance(value, list) else 0


def moment(value: Any) -> datetime | None:
    """Return a time of the wire or of the clock; None for anything else."""
    if isinstance(value, datetime):
        return value
    return _parsed(value) if isinstance(value, str) else None


@lru_cache(maxsize=1024)
def _parsed(value: str) -> datetime | None:
    try:
        return times.moment(value, "")
    except SeedError:
        return None


def _timed(test: Callable[[datetime, datetime], bool]) -> Test:
    def compare(value: Any, block: Json) -> bool:
        left, right = moment(value), moment(block["value"])
        return left is not None and right is not None and test(left, right)

    return compare


def _within(value: Any, block: Json) -> bool:
    at, start, end = moment(value), moment(block["start"]), moment(block["end"])
    if at is None or start is None or end is None:
        return False
    after = at >= start if block.get("startInclusive", True) else at > start
    return after and (at <= end if block.get("endInclusive", True) else at < end)


_POSITIVE: dict[str, Test] = {
    "equals": lambda value, block: bool(value == block["value"]),
    "contains": _contains,
    "oneOf": _one_of,
    "inCollection": _one_of,
    "empty": _empty,
    "exists": _exists,
    "within": _within,
}

OPERATORS: dict[str, Test] = {
    **_POSITIVE,
    **{f"not({name})": _not(test) for name, test in _POSITIVE.items()},
    "lessThan": _compare(lt),
    "lessThanOrEqual": _compare(le),
    "greaterThan": _compare(gt),
    "greaterThanOrEqual": _compare(ge),
    "between": _between,
    "startsWith": _text(str.startswith),
    "endsWith": _text(str.endswith),
    "matchesRegexp": _text(lambda value, pattern: re.search(pattern, value) is not None),
    "after": _timed(lambda a, b: a > b),
    "before": _timed(lambda a, b: a < b),
    "containsOneOf": lambda value, block: _common(value, block) > 0,
    "containsNoneOf": lambda value, block: _common(value, block) == 0,
    "containsAllOf": lambda value, block: _common(value, block) == len(block["values"]),
    "containsAtLeast": lambda value, block: _common(value, block) >= block["count"],
    "containsExactly": lambda value, block: _common(value, block) == block["count"],
    "isTrue": lambda value, block: value is True,
    "isFalse": lambda value, block: value is False,
}


def compiled(block: Json) -> Callable[[Any], bool]:
    """Return the comparison of a block whose operands are no templates."""
    test, operator = OPERATORS[block["operator"]], _ORDER.get(block["operator"])
    if block["operator"] == "equals":
        wanted = block["value"]
        return lambda value: bool(value == wanted)
    right = _number(block.get("value"))
    if operator is None or right is None:
        return lambda value: test(value, block)

    def compare(value: Any) -> bool:
        if type(value) is Decimal:
            return operator(value, right)
        left = _number(value)
        return left is not None and operator(left, right)

    return compare


_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "lessThan": lt,
    "lessThanOrEqual": le,
    "greaterThan": gt,
    "greaterThanOrEqual": ge,
}
_LISTS = ("containsOneOf", "containsNoneOf", "containsAllOf")
_COUNTED = ("containsAtLeast", "containsExactly")
REQUIRED_LISTS = (*_LISTS, *_COUNTED)
_ALONE = ("empty", "not(empty)", "exists", "not(exists)", "isTrue", "isFalse")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "between": ("min", "max"),
    "within": ("start", "end"),
    "not(within)": ("start", "end"),
    **dict.fromkeys(_LISTS, ("values",)),
    **dict.fromkeys(_COUNTED, ("values", "count")),
    **dict.fromkeys(_ALONE, ()),
}


def required(operator: str) -> tuple[str, ...]:
    """Return the fields a block with this operator must have."""
    return _REQUIRED.get(operator, ("value",))
