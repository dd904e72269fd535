"""The sandbox in a thread of the test process, on a real socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django_talon.sandbox import control, gate, tls, wire
from django_talon.sandbox.doors.socket_server import SocketServer
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

from .orders import SandboxControl


class Secure(NamedTuple):
    """A TLS port: its base URL, and the certificate that a client may trust."""

    url: str
    certificate: Path


class SandboxServer(SandboxControl):
    """A sandbox on a free port of this machine; ``stop()`` then ``start()`` keeps port and state.

    Worlds are named; ``key(world)`` is the API key that opens one. Money in what the methods
    return is ``Decimal``. ``dialect`` is both, current or 2020; further options are those of
    `django_talon.sandbox.service.Sandbox`.
    """

    def __init__(
        self,
        seed: str = "demo",
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        dialect: str | None = None,
        **options: Any,
    ) -> None:
        self.sandbox = Sandbox(load(seed, dialect), **options)
        self._door = SocketServer(self.sandbox, host, port)

    @property
    def url(self) -> str:
        """The base URL."""
        return self._door.url

    def start(self) -> SandboxServer:
        """Listen; the second time on the same port as before. Ends a `blackhole`."""
        if self.sandbox.gate.mode != gate.OPEN:
            self.sandbox.gate.turn(gate.OPEN)
        self._door.start()
        return self

    def stop(self) -> None:
        """Close the port and all connections, as a server that is down."""
        self._door.stop()

    def blackhole(self) -> None:
        """Accept connections and never read from them, until `start`."""
        self.sandbox.gate.turn(gate.SWALLOWING)

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.start()
        self.stop()

    @contextmanager
    def secure(self, kind: str = "self-signed") -> Iterator[Secure]:
        """Open a TLS port to the same worlds: self-signed, expired, wrong-host or cut."""
        with tempfile.TemporaryDirectory() as folder:
            context, certificate = tls.context(kind, Path(folder))
            door = SocketServer(self.sandbox, self._door.host, tls=context)
            door.start()
            try:
                yield Secure(door.url, certificate)
            finally:
                door.stop()

    def _ask(
        self, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[Any, Mapping[str, str]]:
        target = f"{control.PREFIX}{path}?{urlencode(query)}"
        sent = b"" if body is None else wire.encode(body)
        answer = control.handle(self.sandbox, wire.Request(method, target, {}, sent))
        said: Any = wire.decode(answer.body) if answer.body else None
        if answer.status >= 400:
            raise ValueError(said["message"])
        return said, answer.headers
