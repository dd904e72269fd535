"""
Kept-open connections to one server, on the HTTP client of the standard library.

What it adds to `http.client`: one deadline over all reads and writes, a cap on the
answer, head and body in one packet, and connections that are kept for the next call.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import weakref
import zlib
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from django_talon.client.exchange import LONGEST_ANSWER, Answer, Exchange, Outgoing

_MOST_KEPT = 32
_CHUNK = 64 * 1024


class _Reader(io.RawIOBase):
    """A socket on which every single read is bounded by what is left of the time."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.patience())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """What `http.client.HTTPResponse` takes for a socket."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, _CHUNK)


class _Connection(http.client.HTTPConnection):
    """A connection that keeps to the time of the exchange it is used for."""

    exchange: Exchange
    patience: float

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext | None) -> None:
        if context is not None:
            self.default_port = http.client.HTTPS_PORT
        super().__init__(host, port)
        self._context = context
        self._pieces: list[bytes] | None = None

    def connect(self) -> None:
        sock = _opened(self.host, self.port, self.exchange, self.patience)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname=self.host)
        self.sock = sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send head and body at once: one system call, and one packet if they fit."""
        pieces: list[bytes] = []
        self._pieces = pieces
        try:
            super().request(*args, **kwargs)
        finally:
            self._pieces = None
        # A server may refuse a long body early and close; its answer is there to be read.
        with contextlib.suppress(BrokenPipeError):
            self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        if self._pieces is not None:
            self._pieces.append(data)
            return
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.exchange.patience())
        self.exchange.sent = True
        self.sock.sendall(data)

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        source: Any = _Source(_Reader(sock, self.exchange))
        return http.client.HTTPResponse(source, *args, **kwargs)

    def is_idle(self) -> bool:
        """Is there nothing to read, not even the end of the connection?"""
        return not _readable(self.sock)


def _readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _opened(host: str, port: int, exchange: Exchange, seconds: float) -> socket.socket:
    problem = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(exchange.patience(seconds))
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


class Network:
    """Connections to one server; safe for many threads and after a fork."""

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._context = _trusting() if self._url.scheme == "https" else None
        self._kept: deque[_Connection] = deque()
        self._owner = os.getpid()
        weakref.finalize(self, _close, self._kept)

    def exchange(self, request: Outgoing, exchange: Exchange, connect: float) -> Answer:
        """Send one request over a connection and read the whole answer."""
        connection = self._connection()
        connection.exchange, connection.patience = exchange, connect
        try:
            connection.request(
                request.method,
                self._url.path + request.path,
                body=request.body,
                headers=request.headers,
            )
            with connection.getresponse() as response:
                data = _read(response)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, whole=data is not None)
        return Answer(response.status, response.headers, _unpacked(response, data))

    def _connection(self) -> _Connection:
        """Return one that is open and idle, or a new one. A child never uses its parent's."""
        if self._owner != os.getpid():
            _close(self._kept)
            self._owner = os.getpid()
        while self._kept:
            with contextlib.suppress(IndexError):
                connection = self._kept.pop()
                if connection.is_idle():
                    return connection
                connection.close()
        return _Connection(self._url.hostname or "", self._url.port, self._context)

    def _keep(self, connection: _Connection, *, whole: bool) -> None:
        # The standard library has closed it already if the server said it would.
        if whole and connection.sock is not None and len(self._kept) < _MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()


def _close(connections: deque[_Connection]) -> None:
    while connections:
        connections.pop().close()


def _trusting() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _read(response: http.client.HTTPResponse) -> bytes | None:
    """Return the bytes of the body, or None if there are more than allowed."""
    if response.length is not None:
        return None if response.length > LONGEST_ANSWER else response.read()
    data = bytearray()
    while piece := response.read(_CHUNK):
        data += piece
        if len(data) > LONGEST_ANSWER:
            return None
    return bytes(data)


def _unpacked(response: http.client.HTTPResponse, data: bytes | None) -> bytes | None:
    encoding = response.headers.get("Content-Encoding")
    if data is None or encoding is None or encoding.strip().lower() not in ("gzip", "x-gzip"):
        return data
    return _gunzipped(data)


def _gunzipped(packed: bytes) -> bytes | None:
    """Return what was gzipped; None if that is too long. Cut or no gzip: as it is."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, LONGEST_ANSWER + 1)
    except zlib.error:
        return packed
    if len(data) > LONGEST_ANSWER:
        return None
    return data if unpacker.eof else packed
