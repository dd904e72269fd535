"""Conditions turned into functions when a campaign is loaded, so that most rules fail cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import operators
from .errors import Told
from .state import Gate, Json
from .values import item_getter, scope_getter

Predicate = Callable[[Json], bool]
_OPERANDS = ("value", "min", "max", "start", "end")


def gate(blocks: tuple[Json, ...]) -> Gate | None:
    """Return a look at the first block that tells why it fails, or None where that is not plain."""
    first = blocks[0] if blocks else {"type": ""}
    if first["type"] != "checkAttribute" or "onFailure" in first or not _is_plain(first):
        return None
    find, test = scope_getter(first["attribute"]), operators.compiled(first)
    if find is None:
        return None
    name, operator = first["attribute"], first["operator"]
    wanted = first.get("value", first.get("values", first.get("min")))

    def why(value: Any) -> Told:
        return Told(("{} is {}, wanted {} {}", name, value, operator, wanted))

    return Gate(find, test, why)


def _is_plain(block: Json) -> bool:
    operands = [block.get(name) for name in _OPERANDS]
    templates = any(isinstance(value, str) and "{{" in value for value in operands)
    selects = block["attribute"].startswith("$Selectors.")
    return not templates and not selects and "inCollection" not in block["operator"]


def predicate(block: Json) -> Predicate:
    """Return a filter's block as a function of an item."""
    if block["type"] == "checkAttribute":
        find, test = item_getter(block["attribute"]), operators.compiled(block)
        return lambda item: test(find(item))
    inner = [predicate(entry) for entry in block["blocks"]]
    if block["operator"] == "all":
        return lambda item: all(holds(item) for holds in inner)
    wanted = block["operator"] == "atLeastOne"
    return lambda item: any(holds(item) for holds in inner) is wanted


def every(blocks: list[Json]) -> Predicate:
    """Return several filters, one after the other, as one."""
    if len(blocks) == 1:
        return predicate(blocks[0])
    inner = [predicate(block) for block in blocks]
    return lambda item: all(holds(item) for holds in inner)
