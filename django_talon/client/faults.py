"""Which error of ours a broken connection is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from urllib3 import exceptions as low

from django_talon.client.errors import (
    TalonConnectionError,
    TalonError,
    TalonTimeout,
    TalonTlsError,
)

_NEVER_CONNECTED = (
    low.NewConnectionError,
    low.ConnectTimeoutError,
    ConnectionRefusedError,
    socket.gaierror,
)


def fault(error: BaseException, operation: str, base_url: str, *, sent: bool) -> TalonError:
    """Return what `error` means for a request of which `sent` says if any byte left."""
    chain = list(_chain(error))
    sent = sent and not _is_any(chain, _NEVER_CONNECTED) and not _named(chain, "ConnectTimeout")
    cause = _cause(chain)
    if not sent and _is_any(chain, (ssl.SSLError, low.SSLError)):
        return TalonTlsError(
            f"{operation} was not sent: {base_url} could not be trusted ({cause})."
            " Check the address and its certificate.",
            operation=operation,
        )
    if not sent:
        return TalonConnectionError(
            f"{operation} was not sent: no connection to {base_url} ({cause}). Try again later.",
            operation=operation,
        )
    if _is_any(chain, (TimeoutError, low.TimeoutError)) or _named(chain, "Timeout"):
        return TalonTimeout(
            f"{operation} was sent to {base_url}, but no whole answer came in time;"
            " it may have been done.",
            operation=operation,
        )
    return TalonConnectionError(
        f"{operation} was sent to {base_url}, but the connection broke ({cause});"
        " it may have been done.",
        operation=operation,
        ambiguous=True,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of, each once."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        related = (*found.args, getattr(found, "reason", None), found.__cause__, found.__context__)
        waiting += [part for part in related if isinstance(part, BaseException)]


def _is_any(chain: list[BaseException], kinds: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(error, kinds) for error in chain)


def _named(chain: list[BaseException], name: str) -> bool:
    """Is one of `requests`' errors of this name in the chain? (It may not be loaded.)"""
    return any(kind.__name__ == name for error in chain for kind in type(error).__mro__)


def _cause(chain: list[BaseException]) -> str:
    """The deepest cause the operating system or the TLS library told, in its words."""
    for error in reversed(chain):
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
    return type(chain[-1]).__name__
