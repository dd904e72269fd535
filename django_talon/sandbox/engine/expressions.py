"""Template arithmetic such as ``{{$Session.CartTotal * 0.1}}``: numbers, names, + - * / ( )."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Resolve = Callable[[str], Any]

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|(\$[A-Za-z_][\w.]*)|([-+*/()]))")
_DEEPEST = 50


class ExpressionError(ValueError):
    """The expression is malformed, or has no value for this session."""


def placeholders(text: str) -> list[str]:
    """Return what stands between ``{{`` and ``}}``."""
    return _TEMPLATE.findall(text)


def names(expression: str) -> list[str]:
    """Return the ``$``-names used in an expression."""
    return [token for token in tokens(expression) if token.startswith("$")]


def tokens(expression: str) -> list[str]:
    """Split an expression; raise ExpressionError on anything that is no token of it."""
    found, position, text = [], 0, expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"unexpected {text[position:].strip()[:20]!r}")
        found.append(match.group(0).strip())
        position = match.end()
    return found


def number(value: Any, resolve: Resolve) -> Decimal:
    """Return a literal number, or the value of a template, as Decimal."""
    if isinstance(value, str):
        inner = placeholders(value)
        return evaluate(inner[0] if inner else value, resolve)
    return Decimal(value)


def text(value: str, resolve: Resolve) -> str:
    """Return a text with its templates filled in."""
    return _TEMPLATE.sub(lambda match: str(_inserted(match.group(1), resolve)), value)


def _inserted(expression: str, resolve: Resolve) -> Any:
    parts = tokens(expression)
    if len(parts) == 1 and parts[0].startswith("$"):
        return resolve(parts[0])
    return evaluate(expression, resolve)


def evaluate(expression: str, resolve: Resolve) -> Decimal:
    """Return the value of an expression; raise ExpressionError where it has none."""
    parser = _Parser(tokens(expression), resolve)
    try:
        value = parser.sum()
    except ArithmeticError as error:
        raise ExpressionError(f"{expression.strip()} has no value") from error
    if parser.rest():
        raise ExpressionError(f"unexpected {parser.rest()[0]!r} in {expression.strip()!r}")
    return value


class _Parser:
    def __init__(self, parts: list[str], resolve: Resolve) -> None:
        self._parts = parts
        self._resolve = resolve
        self._at = 0
        self._depth = 0

    def rest(self) -> list[str]:
        return self._parts[self._at :]

    def _next_is(self, *wanted: str) -> str:
        if self._at < len(self._parts) and self._parts[self._at] in wanted:
            self._at += 1
            return self._parts[self._at - 1]
        return ""

    def sum(self) -> Decimal:
        value = self._product()
        while sign := self._next_is("+", "-"):
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> Decimal:
        value = self._factor()
        while sign := self._next_is("*", "/"):
            other = self._factor()
            value = value * other if sign == "*" else value / other
        return value

    def _factor(self) -> Decimal:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError("nested too deeply")
        value = self._signed()
        self._depth -= 1
        return value

    def _signed(self) -> Decimal:
        if self._next_is("-"):
            return -self._factor()
        if not self._next_is("("):
            return self._atom()
        value = self.sum()
        if not self._next_is(")"):
            raise ExpressionError("missing )")
        return value

    def _atom(self) -> Decimal:
        if not self.rest():
            raise ExpressionError("ends too early")
        part = self._parts[self._at]
        self._at += 1
        if part.startswith("$"):
            return _as_number(part, self._resolve(part))
        if not part[0].isdigit():
            raise ExpressionError(f"unexpected {part!r}")
        return Decimal(part)


def _as_number(name: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ExpressionError(f"{name} is not a number")
    return Decimal(value)
