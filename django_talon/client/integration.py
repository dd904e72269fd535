"""The Integration API: one method for each of its operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from django_talon.client import answers, paths
from django_talon.client.errors import TalonInvalidRequest
from django_talon.client.operations.base import Operation, Plain
from django_talon.client.operations.codes import Codes
from django_talon.client.operations.events import Events
from django_talon.client.operations.profiles import Profiles
from django_talon.client.operations.sessions import Sessions
from django_talon.client.signing import Credentials

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter


class IntegrationClient(Sessions, Profiles, Events, Codes):
    """A client of the Integration API of one Application.

    `timeout` is the time to connect and the time between two pieces of an
    answer, `deadline` the time of a whole call, all in seconds; every method
    takes its own `deadline`. `dialect` is ``"2020"`` for the API of that year.
    `adapter` is a transport adapter of `requests` to be used instead of the
    network. With `trust_env` the proxy that the environment names is used; a
    ``.netrc`` never is, for it would replace the key. One client may be used
    by many threads, and after a fork.

    A request is one of the typed requests or a mapping with the names of the
    wire (``couponCodes``). No method ever tries again by itself. All of them
    raise `TalonError`, whose `retryable` and `ambiguous` say what to do next.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        application_id: int | str | None = None,
        application_key: str | None = None,
        dialect: Literal["current", "2020"] = "current",
        timeout: tuple[float, float] = (2.0, 5.0),
        deadline: float = 10.0,
        adapter: BaseAdapter | None = None,
        trust_env: bool = False,
    ) -> None:
        # With urllib3, which takes half as long to load as all the rest: not at import.
        from django_talon.client.transport import Transport

        if dialect not in ("current", "2020"):
            raise TalonInvalidRequest('The dialect must be "current" or "2020".')
        self.dialect = dialect
        self._credentials = Credentials(api_key, application_id, application_key)
        self._transport = Transport(
            base_url, timeout=timeout, deadline=deadline, adapter=adapter, trust_env=trust_env
        )

    def __repr__(self) -> str:
        return f"<IntegrationClient {self._transport.base_url} dialect={self.dialect}>"

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Plain | None = None,
        json: Any = None,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Call an operation that has no method here, with the same safety.

        `path` is already percent-encoded. Returns plain data with exact numbers
        (int and Decimal), or None for an answer without a body.
        """
        if not re.fullmatch(r"[A-Z]{3,10}", method):
            raise TalonInvalidRequest("The method must be like GET or PUT.")
        name = " ".join((method, "/".join(paths.checked_path(path).split("/")[:3])))
        answer = self._send(
            Operation(name, method, path, signable=True),
            request=json,
            params=params,
            deadline=deadline,
            idempotency_key=idempotency_key,
        )
        return answers.plain(answer, name)
