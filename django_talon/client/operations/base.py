"""How every operation is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec import MsgspecError

from django_talon._version import __version__
from django_talon.client import answers, limits, paths
from django_talon.client.errors import TalonInvalidRequest
from django_talon.client.exchange import Answer, Outgoing
from django_talon.client.signing import Credentials
from django_talon.client.types.base import encode

if TYPE_CHECKING:
    from django_talon.client.transport import Transport

T = TypeVar("T")
Plain = Mapping[str, Any]


class Operation(NamedTuple):
    """An operation of the API: Talon.One's name of it, and where it is.

    `signable`: it accepts the Content-Signature of 2020 in place of a key.
    """

    name: str
    method: str
    path: str
    signable: bool = False


class Caller:
    """What the groups of operations have in common: a way to the server."""

    dialect: str
    _credentials: Credentials
    _transport: Transport

    def _ask(self, operation: Operation, kind: type[T], **call: Any) -> T:
        """Call an operation and return its answer as `kind`; for `call` see `_send`."""
        return answers.typed(self._send(operation, **call), kind, operation.name)

    def _tell(self, operation: Operation, **call: Any) -> None:
        """Call an operation that answers nothing, or nothing that matters."""
        answers.refuse(self._send(operation, **call), operation.name)

    def _send(
        self,
        operation: Operation,
        *,
        id_: str | None = None,
        request: Any = None,
        params: Plain | None = None,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        path = operation.path
        if "{}" in path:
            path = paths.filled(path, id_, operation.name)
        body = None if request is None else _encoded(operation, request)
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"django-talon/{__version__}",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = _checked_idempotency_key(operation, idempotency_key)
        headers |= self._credentials.headers(
            body or b"", operation=operation.name, signable=operation.signable
        )
        url = path + paths.query(params) if params else path
        outgoing = Outgoing(operation.name, operation.method, url, headers, body)
        return self._transport.send(outgoing, deadline)._replace(sent=body or b"")


def _encoded(operation: Operation, request: Any) -> bytes:
    if said := limits.breach(operation.name, request):
        raise not_sent(operation, said)
    try:
        return encode(request)
    except (ValueError, TypeError, RecursionError, MsgspecError) as error:
        reason = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        raise not_sent(operation, f"it cannot be written as JSON ({reason})") from None


def _checked_idempotency_key(operation: Operation, key: str) -> str:
    if not re.fullmatch(r"[!-~]{1,255}", key):
        raise not_sent(operation, "an idempotency_key is 1 to 255 visible ASCII characters")
    return key


def not_sent(operation: Operation, reason: str) -> TalonInvalidRequest:
    """Return the error for a call that is wrong in itself."""
    return TalonInvalidRequest(
        f"{operation.name} was not sent: {reason}.", operation=operation.name
    )
