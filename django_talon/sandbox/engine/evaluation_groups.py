"""Which campaigns win: evaluation groups of today, campaign sets of 2020."""

from __future__ import annotations

from typing import Any

from .errors import SeedError
from .seed_fields import fields, many, one_of
from .state import Group, Json

_MODES = ("stackable", "listOrder", "lowestDiscount", "highestDiscount")
_OPERATORS = {"ALL": "stackable", "FIRST": "listOrder"}


def parse_groups(content: Json, campaign_ids: list[int]) -> Group:
    """Return the base group; campaigns that no group names stack after those that are named."""
    if content.get("evaluationGroups") and content.get("campaignSet"):
        raise SeedError("campaignSet", "a seed has evaluationGroups or a campaignSet, not both")
    parse = _Parser(campaign_ids)
    rows = many(content.get("evaluationGroups", []), "evaluationGroups")
    elements = [parse.group(entry, path) for path, entry in rows]
    if content.get("campaignSet"):
        elements = [parse.campaign_set(content["campaignSet"], "campaignSet")]
    rest = [number for number in campaign_ids if number not in parse.placed]
    return Group("stackable", (*elements, *rest))


class _Parser:
    def __init__(self, campaign_ids: list[int]) -> None:
        self.placed: list[int] = []
        self._known = campaign_ids
        self._groups = 0

    def group(self, entry: Any, path: str) -> Group:
        fields(entry, path, {"mode", "elements"}, {"name"})
        one_of(entry["mode"], f"{path}.mode", *_MODES)
        number = self._next()
        rows = many(entry["elements"], f"{path}.elements")
        elements = tuple(
            self._campaign(row, where) if isinstance(row, int) else self.group(row, where)
            for where, row in rows
        )
        return Group(entry["mode"], elements, number)

    def campaign_set(self, entry: Any, path: str) -> Group:
        fields(entry, path, {"type", "operator", "elements"}, {"name"})
        one_of(entry["type"], f"{path}.type", "SET", "CAMPAIGN")
        one_of(entry["operator"], f"{path}.operator", *_OPERATORS)
        number = self._next()
        rows = many(entry["elements"], f"{path}.elements")
        elements = tuple(self._element(row, where) for where, row in rows)
        return Group(_OPERATORS[entry["operator"]], elements, number)

    def _element(self, entry: Any, path: str) -> Group | int:
        if isinstance(entry, dict) and entry.get("type") == "CAMPAIGN":
            fields(entry, path, {"type", "campaignId"}, set())
            return self._campaign(entry["campaignId"], f"{path}.campaignId")
        return self.campaign_set(entry, path)

    def _campaign(self, number: Any, path: str) -> int:
        if number not in self._known:
            raise SeedError(path, f"there is no campaign {number!r}")
        if number in self.placed:
            raise SeedError(path, f"campaign {number} is in two places")
        self.placed.append(number)
        return int(number)

    def _next(self) -> int:
        self._groups += 1
        return self._groups
