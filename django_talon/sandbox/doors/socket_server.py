"""The HTTP door: one thread per connection, so that held calls never starve others."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import struct
import threading
from typing import BinaryIO, cast

from .. import control
from ..engine.errors import RefusedError
from ..refusals import answer_to
from ..service import Sandbox
from ..wire import Answer, Broken, Request
from .http import RequestError, encode_answer, read_request

logger = logging.getLogger("django_talon.sandbox")

_LINGER_NOT = struct.pack("ii", 1, 0)
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}


class SocketServer:
    """Serves a sandbox on an address; port 0 takes a free one. Stopping keeps the state."""

    def __init__(self, sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> None:
        self.sandbox = sandbox
        self.host = host
        self.port = port
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._wake: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Say whether only this machine can reach the server."""
        return self.host in _LOCAL_NAMES or self.host.startswith("127.")

    def start(self) -> None:
        """Listen and answer in threads of our own; raise OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(512)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        woken, self._wake = socket.socketpair()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener, woken), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and every connection; calls under way get no answer any more."""
        if self._listener is None or self._wake is None or self._acceptor is None:
            return
        self._wake.close()
        self._acceptor.join()
        self._listener = None
        with self._lock:
            open_now, self._connections = self._connections, set()
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket, woken: socket.socket) -> None:
        with listener, woken, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if woken in ready:
                    return
                with contextlib.suppress(OSError):
                    self._begin(listener.accept()[0])

    def _begin(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._connections.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = cast(BinaryIO, connection.makefile("rb"))
        writer = cast(BinaryIO, connection.makefile("wb"))
        try:
            while self._exchange(connection, reader, writer):
                pass
        except (OSError, ValueError):
            pass
        except Exception:
            logger.exception("the sandbox failed to answer")
        finally:
            with self._lock:
                self._connections.discard(connection)
            for end in (writer, reader, connection):
                with contextlib.suppress(OSError):
                    end.close()

    def _exchange(self, connection: socket.socket, reader: BinaryIO, writer: BinaryIO) -> bool:
        """Answer one request; return whether the connection stays open."""
        try:
            request = read_request(reader, writer)
        except RequestError as error:
            writer.write(encode_answer(_unreadable(error), keep_alive=False))
            writer.flush()
            _drain(connection)
            return False
        if request is None:
            return False
        outcome = self._answer(request)
        if isinstance(outcome, Broken):
            if outcome.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            return False
        keep_alive = request.headers.get("connection", "").lower() != "close"
        writer.write(encode_answer(outcome, keep_alive=keep_alive))
        writer.flush()
        return keep_alive

    def _answer(self, request: Request) -> Answer | Broken:
        if self.is_local and not _is_local_name(request.headers.get("host", "localhost")):
            return answer_to(RefusedError(403, "Host is not this machine", reason="Host header"))
        if request.path == control.PREFIX or request.path.startswith(f"{control.PREFIX}/"):
            return control.handle(self.sandbox, request)
        return self.sandbox.handle(request)


def _is_local_name(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name.strip("[]").lower() in _LOCAL_NAMES or name.startswith("127.")


def _unreadable(error: RequestError) -> Answer:
    return answer_to(RefusedError(error.status, str(error)))


def _drain(connection: socket.socket) -> None:
    """Read what is still coming, for a moment, so that closing does not cut the answer off."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(2)
    with contextlib.suppress(OSError):
        for _ in range(1000):
            if not connection.recv(64 * 1024):
                return
