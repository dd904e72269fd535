"""
One exchange with the server: bytes out, bytes back, within one deadline.

Below `requests` on purpose: it would read proxies and passwords from the
environment, follow redirects by repeating a PUT as a GET, and wait for each
read anew. An adapter of `requests` can be mounted in place of the network.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from django_talon.client.errors import TalonInvalidRequest
from django_talon.client.faults import fault

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

#: No answer may be longer, in bytes, neither packed nor unpacked.
LONGEST_ANSWER = 10 * 1024 * 1024
_CHUNK = 64 * 1024
_here = threading.local()


class Outgoing(NamedTuple):
    """A request, ready to be sent. `path` is encoded and includes the query."""

    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


class Answer(NamedTuple):
    """What came back. `body` is unpacked, or None if it is longer than allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Exchange:
    """The clock of one exchange, and whether any byte of it may have been sent."""

    __slots__ = ("_ends", "_read_timeout", "sent")

    def __init__(self, deadline: float, read_timeout: float) -> None:
        self._ends = time.monotonic() + deadline
        self._read_timeout = read_timeout
        self.sent = False

    def patience(self, longest: float | None = None) -> float:
        """Return how many seconds the next step may take. Raises TimeoutError."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left, self._read_timeout if longest is None else longest)


class _Reader(io.RawIOBase):
    """A socket on which every single read is bounded by what is left of the time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._exchange: Exchange = _here.exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.patience())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock))


class _Bounded(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        exchange: Exchange = _here.exchange
        self.sock.settimeout(exchange.patience())
        exchange.sent = True
        super().send(data)


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class Network:
    """Kept-open connections to one server; safe for many threads and after a fork."""

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._context = _trusting() if self._url.scheme == "https" else None
        self._owned = os.getpid(), self._new_pool()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        host, port = self._url.hostname or "", self._url.port
        if self._context is None:
            return _Pool(host, port, maxsize=32)
        return _TlsPool(host, port, maxsize=32, ssl_context=self._context)

    def _pool(self) -> urllib3.HTTPConnectionPool:
        owner, pool = self._owned
        if owner != os.getpid():
            pool = self._new_pool()
            self._owned = os.getpid(), pool
        return pool

    def exchange(self, request: Outgoing, exchange: Exchange, connect: float) -> Answer:
        """Send one request over a connection and read the whole answer."""
        _here.exchange = exchange
        response = self._pool().urlopen(
            request.method,
            self._url.path + request.path,
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=exchange.patience(connect), read=None),
            preload_content=False,
            decode_content=False,
        )
        try:
            data = _read(response)
        except BaseException:
            response.close()
            raise
        return Answer(response.status, response.headers, data)


def _trusting() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _read(response: urllib3.BaseHTTPResponse) -> bytes | None:
    packed = b""
    while piece := response.read(LONGEST_ANSWER + 1 - len(packed), decode_content=False):
        packed = packed + piece if packed else piece
        if len(packed) > LONGEST_ANSWER:
            response.close()
            return None
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return _unpacked(packed) if encoding in ("gzip", "x-gzip") else packed


def _unpacked(packed: bytes) -> bytes | None:
    """Return what was gzipped; None if that is too long. Cut or no gzip: as it is."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, LONGEST_ANSWER + 1)
    except zlib.error:
        return packed
    if len(data) > LONGEST_ANSWER:
        return None
    return data if unpacker.eof else packed


class Mounted:
    """An adapter of `requests` in the place of the network."""

    def __init__(self, base_url: str, adapter: BaseAdapter) -> None:
        self._base_url = base_url
        self._adapter = adapter

    def exchange(self, request: Outgoing, exchange: Exchange, connect: float) -> Answer:
        """Send one request through the adapter; its own reads cannot be bounded."""
        import requests

        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, self._base_url + request.path
        prepared.body = request.body
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        if request.body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
        timeout = exchange.patience(connect), exchange.patience()
        exchange.sent = True
        response = self._adapter.send(prepared, stream=True, timeout=timeout, proxies={})
        if response.raw is None:
            return Answer(response.status_code, response.headers, response.content)
        with response:
            data = _drained(response.iter_content(_CHUNK), exchange)
        return Answer(response.status_code, response.headers, data)


def _drained(chunks: Any, exchange: Exchange) -> bytes | None:
    data = bytearray()
    for chunk in chunks:
        exchange.patience()
        data += chunk
        if len(data) > LONGEST_ANSWER:
            return None
    return bytes(data)


class Transport:
    """Sends requests to one base URL and turns what goes wrong into our errors."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: tuple[float, float],
        deadline: float,
        adapter: BaseAdapter | None,
    ) -> None:
        self.base_url = checked_url(base_url)
        self._connect, self._read = timeout
        self._deadline = deadline
        self._door = Mounted(self.base_url, adapter) if adapter else Network(self.base_url)

    def send(self, request: Outgoing, deadline: float | None) -> Answer:
        """Return the answer, whatever its status. Raises only if there is none."""
        seconds = self._deadline if deadline is None else deadline
        exchange = Exchange(seconds, self._read)
        try:
            return self._door.exchange(request, exchange, self._connect)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raised = fault(error, request.operation, self.base_url, sent=exchange.sent)
        raise raised


def checked_url(base_url: str) -> str:
    """Return the base URL without a slash at its end, or raise TalonInvalidRequest."""
    try:
        url = urlsplit(base_url)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound or url.query or url.fragment or url.username is not None:
        raise TalonInvalidRequest(
            "The base_url must be like https://example.europe-west1.talon.one,"
            " without a name, a password or a query."
        )
    return base_url.rstrip("/")
