"""Answers of the sandbox that no engine made: errors, and what fault rules put in their place."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from math import ceil
from typing import Any
from urllib.parse import quote

from . import wire
from .engine.errors import RefusedError
from .wire import Answer, Json

_LONGEST_REASON = 1000
_BOMB = 64 * 1024 * 1024
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_PAGE = b"<!doctype html><title>Bad gateway</title><h1>The proxy says hello</h1>"
_JUNK = {
    "html": ({"Content-Type": "text/html"}, _PAGE),
    "empty": (_JSON, b""),
    "json": (_JSON, b'{"effects": "many", "customerSession": ['),
    "charset": (
        {"Content-Type": "application/json; charset=utf-8"},
        b'{"effects": ["\xff\xfe\xe9"]}',
    ),
}


def answer_to(refused: RefusedError) -> Answer:
    """Return the answer for a refused request, with the reason as a header."""
    reason = ascii(refused.reason)[1:-1][:_LONGEST_REASON]
    return wire.json_answer(refused.status, refused.envelope(), {"X-Sandbox-Reason": reason})


def unauthorised(reason: str) -> RefusedError:
    """Return the 401; its text is a guess, the schema is not."""
    return RefusedError(401, "Invalid API key", reason=reason)


def injected(parameters: Json, now: datetime) -> Answer:
    """Return the answer of a fault rule's ``status`` action; ``text`` is a body that is no JSON."""
    refused = RefusedError(parameters["code"], "Injected by a fault rule")
    headers = retry_after(parameters.get("retryAfter"), now)
    if "text" in parameters:
        return Answer(refused.status, parameters["text"].encode(), {**_TEXT, **headers})
    return wire.json_answer(refused.status, parameters.get("body", refused.envelope()), headers)


def retry_after(wanted: Any, now: datetime) -> Json:
    """Return the header: a text as it is, or ``{"date": seconds}`` from now as an HTTP date."""
    if wanted is None:
        return {}
    if isinstance(wanted, dict):
        return {"Retry-After": _http_date(now, wanted["date"])}
    return {"Retry-After": wanted}


def _http_date(now: datetime, seconds: float) -> str:
    try:
        return format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    except (OverflowError, ValueError):
        return "Fri, 31 Dec 9999 23:59:59 GMT"


def limited(parameters: Json, missing: float, now: datetime) -> Answer:
    """Return the 429 of a rate limit that has a token in ``missing`` seconds."""
    hint, wanted = parameters.get("hint", "none"), parameters.get("retryAfter")
    if wanted is None and hint != "none":
        wanted = str(ceil(missing)) if hint == "seconds" else {"date": ceil(missing)}
    return injected({"code": 429, "retryAfter": wanted}, now)


def junk(parameters: Json) -> Answer:
    """Return what a misled proxy says: 200 and something that is not the JSON asked for."""
    kind = parameters.get("kind", "html")
    if kind == "gzip_bomb":
        packed = _bomb(parameters.get("bytes", _BOMB))
        return Answer(200, packed, {**_JSON, "Content-Encoding": "gzip"})
    headers, body = _JUNK[kind]
    return Answer(200, body, headers)


@lru_cache(maxsize=2)
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    piece, pieces = b" " * 65536, range(0, size, 65536)
    packed = [packer.compress(piece[: min(65536, size - start)]) for start in pieces]
    return b"".join(packed) + packer.flush()


def redirect(parameters: Json, world: str) -> Answer:
    """Return a redirect; without ``to`` it leads to where a forwarded key is noticed."""
    target = parameters.get("to") or f"/_sandbox/redirected?world={world}"
    safe = quote(target, safe=":/?#[]@!$&'()*+,;=%")
    return Answer(parameters["code"], b"", {"Location": safe})


def reshaped(answer: Answer, parameters: Json) -> Answer:
    """Return the answer with one field dropped, null, of another type, or added."""
    if not answer.body or "json" not in answer.headers.get("Content-Type", ""):
        return answer
    payload = wire.decode(answer.body)
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in _parts(parameters)]
    holder = payload
    for name in parents:
        holder = _step(holder, name)
    _reshape(holder, last, parameters)
    return replace(answer, body=wire.encode(payload), payload=payload)


def _parts(parameters: Json) -> list[str]:
    return str(parameters["pointer"]).removeprefix("/").split("/")


def _place(holder: Any, name: str) -> Any:
    return int(name) if isinstance(holder, list) and name.isdecimal() else name


def _step(holder: Any, name: str) -> Any:
    try:
        return holder[_place(holder, name)]
    except (LookupError, TypeError):
        return None


def _reshape(holder: Any, name: str, parameters: Json) -> None:
    how, place = parameters["how"], _place(holder, name)
    if how == "add" and isinstance(holder, dict):
        holder[name] = parameters.get("value", "unheard of")
    elif _step(holder, name) is None:
        return
    elif how == "drop":
        del holder[place]
    elif how == "null":
        holder[place] = None
    elif how == "retype":
        holder[place] = parameters.get("value", _other_type(holder[place]))


def _other_type(value: Any) -> Any:
    if isinstance(value, dict | list):
        return [] if isinstance(value, dict) else {}
    return 0 if isinstance(value, str) else str(value)
