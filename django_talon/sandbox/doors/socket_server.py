"""The HTTP door: one thread per connection, so that held calls never starve others."""

from __future__ import annotations

import contextlib
import hmac
import logging
import selectors
import socket
import ssl
import struct
import threading
import time
from ipaddress import ip_address
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from .. import control, gate
from ..engine.errors import RefusedError
from ..refusals import answer_to
from ..service import Sandbox
from ..wire import Answer, Broken, Request
from .http import RequestError, encode_answer, pieces, read_body, read_head

logger = logging.getLogger("django_talon.sandbox")

_LINGER_NOT = struct.pack("ii", 1, 0)
IDLE = 600.0


class SocketServer:
    """Serves a sandbox on an address; port 0 takes a free one. Stopping keeps the state.

    ``token`` must come with control calls where other machines can reach the server;
    ``patience`` is how many seconds the next bytes of a request may take; ``tls`` makes it a
    TLS port.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str = "",
        patience: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.sandbox = sandbox
        self.host = host
        self.port = port
        self.token = token
        self._patience = patience
        self._tls = tls
        self._connections: set[socket.socket] = set()
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._wake: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._flowing = threading.Event()
        self._flowing.set()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Say whether only this machine can reach the server."""
        return _is_loopback(self.host)

    def start(self) -> None:
        """Listen and answer in threads of our own; raise OSError when the port is taken."""
        with self._lock:
            if self._listener is None:
                self._listen()
                self.sandbox.gate.subscribe(self._follow)
        self._flowing.set()

    def stop(self) -> None:
        """Close the port and every connection; calls under way get no answer any more."""
        with self._lock:
            if self._listener is not None:
                self.sandbox.gate.unsubscribe(self._follow)
                self._shut()
        self._flowing.set()

    def _listen(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        woken, self._wake = socket.socketpair()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener, woken), daemon=True)
        self._acceptor.start()

    def _shut(self) -> None:
        if self._wake is not None and self._acceptor is not None:
            self._wake.close()
            self._acceptor.join()
        self._wake = self._acceptor = None
        self._drop_connections()
        self._listener = None

    def _drop_connections(self) -> None:
        with self._lock:
            open_now, self._connections = self._connections, set()
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _follow(self, mode: str) -> None:
        """Do what the gate of the sandbox has been turned to."""
        with self._lock:
            was_swallowing = not self._flowing.is_set()
            if mode == gate.SWALLOWING:
                self._flowing.clear()
            elif was_swallowing:
                self._drop_connections()
                self._flowing.set()
            if mode == gate.REFUSING:
                self._shut()
            elif self._listener is None:
                self._listen()

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
        if not self.sandbox.accepts():
            _reset(connection)
            connection.close()
            return
        with self._lock:
            self._connections.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        except (OSError, ValueError):
            pass
        except Exception:
            logger.exception("the sandbox failed to answer")
        finally:
            with self._lock:
                self._connections.discard(connection)
            with contextlib.suppress(OSError):
                connection.close()

    def _converse(self, accepted: socket.socket) -> None:
        accepted.settimeout(self._patience)
        if not self._flowing.is_set():
            self._flowing.wait()
            return
        connection = accepted
        if self._tls is not None:
            connection = self._tls.wrap_socket(accepted, server_side=True)
        with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer:
            ends = cast(BinaryIO, reader), cast(BinaryIO, writer)
            while self._exchange(connection, *ends):
                pass

    def _exchange(self, connection: socket.socket, reader: BinaryIO, writer: BinaryIO) -> bool:
        """Answer one request; return whether the connection stays open."""
        try:
            request = self._read(connection, reader, writer)
        except RequestError as error:
            writer.write(b"".join(encode_answer(_unreadable(error), keep_alive=False)))
            writer.flush()
            _drain(connection)
            return False
        if request is None:
            return False
        outcome = request if isinstance(request, Broken) else self._answer(request)
        connection.settimeout(None)
        if isinstance(outcome, Broken):
            if outcome.reset:
                _reset(connection)
            return False
        return _deliver(outcome, cast(Request, request), connection, writer)

    def _read(
        self, connection: socket.socket, reader: BinaryIO, writer: BinaryIO
    ) -> Request | Broken | None:
        connection.settimeout(IDLE)
        if not reader.peek(1):  # type: ignore[attr-defined]
            return None
        connection.settimeout(self._patience)
        try:
            head = read_head(reader)
            if head is None:
                return None
            if not self._flowing.is_set():
                self._flowing.wait()
                return None
            broken = None if _is_control(head) else self.sandbox.interrupted(head)
            return broken or read_body(head, reader, writer)
        except TimeoutError as error:
            raise RequestError(408, "the rest of the request did not come") from error

    def _answer(self, request: Request) -> Answer | Broken:
        host = request.headers.get("host", "localhost")
        if self.is_local and not _is_local_name(host):
            return answer_to(RefusedError(403, "Host is not this machine", reason="Host header"))
        if _is_control(request):
            refused = self._stranger(request, host)
            return refused or control.handle(self.sandbox, request)
        return self.sandbox.handle(request)

    def _stranger(self, request: Request, host: str) -> Answer | None:
        """Return the 403 for orders from another web page, or without the token they need."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return answer_to(RefusedError(403, "This page may not order the sandbox about"))
        if self.is_local:
            return None
        sent = request.headers.get("x-sandbox-token") or request.query.get("token", "")
        if self.token and hmac.compare_digest(sent.encode(), self.token.encode()):
            return None
        why = "Send X-Sandbox-Token: other machines can reach this sandbox"
        return answer_to(RefusedError(403, why))


def _is_control(request: Request) -> bool:
    return request.path == control.PREFIX or request.path.startswith(f"{control.PREFIX}/")


def _deliver(answer: Answer, request: Request, connection: socket.socket, writer: BinaryIO) -> bool:
    delivery = answer.delivery
    keep_alive = request.headers.get("connection", "").lower() != "close"
    keep_alive = keep_alive and (delivery is None or delivery.sent is None)
    keep_alive = keep_alive and answer.stream is None
    head, body = encode_answer(answer, keep_alive=keep_alive)
    body = b"" if request.method == "HEAD" else body
    pause = 0.0
    for piece in pieces(answer, head, body):
        time.sleep(pause)
        writer.write(piece)
        writer.flush()
        pause = delivery.pause if delivery else 0.0
    for piece in answer.stream or ():
        writer.write(piece)
        writer.flush()
    if delivery and delivery.reset:
        _reset(connection)
    return keep_alive


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def _is_local_name(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return _is_loopback(name.strip("[]").lower())


def _is_loopback(name: str) -> bool:
    """Say whether a name is this machine's; 127.0.0.1.evil.test is not."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


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
