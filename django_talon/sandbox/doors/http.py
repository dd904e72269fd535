"""Just enough HTTP/1.1 to read a request with limits and to write an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import BinaryIO

from django_talon._version import __version__

from ..wire import Answer, Delivery, Request

LONGEST_LINE = 64 * 1024
MOST_HEADERS = 200
LARGEST_BODY = 5 * 1024 * 1024

_REQUEST_LINE = re.compile(r"^([A-Z]{1,20}) (\S+) HTTP/1\.([01])$")


class RequestError(Exception):
    """The bytes are no acceptable request; ``status`` says why, the connection ends."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_head(stream: BinaryIO) -> Request | None:
    """Return the next request of a connection without its body, None at the end of it all.

    Raise RequestError for bytes that are no head of a request.
    """
    line = _line(stream)
    if not line:
        return None
    match = _REQUEST_LINE.match(line)
    if match is None:
        raise RequestError(400, "malformed request line")
    headers = _headers(stream)
    if match.group(3) == "0":
        headers.setdefault("connection", "close")
    target = match.group(2)
    if not target.startswith("/"):
        raise RequestError(400, "the request target must be a path")
    return Request(match.group(1), target, headers)


def read_body(head: Request, stream: BinaryIO, answer_continue: BinaryIO) -> Request:
    """Return the request with its body; raise RequestError where that cannot be read."""
    if head.headers.get("expect", "").lower() == "100-continue":
        answer_continue.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        answer_continue.flush()
    return replace(head, body=_body(stream, head.headers))


def _line(stream: BinaryIO) -> str:
    raw = stream.readline(LONGEST_LINE + 1)
    if len(raw) > LONGEST_LINE:
        raise RequestError(431, "a line of the head is too long")
    return raw.decode("latin-1").rstrip("\r\n")


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MOST_HEADERS):
        line = _line(stream)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise RequestError(400, "malformed header")
        headers[name.strip().lower()] = value.strip()
    raise RequestError(431, "too many headers")


def _body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    coding = headers.get("transfer-encoding", "").lower()
    if coding:
        if coding != "chunked":
            raise RequestError(501, f"transfer coding {coding!r} is not supported")
        return _chunked(stream)
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise RequestError(400, "malformed Content-Length")
    return _exactly(stream, int(length), LARGEST_BODY)


def _exactly(stream: BinaryIO, length: int, most: int) -> bytes:
    if length > most:
        raise RequestError(413, f"the body is larger than {LARGEST_BODY} bytes")
    body = stream.read(length)
    if len(body) < length:
        raise RequestError(400, "the body is shorter than its Content-Length")
    return body


def _chunked(stream: BinaryIO) -> bytes:
    body = b""
    while True:
        size = _line(stream).partition(";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError as error:
            raise RequestError(400, "malformed chunk") from error
        if length <= 0:
            break
        body += _exactly(stream, length, LARGEST_BODY - len(body))
        stream.readline(LONGEST_LINE)
    while _line(stream):
        pass
    return body


def encode_answer(answer: Answer, *, keep_alive: bool) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer as they go over the wire."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Server: talon-sandbox/{__version__}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.delivery and answer.delivery.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif answer.status not in {204, 304}:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n", answer.body


def pieces(answer: Answer, head: bytes, body: bytes) -> Iterator[bytes]:
    """Give the bytes that a delivery lets out, piece by piece."""
    delivery = answer.delivery or Delivery()
    if delivery.sent is not None:
        body = body[: delivery.sent]
        head = head if answer.body else head[:5]  # without a body the status line is cut
    if delivery.chunked and body:
        body = b"%x\r\n%b\r\n" % (len(body), body)
    if delivery.slow == "head":
        yield from _cut(head, delivery.piece)
        yield body
    elif delivery.slow == "body":
        yield head
        yield from _cut(body, delivery.piece)
    else:
        yield head + body


def _cut(sent: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(sent), size):
        yield sent[start : start + size]
