"""
Connections to one server, by urllib3.

Added to it: one deadline over everything that is sent and read, a cap on the answer,
head and body in one packet, and a log that does not tell the ids in the paths.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import socket
import ssl
from contextvars import ContextVar
from typing import Any
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, DecodeError, NewConnectionError
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.url import Url, parse_url

from django_talon.client.exchange import LONGEST_ANSWER, Answer, Exchange, Outgoing

_MOST_KEPT = 32
_CHUNK = 64 * 1024
_ONE_TLS_RECORD = 16 * 1024
_NEVER_AGAIN = urllib3.Retry(False, redirect=False)


# urllib3 hands nothing of ours through to its connections.
_present: ContextVar[Exchange] = ContextVar("exchange")


def _is_foreign(_: logging.LogRecord) -> bool:
    return _present.get(None) is None


# They log the path of each request, and with it the id of a customer.
for _logger in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_logger).addFilter(_is_foreign)


class _Reader(io.RawIOBase):
    """A socket on which every single read is bounded by what is left of the time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_present.get().patience())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """What `http.client.HTTPResponse` takes for a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock), _CHUNK)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        source: Any = _Source(sock)
        super().__init__(source, *args, **kwargs)


class _Connection(HTTPConnection):
    """A connection that keeps to the time of the exchange it is used for."""

    response_class = _Response
    _pieces: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        """Let the addresses of a host share the time that urllib3 would give to each."""
        name, longest = self._dns_host, self.timeout
        problem: Exception | None = None
        for address in _addresses(name, self.port):
            self._dns_host, self.timeout = address, _present.get().patience(longest)
            try:
                return super()._new_conn()
            except (NewConnectionError, ConnectTimeoutError) as error:
                problem = error
            finally:
                self._dns_host, self.timeout = name, longest
        raise problem or NewConnectionError(self, "the host has no address")

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send head and body at once: one system call, and one packet if they fit."""
        pieces: list[bytes] = []
        self._pieces = pieces
        try:
            super().request(*args, **kwargs)
        finally:
            self._pieces = None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        if self._pieces is not None:
            self._pieces.append(data)
            return
        if self.sock is None:
            self.connect()
        for start in range(0, len(data), _ONE_TLS_RECORD):
            self.sock.settimeout(_present.get().patience())
            _present.get().sent = True
            super().send(data[start : start + _ONE_TLS_RECORD])


def _addresses(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, allowed_gai_family(), socket.SOCK_STREAM)
    except UnicodeError:
        return [name]
    return [str(address[0]) for *_, address in found]


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Network:
    """Connections to one server; safe for many threads and after a fork."""

    def __init__(self, base_url: str, *, trust_env: bool = False) -> None:
        self._url = parse_url(base_url)
        self._proxy = _proxy_for(self._url) if trust_env else None
        self._context = _trusting() if self._url.scheme == "https" else None
        self._owned = os.getpid(), self._new_pool()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        if self._proxy is not None:
            return self._proxied(self._proxy)
        host = self._url.host or ""
        if self._context is None:
            return _Pool(host, self._url.port or 80, maxsize=_MOST_KEPT)
        port = self._url.port or 443
        return _TlsPool(host, port, maxsize=_MOST_KEPT, ssl_context=self._context)

    def _proxied(self, proxy: str) -> urllib3.HTTPConnectionPool:
        manager = urllib3.ProxyManager(proxy, maxsize=_MOST_KEPT, ssl_context=self._context)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager.connection_from_url(self._url.url)

    def _target(self, path: str) -> str:
        """Return what stands in the first line: a proxy wants the whole address."""
        if self._proxy is not None and self._context is None:
            return self._url.url.rstrip("/") + path
        return (self._url.path or "").rstrip("/") + path

    def _pool(self) -> urllib3.HTTPConnectionPool:
        """Return the pool of this process: a child never uses a connection of its parent."""
        owner, pool = self._owned
        if owner != os.getpid():
            pool = self._new_pool()
            self._owned = os.getpid(), pool
        return pool

    def exchange(self, request: Outgoing, exchange: Exchange, connect: float) -> Answer:
        """Send one request over a connection and read the whole answer."""
        token = _present.set(exchange)
        try:
            return self._exchange(request, exchange.patience(connect))
        finally:
            _present.reset(token)

    def _exchange(self, request: Outgoing, connect: float) -> Answer:
        response = self._pool().urlopen(
            request.method,
            self._target(request.path),
            body=request.body,
            headers=request.headers,
            retries=_NEVER_AGAIN,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=connect),
            preload_content=False,
        )
        try:
            return Answer(response.status, response.headers, _read(response))
        finally:
            # Once all is read this does nothing, for the pool has the connection again.
            response.close()


def _proxy_for(url: Url) -> str | None:
    """Return the proxy that the environment names for this address, if any."""
    if proxy_bypass(url.host or ""):
        return None
    return getproxies().get(url.scheme or "")


def _trusting() -> ssl.SSLContext:
    import certifi

    context = create_urllib3_context()
    context.load_verify_locations(certifi.where())
    return context


def _read(response: urllib3.BaseHTTPResponse) -> bytes | None:
    """Return the unpacked body, or None if it is longer than allowed or badly packed."""
    length = response.length_remaining
    if length is not None and length > LONGEST_ANSWER:
        return None
    try:
        if length is not None and "Content-Encoding" not in response.headers:
            return response.read()
        return _capped(response)
    except DecodeError:
        return None


def _capped(response: urllib3.BaseHTTPResponse) -> bytes | None:
    data = bytearray()
    while piece := response.read(_CHUNK):
        data += piece
        if len(data) > LONGEST_ANSWER:
            return None
    return bytes(data)
