"""The door without a socket: a transport adapter for ``requests``.

session.mount("http://sandbox.test", SandboxAdapter(sandbox))
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from .. import control
from ..service import Sandbox
from ..wire import Answer, Broken, Request


class SandboxAdapter(BaseAdapter):
    """Answers requests in the caller's thread; a broken connection is ``ConnectionError``.

    Timeouts do not run: a call that is held returns when it is released.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.sandbox = sandbox

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        """Answer one prepared request."""
        received = _received(request)
        if received.path.startswith(f"{control.PREFIX}/"):
            return _response(request, control.handle(self.sandbox, received))
        outcome = self.sandbox.handle(received)
        if isinstance(outcome, Broken):
            why = "Connection reset by peer" if outcome.reset else "Remote end closed connection"
            raise requests.ConnectionError(why, request=request)
        return _response(request, outcome)

    def close(self) -> None:
        """Nothing is open."""


def _received(request: requests.PreparedRequest) -> Request:
    url = urlsplit(request.url or "")
    target = f"{url.path}?{url.query}" if url.query else url.path
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    body = request.body or b""
    sent = body.encode() if isinstance(body, str) else bytes(body)
    return Request(request.method or "GET", target or "/", headers, sent)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    response = requests.Response()
    headers: Mapping[str, str] = answer.headers
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(headers)
    response.raw = io.BytesIO(answer.body)
    response.url = request.url or ""
    response.request = request
    response.encoding = "utf-8"
    return response
