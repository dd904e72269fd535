"""Loyalty programs and achievements of a campaign file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .errors import SeedError
from .ledgers import Achievement, Program, duration
from .seed_fields import fields, many, number, text, whole
from .state import Json

_PROGRAM = {
    "subledgers",
    "defaultValidity",
    "defaultPending",
    "activePointsDeduction",
    "allowNegativeBalance",
}
_ACHIEVEMENT = {"title", "description", "allowRollbackAfterCompletion"}


def programs(content: Json) -> tuple[Program, ...]:
    """Return the loyalty programs a file declares."""
    rows = many(content.get("loyaltyPrograms", []), "loyaltyPrograms")
    found = tuple(_program(row, path) for path, row in rows)
    numbers = [program.id for program in found]
    for path, row in rows:
        if numbers.count(row["id"]) > 1:
            raise SeedError(f"{path}.id", f"{row['id']} occurs twice")
    return found


def _program(row: Any, path: str) -> Program:
    fields(row, path, {"id", "name", "title"}, _PROGRAM)
    subledgers = many(row.get("subledgers", []), f"{path}.subledgers")
    return Program(
        whole(row["id"], f"{path}.id", 1),
        text(row["name"], f"{path}.name"),
        text(row["title"], f"{path}.title"),
        tuple(text(name, where) for where, name in subledgers),
        _time(row.get("defaultPending", "immediate"), f"{path}.defaultPending"),
        _time(row.get("defaultValidity", "unlimited"), f"{path}.defaultValidity"),
        _flag(row, "activePointsDeduction", path),
        _flag(row, "allowNegativeBalance", path),
    )


def _time(value: Any, path: str) -> timedelta | None:
    if value in {"immediate", "unlimited"}:
        return None
    try:
        return duration(text(value, path))
    except ValueError as error:
        raise SeedError(path, str(error)) from error


def _flag(row: Json, name: str, path: str) -> bool:
    value = row.get(name, False)
    if not isinstance(value, bool):
        raise SeedError(f"{path}.{name}", "must be true or false")
    return value


def achievements(entry: Any, path: str) -> list[Achievement]:
    """Return the achievements of a campaign."""
    if not isinstance(entry, dict):
        return []
    rows = many(entry.get("achievements", []), f"{path}.achievements")
    return [_achievement(row, where, entry.get("id")) for where, row in rows]


def _achievement(row: Any, path: str, campaign_id: Any) -> Achievement:
    fields(row, path, {"id", "name", "target"}, _ACHIEVEMENT)
    target = number(row["target"], f"{path}.target")
    if not target:
        raise SeedError(f"{path}.target", "must be above 0")
    name = text(row["name"], f"{path}.name")
    return Achievement(
        whole(row["id"], f"{path}.id", 1),
        name,
        text(row.get("title", name), f"{path}.title"),
        target,
        campaign_id,
        text(row.get("description", ""), f"{path}.description", 0),
        _flag(row, "allowRollbackAfterCompletion", path),
    )
