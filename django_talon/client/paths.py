"""Ids and paths that cannot lead anywhere else than where they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from django_talon.client.errors import TalonInvalidRequest

LONGEST_ID = 1000


def filled(template: str, id_: object, operation: str) -> str:
    """Return the path with the id in it, percent-encoded.

    Raises `TalonInvalidRequest` for an id that is empty, longer than 1000
    characters, contains NUL, or is ``.`` or ``..``, which would be another path.
    """
    if not isinstance(id_, str) or not 0 < len(id_) <= LONGEST_ID or id_ in (".", ".."):
        raise _bad_id(operation)
    try:
        encoded = quote(id_, safe="")
    except UnicodeEncodeError:
        raise _bad_id(operation) from None
    if "\0" in id_:
        raise _bad_id(operation)
    return template.replace("{}", encoded)


def _bad_id(operation: str) -> TalonInvalidRequest:
    return TalonInvalidRequest(
        f"{operation} was not sent: the id in its path must be a text of 1 to {LONGEST_ID}"
        " characters without NUL, and not '.' or '..'.",
        operation=operation,
    )


def checked_path(path: str) -> str:
    """Return an already encoded path of the API, or raise `TalonInvalidRequest`."""
    segments = path.split("/")[1:]
    dotted = any(unquote(s) in ("", ".", "..") or "\0" in unquote(s) for s in segments)
    if (
        not path.startswith("/")
        or dotted
        or not re.fullmatch(r"[!-~]+", path)
        or set(path) & {*"?#\\"}
    ):
        raise TalonInvalidRequest(
            "The path must be like /v1/events: no host, no query, no dots as a segment,"
            " and all else percent-encoded."
        )
    return path


def query(params: Mapping[str, Any]) -> str:
    """Return the query string: None and false are left out, true is ``true``."""
    pairs = [
        (key, "true" if value is True else value)
        for key, value in params.items()
        if value is not None and value is not False
    ]
    return "?" + urlencode(pairs, doseq=True) if pairs else ""
