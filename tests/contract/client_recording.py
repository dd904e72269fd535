"""What two clients send for the same call, as a server on loopback sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import talon_one

from django_talon.client import IntegrationClient
from tests.unit.client.servers import Seen, answer, answering

KEY = "b48676"
HEADERS = ("authorization", "content-type", "accept", "idempotency-key", "host")


@dataclass
class Sent:
    """A request by its meaning: numbers exact, the query decoded, only headers that matter."""

    line: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def _sent(seen: Seen) -> Sent:
    url = urlsplit(seen.target)
    headers = {name: seen.headers[name] for name in HEADERS if name in seen.headers}
    headers.pop("host")
    body = json.loads(seen.body, parse_float=Decimal) if seen.body else None
    return Sent(f"{seen.method} {url.path}", dict(parse_qsl(url.query)), headers, body)


def by_us(call: Callable[[IntegrationClient], object], body: bytes) -> Sent:
    """Return what our client sends; `body` is an answer it can read."""
    with answering(answer(200, body)) as server:
        call(IntegrationClient(server.url, api_key=KEY))
    return _sent(server.seen[0])


def by_sdk(call: Callable[[Any], Any]) -> Sent:
    """Return what the official SDK sends; its reading of the answer is left out."""
    with answering(answer()) as server:
        configuration = talon_one.Configuration(
            host=server.url,
            api_key={"api_key_v1": KEY},
            api_key_prefix={"api_key_v1": "ApiKey-v1"},
        )
        with talon_one.ApiClient(configuration) as client:
            call(_Unread(talon_one.IntegrationApi(client)))
            client.rest_client.pool_manager.clear()
    return _sent(server.seen[0])


class _Unread:
    """The SDK's methods in the form that does not read the answer."""

    def __init__(self, api: talon_one.IntegrationApi) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._api, f"{name}_without_preload_content")

        def call(*args: Any, **options: Any) -> None:
            method(*args, **options).read()

        return call
