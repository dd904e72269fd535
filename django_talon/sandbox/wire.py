"""JSON in and out with exact numbers, and the request and answer every door exchanges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

Json = dict[str, Any]

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_sorting = msgspec.json.Encoder(decimal_format="number", order="sorted")


class MalformedError(ValueError):
    """The body is no JSON, or is nested too deeply to be read."""


def decode(body: bytes) -> Any:
    """Return the parsed body, numbers with a fraction as Decimal; raise MalformedError."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedError(str(error)) from error


def encode(payload: Any) -> bytes:
    """Return JSON; a Decimal becomes a number, digit for digit."""
    return _encoder.encode(payload)


def digest(payload: Any) -> str:
    """Return a hash; what reads as the same JSON has the same."""
    return hashlib.sha256(_sorting.encode(payload)).hexdigest()[:16]


@dataclass(frozen=True)
class Request:
    """A request as a door received it. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """The path as sent, still percent-encoded."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters; the last one of a name counts."""
        sent = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return {name: values[-1] for name, values in sent.items()}

    @cached_property
    def key(self) -> str:
        """The API key as sent, "" without one; never to be shown."""
        return self.headers.get("authorization", "").partition(" ")[2].strip()


@dataclass(frozen=True)
class Delivery:
    """How the bytes of an answer leave, where a fault has a hand in it.

    ``sent`` bytes of the body leave, then the connection ends (``reset``: with an RST).
    ``slow`` is "head" or "body": it leaves ``piece`` bytes at a time, ``pause`` seconds apart.
    ``chunked`` announces chunks, the last of which never comes; with ``in_chunk`` the first one
    ends too soon.
    """

    sent: int | None = None
    reset: bool = False
    chunked: bool = False
    in_chunk: bool = False
    slow: str = ""
    piece: int = 1
    pause: float = 0.0

    @property
    def outcome(self) -> str:
        """What the journal calls it."""
        if self.reset:
            return "reset"
        return "answered" if self.sent is None else "truncated"


@dataclass(frozen=True)
class Answer:
    """A complete answer; ``payload`` is what ``body`` says, for the journal.

    A ``stream`` goes on where the body ends, until whoever asked goes away.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None
    delivery: Delivery | None = None
    stream: Iterator[bytes] | None = None


@dataclass(frozen=True)
class Broken:
    """No answer: the connection is reset, or closed in silence."""

    reset: bool = True


def json_answer(status: int, payload: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a JSON body; a 204 has none."""
    if status == 204:
        return Answer(status, b"", headers or {})
    kind = {"Content-Type": "application/json"}
    return Answer(status, encode(payload), {**kind, **(headers or {})}, payload)


def segments(path: str) -> list[str]:
    """Return the decoded parts of a path; raise UnicodeDecodeError for bytes that are no text."""
    return [
        unquote_to_bytes(part.encode("latin-1", "replace")).decode() for part in path.split("/")[1:]
    ]
