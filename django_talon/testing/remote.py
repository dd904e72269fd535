"""A sandbox that runs elsewhere: in another process, started by another worker or by hand."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from django_talon.sandbox import control, wire

from .orders import SandboxControl

_LONGEST = 90.0


class RunningSandbox(SandboxControl):
    """The sandbox at a base URL; ``token`` is the one it printed, if others can reach it.

    It has the methods of `SandboxServer` but ``stop``, ``start`` and ``blackhole``: whoever
    started it shares it.
    """

    def __init__(self, url: str, *, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-Sandbox-Token": token} if token else {}

    @property
    def url(self) -> str:
        """The base URL."""
        return self._url

    def _ask(
        self, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[Any, Mapping[str, str]]:
        target = f"{control.PREFIX}{path}?{urlencode(query)}"
        sent = None if body is None else wire.encode(body)
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=_LONGEST)
        try:
            connection.request(method, target, sent, self._headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        said: Any = wire.decode(raw) if raw else None
        if answer.status >= 400:
            raise ValueError(said["message"])
        return said, dict(answer.getheaders())
