"""A server or shop code may repeat what it was given; what ends in logs and rows must not."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import Any

import msgspec

HIDDEN = "***"
#: A shorter value would blacken words that have nothing to do with it.
_SHORTEST = 3
_MAIL = re.compile(r"[^\s\"'<>,;()]+@[^\s\"'<>,;()]+")


def hushed(words: str, sent: bytes) -> str:
    """Return a server's words without addresses and without the attributes of a request."""
    for value in sorted(set(_attributes(sent)), key=len, reverse=True) if words else ():
        words = words.replace(value, HIDDEN)
    return _MAIL.sub(HIDDEN, words)


def places(error: BaseException) -> list[str]:
    """Return where an error came by, its origin last; its message may hold personal data."""
    return [
        f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]


def _attributes(sent: bytes) -> Iterator[str]:
    if sent:
        try:
            yield from _texts(msgspec.json.decode(sent), within=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return


def _texts(value: Any, *, within: bool) -> Iterator[str]:
    """Yield the texts that stand below a key ``attributes``."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(entry, within=within or key == "attributes")
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, within=within)
    elif within and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value
