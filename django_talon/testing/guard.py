"""No test reaches a real Talon.One: the connection is refused before it is made.

Nothing is replaced: an audit hook of the interpreter sees every look-up of a host and every
connection, whichever library makes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

_SERVICE = ".talon.one"
_EVENTS = {"socket.getaddrinfo": 0, "socket.connect": 1}
_HINT = (
    "Take the fixture talon_one, which points settings.TALON_ONE at the sandbox. A test that is"
    " meant to reach it says @pytest.mark.talon_one(real=True)"
)


class RealTalonOneError(RuntimeError):
    """A test was about to connect to a Talon.One that is no sandbox."""


class Guard:
    """Refuses connections to real deployments while it is ``on``; ``blocked`` are those refused."""

    def __init__(self) -> None:
        self.on = False
        self.blocked: list[str] = []
        self._installed = False

    def install(self) -> None:
        """Look at every connection of this process from now on; there is no way back."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(self.look)

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise RealTalonOneError for a connection to a real deployment."""
        place = _EVENTS.get(event)
        if place is None or not self.on:
            return
        host = _host(arguments[place])
        if host and not _is_here(host) and _is_real(host):
            message = f"A test would have reached the real Talon.One at {host}. {_HINT}"
            self.blocked.append(message)
            raise RealTalonOneError(message)


guard = Guard()


def _host(address: Any) -> str:
    """Return the host of a look-up or of a socket's address, in lower case."""
    host = address[0] if isinstance(address, tuple) and address else address
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return text.lower().rstrip(".") if isinstance(text, str) else ""


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_real(host: str) -> bool:
    return host.endswith(_SERVICE) or host in set(_configured())


def _configured() -> Iterator[str]:
    """Yield the hosts in ``settings.TALON_ONE`` that no sandbox key goes to.

    A function for a key is not called: it may connect to a vault, and that comes here.
    """
    from django.conf import settings

    from django_talon.conf import has_sandbox_key

    chosen = getattr(settings, "TALON_ONE", None) if settings.configured else None
    if not isinstance(chosen, Mapping):
        return
    for one in chosen.get("APPLICATIONS", {"default": chosen}).values():
        if callable(one.get("API_KEY")) or not has_sandbox_key(one):
            yield (urlsplit(str(one.get("BASE_URL", ""))).hostname or "").lower()
