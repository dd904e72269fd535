"""Which line of a campaign file a path such as ``campaigns[0].rules`` stands in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_SPACE = re.compile(r"[\s,:]*")
_scan = json.JSONDecoder().raw_decode


def line_of(content: bytes, path: str, *, is_yaml: bool) -> int:
    """Return the line, from 1, of the last part of a path that the file has."""
    parts = [int(index) if index else name for index, name in _PART.findall(path)]
    text = content.decode("utf-8", "replace")
    found = (_in_yaml if is_yaml else _in_json)(text, parts)
    # The paths of some errors begin with the name of the file.
    return found or (_in_yaml if is_yaml else _in_json)(text, parts[1:]) or 1


def line_at(content: bytes, offset: int) -> int:
    """Return the line, from 1, of a byte."""
    return content.count(b"\n", 0, offset) + 1


def _in_json(text: str, parts: list[Any]) -> int:
    at, line = _skip(text, 0), 0
    for part in parts:
        found = next((place for name, place in _members(text, at) if name == part), None)
        if found is None:
            break
        line = text.count("\n", 0, found[0]) + 1
        at = found[1]
    return line


def _members(text: str, at: int) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Yield what an object or list holds: its key or index, where that and its value begin."""
    opened, number, at = text[at : at + 1], 0, _skip(text, at + 1)
    while opened in ("{", "[") and at < len(text) and text[at] not in "}]":
        name: Any = number
        begins = at
        if opened == "{":
            name, at = _scan(text, at)
            at = _skip(text, at)
        yield name, (begins, at)
        _, at = _scan(text, at)
        at, number = _skip(text, at), number + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _in_yaml(text: str, parts: list[Any]) -> int:
    import yaml

    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 0
    for part in parts:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: Any, part: Any) -> tuple[int, Any] | None:
    entries = node.value if isinstance(node.value, list) else []
    if isinstance(part, int):
        if part < len(entries) and not isinstance(entries[part], tuple):
            return entries[part].start_mark.line + 1, entries[part]
        return None
    for entry in entries:
        if isinstance(entry, tuple) and entry[0].value == part:
            return entry[0].start_mark.line + 1, entry[1]
    return None
