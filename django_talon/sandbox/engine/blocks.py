"""Which rule blocks the engine runs, and the check that refuses all others with their path.

The form is the structured ruleset of the real product (``PromotionRuleV2``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import expressions, operators
from .state import Json
from .values import PLAIN


class SeedError(ValueError):
    """A campaign file cannot be used; ``path`` says where in it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


_ATTRIBUTE = re.compile(r"^\$(Session|Profile|Event|Item)\.Attributes\.[A-Za-z_]\w*$")

_COMMON = {"id", "type", "tags"}
_CHECK = {"attribute", "operator", "value", "min", "max", "onFailure"}
_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "group": ({"operator", "blocks"}, {"onFailure"}),
    "checkAttribute": ({"attribute", "operator"}, _CHECK),
    "checkCoupon": ({"redeem"}, {"onFailure"}),
    "checkReferral": ({"redeem"}, {"onFailure"}),
    "checkEvent": ({"eventType"}, {"onFailure"}),
    "awardDiscount": ({"name", "value", "target"}, {"partial"}),
    "awardItem": ({"sku", "name", "quantity"}, set()),
    "showNotification": ({"notificationType", "title"}, {"body", "onFailure"}),
}
_SUPPORTED = ", ".join(sorted(_FIELDS))
CONDITIONS = {"checkAttribute", "checkCoupon", "checkReferral", "checkEvent"}


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


def check_blocks(blocks: Any, path: str, selectors: set[str], *, item: bool = False) -> None:
    """Refuse what the engine cannot run; ``item`` says that ``$Item`` is in scope."""
    for where, block in many(blocks, path):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _FIELDS or (item and kind not in {"group", "checkAttribute"}):
            raise SeedError(where, f'block "{kind}" is not emulated (emulated: {_SUPPORTED})')
        required, optional = _FIELDS[kind]
        fields(block, where, required, optional | _COMMON)
        check = _CHECKS.get(kind)
        if check is not None:
            check(block, where, selectors, item)
        _check_failure(block, where)


def _check_failure(block: Json, path: str) -> None:
    for where, effect in many(block.get("onFailure", []), f"{path}.onFailure"):
        if not isinstance(effect, dict) or effect.get("type") != "showNotification":
            raise SeedError(where, "only showNotification is emulated as a failure effect")
        check_blocks([effect], f"{path}.onFailure", set())


def check_name(name: Any, path: str, *, item: bool) -> None:
    """Refuse a ``$``-name the engine has no value for."""
    known = isinstance(name, str) and (name in PLAIN or _ATTRIBUTE.match(name))
    if not known or (name.startswith("$Item.") and not item):
        raise SeedError(path, f"{name!r} has no value here")


def check_template(value: Any, path: str, *, item: bool = False) -> None:
    """Refuse a template whose expression is malformed or names something unknown."""
    if not isinstance(value, str):
        return
    for inner in expressions.placeholders(value):
        try:
            used = expressions.names(inner)
            expressions.evaluate(inner, lambda _: 1)
        except expressions.ExpressionError as error:
            if "has no value" not in str(error):
                raise SeedError(path, str(error)) from error
        for name in used:
            check_name(name, path, item=item)


def _check_group(block: Json, path: str, selectors: set[str], item: bool) -> None:
    if block["operator"] not in {"all", "atLeastOne", "none"}:
        raise SeedError(f"{path}.operator", "must be all, atLeastOne or none")
    check_blocks(block["blocks"], f"{path}.blocks", selectors, item=item)


def _check_attribute(block: Json, path: str, selectors: set[str], item: bool) -> None:
    operator = block["operator"]
    if operator not in operators.OPERATORS:
        raise SeedError(f"{path}.operator", f'"{operator}" is not emulated')
    for name in operators.required(operator):
        if name not in block:
            raise SeedError(path, f"{name} is missing")
    check_name(block["attribute"], f"{path}.attribute", item=item)
    if operator == "matchesRegexp":
        _check_pattern(block["value"], f"{path}.value")


def _check_pattern(pattern: Any, path: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise SeedError(path, f"is no regular expression: {error}") from error


def _check_discount(block: Json, path: str, selectors: set[str], item: bool) -> None:
    target = block["target"]
    kind = target.get("type") if isinstance(target, dict) else None
    if kind == "additionalCost":
        fields(target, f"{path}.target", {"type", "additionalCost"}, {"target"})
        fields(target["additionalCost"], f"{path}.target.additionalCost", {"name"}, {"id", "title"})
    elif kind == "selector":
        fields(target, f"{path}.target", {"type", "name"}, {"prorated"})
        if target["name"] not in selectors:
            raise SeedError(f"{path}.target.name", f'no selector "{target["name"]}"')
    elif kind not in {"cart", "allItems"}:
        raise SeedError(f"{path}.target", f'target "{kind}" is not emulated')
    if target.get("prorated"):
        raise SeedError(f"{path}.target.prorated", "pro-rata discounts are not emulated")
    per_item = kind in {"allItems", "selector"}
    check_template(block["value"], f"{path}.value", item=per_item)


def _check_award_item(block: Json, path: str, selectors: set[str], item: bool) -> None:
    check_template(block["quantity"], f"{path}.quantity")


def _check_notification(block: Json, path: str, selectors: set[str], item: bool) -> None:
    for name in ("title", "body"):
        check_template(block.get(name, ""), f"{path}.{name}")


_CHECKS: dict[str, Callable[[Json, str, set[str], bool], None]] = {
    "group": _check_group,
    "checkAttribute": _check_attribute,
    "awardDiscount": _check_discount,
    "awardItem": _check_award_item,
    "showNotification": _check_notification,
}


def mentions(blocks: tuple[Json, ...] | list[Json], kind: str) -> bool:
    """Say whether a block of this type occurs, in groups too."""
    return any(block["type"] == kind or mentions(block.get("blocks", []), kind) for block in blocks)
