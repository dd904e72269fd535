"""
One exchange with the server: bytes out, bytes back, within one deadline.

Below `requests` on purpose: it would read proxies and passwords from the
environment, follow redirects by repeating a PUT as a GET, and wait for each
read anew. An adapter of `requests` can be mounted in place of the network.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

import urllib3

from django_talon.client import specification
from django_talon.client.errors import TalonInvalidRequest
from django_talon.client.exchange import LONGEST_ANSWER, Answer, Exchange, Outgoing
from django_talon.client.faults import fault
from django_talon.client.network import Network

if TYPE_CHECKING:
    from requests import Response
    from requests.adapters import BaseAdapter

_CHUNK = 64 * 1024


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
        return _answer(response, exchange)


def _answer(response: Response, exchange: Exchange) -> Answer:
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
        trust_env: bool = False,
    ) -> None:
        self.base_url = checked_url(base_url)
        self._connect, self._read = timeout
        self._deadline = deadline
        self._door: Mounted | Network
        if adapter is not None:
            self._door = Mounted(self.base_url, adapter)
        else:
            self._door = Network(self.base_url, trust_env=trust_env)

    def send(self, request: Outgoing, deadline: float | None) -> Answer:
        """Return the answer, whatever its status. Raises only if there is none."""
        seconds = self._deadline if deadline is None else deadline
        exchange = Exchange(seconds, self._read)
        try:
            answer = self._door.exchange(request, exchange, self._connect)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raised = fault(error, request.operation, self.base_url, sent=exchange.sent)
        else:
            specification.compare(answer.headers)
            return answer
        raise raised


def checked_url(base_url: str) -> str:
    """Return the base URL without a slash at its end, or raise TalonInvalidRequest."""
    try:
        url = urllib3.util.parse_url(base_url)
        sound = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
    except urllib3.exceptions.LocationParseError:
        sound = False
    if not sound or url.query or url.fragment or url.auth is not None:
        raise TalonInvalidRequest(
            "The base_url must be like https://example.europe-west1.talon.one,"
            " without a name, a password or a query."
        )
    return base_url.rstrip("/")
