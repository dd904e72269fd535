"""Just enough HTTP/1.1 to read a request with limits and to write an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import BinaryIO

from django_talon._version import __version__

from ..operations import SPECIFICATION
from ..wire import Answer, Delivery, Request

IDENTITY = {
    "Server": f"talon-sandbox/{__version__}",
    "X-Sandbox-Specification": SPECIFICATION,
}
#: Where a refusal is explained: what is emulated, and what is decided.
HELP = {"Link": '</_sandbox/limits>; rel="help"'}
_IDENTITY = [f"{name}: {value}" for name, value in IDENTITY.items()]
LONGEST_LINE = 64 * 1024
MOST_HEADERS = 200
LARGEST_BODY = 5 * 1024 * 1024

_LENGTH = re.compile(r"^[0-9]{1,20}\Z")
_CHUNK_SIZE = re.compile(r"^[0-9A-Fa-f]{1,20}\Z")
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
        name, value = name.strip().lower(), value.strip()
        if name == "content-length" and headers.get(name, value) != value:
            raise RequestError(400, "two Content-Lengths")
        headers[name] = value
    raise RequestError(431, "too many headers")


def _body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    coding = headers.get("transfer-encoding", "").lower()
    if coding:
        if coding != "chunked":
            raise RequestError(501, f"transfer coding {coding!r} is not supported")
        return _chunked(stream)
    length = headers.get("content-length", "0")
    if not _LENGTH.match(length):
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
    body = bytearray()
    while True:
        size = _line(stream).partition(";")[0].strip()
        if not _CHUNK_SIZE.match(size):
            raise RequestError(400, "malformed chunk")
        length = int(size, 16)
        if length == 0:
            break
        body += _exactly(stream, length, LARGEST_BODY - len(body))
        stream.readline(LONGEST_LINE)
    while _line(stream):
        pass
    return bytes(body)


def with_help(answer: Answer) -> Mapping[str, str]:
    """Return the headers of an answer; one that gives a reason links to the limits page."""
    return {**answer.headers, **HELP} if "X-Sandbox-Reason" in answer.headers else answer.headers


def encode_answer(answer: Answer, *, keep_alive: bool) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer as they go over the wire."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *_IDENTITY]
    lines += [f"{name}: {value}" for name, value in with_help(answer).items()]
    if answer.delivery and answer.delivery.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif answer.status not in {204, 304} and answer.stream is None:
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
        announced, end = (len(answer.body), b"") if delivery.in_chunk else (len(body), b"\r\n")
        body = b"%x\r\n%b%b" % (announced, body, end)
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
