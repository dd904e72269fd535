"""A plain HTTP client for the sandbox: what any language could send."""

from __future__ import annotations

import http.client
import json
import socket
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Said(NamedTuple):
    """An answer as it came over the wire, numbers with a fraction as Decimal."""

    status: int
    body: Any
    headers: dict[str, str]


class World:
    """One world of a sandbox, spoken to with http.client."""

    def __init__(self, server: Any, name: str) -> None:
        self.server, self.name = server, name
        self.netloc = urlsplit(server.url).netloc
        self.key = server.key(name)

    def send(self, method: str, path: str, body: Any = None, /, **headers: str) -> Said:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            sent = {"Authorization": f"ApiKey-v1 {self.key}", **named}
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, sent)
            return read(connection.getresponse())
        finally:
            connection.close()

    def session(
        self, session_id: str = "s1", /, *, query: str = "", want=(), **content: Any
    ) -> Said:
        """Update a V2 session."""
        body = {"customerSession": content, "responseContent": list(want)}
        return self.send("PUT", f"/v2/customer_sessions/{session_id}{query}", body)

    def calls(self, operation: str | None = None) -> list[dict[str, Any]]:
        """Return the journal of this world."""
        return self.server.calls(self.name, operation)


def read(response: http.client.HTTPResponse) -> Said:
    """Return an answer parsed."""
    raw = response.read()
    is_json = "json" in (response.getheader("Content-Type") or "")
    body = json.loads(raw, parse_float=Decimal) if raw and is_json else raw.decode()
    return Said(response.status, body, dict(response.getheaders()))


def raw(url: str, sent: bytes) -> bytes:
    """Send bytes as they are and return all that comes back."""
    with socket.create_connection(urlsplit(url).netloc.split(":"), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def item(price: Any = 10, quantity: int = 1, **more: Any) -> dict[str, Any]:
    """Return a cart item of the demo shop."""
    return {"sku": "mug-1", "name": "Mug", "quantity": quantity, "price": price, **more}


def effects(said: Said) -> list[tuple[Any, ...]]:
    """Return type and most telling props of each effect."""
    keys = ("value", "rejectionReason", "position", "subPosition")
    return [
        (e["effectType"], *(e["props"][key] for key in keys if key in e["props"]))
        for e in said.body["effects"]
    ]
