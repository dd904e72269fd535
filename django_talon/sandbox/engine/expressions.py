"""Template arithmetic such as ``{{$Session.CartTotal * 0.1}}``: numbers, names, + - * / ( )."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache, partial
from typing import Any

Resolve = Callable[[str], Any]
Formula = Callable[[Resolve], Decimal]

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|(\$[A-Za-z_][\w.]*)|([-+*/()]))")
_DEEPEST = 50
_DIGITS = Context(prec=28)


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
    return formula(value)(resolve)


def formula(value: Any) -> Formula:
    """Return a literal number or a template as a function; raise ExpressionError if malformed."""
    if isinstance(value, str):
        return _valued(inner(value))
    literal = Decimal(value)
    return lambda resolve: literal


@lru_cache(maxsize=4096)
def inner(template: str) -> str:
    """Return the expression of a template; what is no template is one already."""
    found = placeholders(template)
    return found[0] if found else template


def text(value: str, resolve: Resolve) -> str:
    """Return a text with its templates filled in."""
    if "{{" not in value:
        return value
    return _TEMPLATE.sub(lambda match: str(_inserted(match.group(1), resolve)), value)


def operand(value: Any, resolve: Resolve) -> Any:
    """Return what a block compares with: a template's value, anything else as it stands."""
    if isinstance(value, str) and value.startswith("{{"):
        return _inserted(inner(value), resolve)
    return value


def _inserted(expression: str, resolve: Resolve) -> Any:
    parts = tokens(expression)
    if len(parts) == 1 and parts[0].startswith("$"):
        return resolve(parts[0])
    return evaluate(expression, resolve)


def shortened(value: Decimal) -> Decimal:
    """Return a value to 28 significant digits, so that sums of such values stay exact."""
    return _DIGITS.plus(value)


def evaluate(expression: str, resolve: Resolve) -> Decimal:
    """Return the value of an expression; raise ExpressionError where it has none."""
    return _valued(expression)(resolve)


@lru_cache(maxsize=4096)
def _valued(expression: str) -> Formula:
    exact = compiled(expression)

    def value(resolve: Resolve) -> Decimal:
        try:
            return shortened(exact(resolve))
        except ArithmeticError as error:
            raise ExpressionError(f"{expression.strip()} has no value") from error

    return value


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Formula:
    """Return an expression as a function; raise ExpressionError for a malformed one."""
    parser = _Parser(tokens(expression))
    formula = parser.sum()
    if parser.rest():
        raise ExpressionError(f"unexpected {parser.rest()[0]!r} in {expression.strip()!r}")
    return formula


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _combined(sign: str, left: Formula, right: Formula) -> Formula:
    act = _ARITHMETIC[sign]
    return lambda resolve: act(left(resolve), right(resolve))


class _Parser:
    def __init__(self, parts: list[str]) -> None:
        self._parts = parts
        self._at = 0
        self._depth = 0

    def rest(self) -> list[str]:
        return self._parts[self._at :]

    def _next_is(self, *wanted: str) -> str:
        if self._at < len(self._parts) and self._parts[self._at] in wanted:
            self._at += 1
            return self._parts[self._at - 1]
        return ""

    def sum(self) -> Formula:
        value = self._product()
        while sign := self._next_is("+", "-"):
            value = _combined(sign, value, self._product())
        return value

    def _product(self) -> Formula:
        value = self._factor()
        while sign := self._next_is("*", "/"):
            value = _combined(sign, value, self._factor())
        return value

    def _factor(self) -> Formula:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError("nested too deeply")
        value = self._signed()
        self._depth -= 1
        return value

    def _signed(self) -> Formula:
        if self._next_is("-"):
            inner = self._factor()
            return lambda resolve: -inner(resolve)
        if not self._next_is("("):
            return self._atom()
        value = self.sum()
        if not self._next_is(")"):
            raise ExpressionError("missing )")
        return value

    def _atom(self) -> Formula:
        if not self.rest():
            raise ExpressionError("ends too early")
        part = self._parts[self._at]
        self._at += 1
        if part.startswith("$"):
            return partial(_named, part)
        if not part[0].isdigit():
            raise ExpressionError(f"unexpected {part!r}")
        literal = Decimal(part)
        return lambda resolve: literal


def _named(name: str, resolve: Resolve) -> Decimal:
    value = resolve(name)
    if type(value) is Decimal:
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ExpressionError(f"{name} is not a number")
    return Decimal(value)
