"""The door without a socket: a transport adapter for ``requests``.

session.mount("http://sandbox.test", SandboxAdapter(sandbox))
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Generator, Iterator
from http.client import HTTPException, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from .. import control
from ..gate import REFUSING, SWALLOWING
from ..service import Sandbox
from ..wire import Answer, Broken, Delivery, Request
from .http import IDENTITY, with_help


class SandboxAdapter(BaseAdapter):
    """Answers requests as the socket server would, with the errors that ``requests`` raises.

    A call that takes longer than the read timeout raises ``ReadTimeout`` and goes on by itself,
    as on a server.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.sandbox = sandbox

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        *args: Any,
        **more: Any,
    ) -> requests.Response:
        """Answer one prepared request."""
        received = _received(request)
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        if received.path.startswith(f"{control.PREFIX}/"):
            return _response(request, control.handle(self.sandbox, received))
        self._check_gate(request, patience)
        outcome = _within(patience, self.sandbox, received, request)
        if isinstance(outcome, Broken):
            why = "Connection reset by peer" if outcome.reset else "Remote end closed connection"
            raise requests.ConnectionError(why, request=request)
        return _response(request, outcome, patience)

    def _check_gate(self, request: requests.PreparedRequest, patience: float | None) -> None:
        gate = self.sandbox.gate
        if gate.mode == REFUSING:
            refused = NewConnectionError(None, "Connection refused")  # type: ignore[arg-type]
            raise requests.ConnectionError(refused, request=request)
        if gate.mode == SWALLOWING:
            if gate.wait_until_open(patience):
                raise requests.ConnectionError("Remote end closed connection", request=request)
            raise requests.ReadTimeout("Read timed out", request=request)

    def close(self) -> None:
        """Nothing is open."""


def _within(
    patience: float | None, sandbox: Sandbox, received: Request, request: requests.PreparedRequest
) -> Answer | Broken:
    """Return how the sandbox ends a call, or raise ReadTimeout; without a limit, right here."""
    if patience is None:
        return _outcome(sandbox, received)
    found: list[Answer | Broken] = []
    worker = threading.Thread(target=lambda: found.append(_outcome(sandbox, received)), daemon=True)
    worker.start()
    worker.join(patience)
    if not found:
        raise requests.ReadTimeout("Read timed out", request=request)
    return found[0]


def _outcome(sandbox: Sandbox, received: Request) -> Answer | Broken:
    if not sandbox.accepts():
        return Broken()
    return sandbox.interrupted(received) or sandbox.handle(received)


def _received(request: requests.PreparedRequest) -> Request:
    url = urlsplit(request.url or "")
    target = f"{url.path}?{url.query}" if url.query else url.path
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    body = request.body or b""
    sent = body.encode() if isinstance(body, str) else bytes(body)
    return Request(request.method or "GET", target or "/", headers, sent)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Bytes(io.RawIOBase):
    """The body of an answer as a faulty delivery lets it out."""

    def __init__(self, answer: Answer, patience: float | None) -> None:
        self._delivery = answer.delivery or Delivery()
        self._left = (
            answer.body if self._delivery.sent is None else answer.body[: self._delivery.sent]
        )
        self._patience = patience
        self._pieces = self._cut()

    def _cut(self) -> Iterator[bytes]:
        delivery, left = self._delivery, self._left
        size = delivery.piece if delivery.slow == "body" else max(len(left), 1)
        for start in range(0, len(left), size):
            if start or delivery.slow:
                self._pause(delivery.pause)
            yield left[start : start + size]
        if delivery.reset:
            raise ConnectionResetError("Connection reset by peer")
        if delivery.sent is not None:
            raise IncompleteRead(left)

    def _pause(self, seconds: float) -> None:
        if self._patience is not None and seconds > self._patience:
            time.sleep(self._patience)
            raise TimeoutError("Read timed out")
        time.sleep(seconds)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, whatever the size; b"" at the end."""
        return next(self._pieces, b"")


class _Trickle(HTTPResponse):
    """A body that comes piece by piece, each at its time."""

    def stream(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Generator[bytes, None, None]:
        """Give each piece as it comes, whatever the size asked for."""
        source: _Bytes = self._fp  # type: ignore[assignment]
        try:
            yield from iter(source.read, b"")
        except TimeoutError as error:
            raise ReadTimeoutError(None, "", "Read timed out.") from error  # type: ignore[arg-type]
        except (OSError, HTTPException) as error:
            raise ProtocolError(f"Connection broken: {error!r}", error) from error


def _response(
    request: requests.PreparedRequest, answer: Answer, patience: float | None = None
) -> requests.Response:
    delivery = answer.delivery or Delivery()
    if delivery.slow == "head":
        _drip_head(request, answer, delivery, patience)
    if delivery.sent is not None and not answer.body:
        raise requests.ConnectionError("Remote end closed connection", request=request)
    response = requests.Response()
    response.status_code = answer.status
    headers = {**IDENTITY, **with_help(answer)}
    response.headers = CaseInsensitiveDict(headers)
    response.raw = (_Trickle if delivery.slow == "body" else HTTPResponse)(
        _Bytes(answer, patience),
        headers=headers,
        status=answer.status,
        preload_content=False,
    )
    response.url = request.url or ""
    response.request = request
    response.encoding = "utf-8"
    return response


def _drip_head(
    request: requests.PreparedRequest, answer: Answer, delivery: Delivery, patience: float | None
) -> None:
    size = sum(len(f"{name}: {value}\r\n") for name, value in answer.headers.items()) + 90
    seconds = size / delivery.piece * delivery.pause
    if patience is not None and seconds > patience:
        time.sleep(patience)
        raise requests.ReadTimeout("Read timed out", request=request)
    time.sleep(seconds)
