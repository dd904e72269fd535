"""
Everything the client can raise.

* TalonError
  x TalonInvalidRequest      nothing was sent: the call itself is wrong (a ValueError too)
  x TalonConnectionError     refused, DNS, connect timeout; or cut off     retryable
    + TalonTlsError          the server could not be trusted; nothing sent
  x TalonTimeout             sent, and no whole answer in time             retryable, ambiguous
  x TalonResponseError       an answer came, but not the one asked for
    + TalonConflict          409                                           retryable
    + TalonThrottled         429                                           retryable
    + TalonServerError       5xx            retryable, ambiguous except for 501 and 503
    + TalonRejected          any other 4xx
      - TalonAuthError       401, 403, and 400 for a wrong signature
    + TalonRedirected        3xx, never followed
    + TalonUnreadableAnswer  2xx, but not the JSON asked for               retryable, ambiguous
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class ErrorDetail(NamedTuple):
    """One fault Talon.One found in a request.

    `pointer` is a JSON pointer into the body, or the name of a parameter.
    `details` may quote what was sent, so mind it in logs.
    """

    pointer: str
    title: str
    details: str


class TalonError(Exception):
    """The base class: catch this one to catch them all.

    `operation` is Talon.One's name of the call, `status` the HTTP status if an
    answer came, `request_id` Talon.One's id of the call if it told one, `errors`
    what a 400 complains about, `retry_after` how many seconds to wait, as sent,
    `answered_at` the server's time if the answer told it.
    """

    #: Can the same request succeed later, unchanged?
    retryable: bool = False
    #: May the server have done what was asked, although this was raised?
    ambiguous: bool = False

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status: int | None = None,
        request_id: str | None = None,
        errors: Sequence[ErrorDetail] = (),
        retry_after: float | None = None,
        ambiguous: bool | None = None,
        answered_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.errors = list(errors)
        self.retry_after = retry_after
        self.answered_at = answered_at
        if ambiguous is not None:
            self.ambiguous = ambiguous


class TalonInvalidRequest(TalonError, ValueError):
    """The call itself is wrong, so nothing was sent."""


class TalonConnectionError(TalonError):
    """There was no connection (`ambiguous` is false), or it broke after sending."""

    retryable = True


class TalonTlsError(TalonConnectionError):
    """The server could not prove who it is; nothing was sent."""

    retryable = False


class TalonTimeout(TalonError):
    """The request was sent, but no whole answer came in time."""

    retryable = True
    ambiguous = True


class TalonResponseError(TalonError):
    """An answer came, but not the one asked for."""


class TalonConflict(TalonResponseError):
    """Several requests about one session or profile at once: send them in turn."""

    retryable = True


class TalonThrottled(TalonResponseError):
    """Too many requests; see `retry_after`."""

    retryable = True


class TalonServerError(TalonResponseError):
    """The server, or a proxy before it, failed.

    Not ambiguous are 501 and 503, which say that nothing was done.
    """

    retryable = True
    ambiguous = True


class TalonRejected(TalonResponseError):
    """The request is wrong as it is, and sending it again will not help."""


class TalonAuthError(TalonRejected):
    """The API key (or the signature) was refused."""


class TalonRedirected(TalonResponseError):
    """The server sent us elsewhere. The client never follows."""


class TalonUnreadableAnswer(TalonResponseError):
    """The status says yes, but the body is not the JSON asked for.

    A captive portal or a proxy answers so; therefore it is no acknowledgement.
    """

    retryable = True
    ambiguous = True
