"""Which value, or which error of ours, an answer is."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from django_talon.client import errors
from django_talon.client.exchange import Answer
from django_talon.client.hushing import hushed
from django_talon.client.types.base import decode, decode_plain

T = TypeVar("T")

_SAID_NOTHING_WAS_DONE = (501, 503)


def typed(answer: Answer, kind: type[T], operation: str) -> T:
    """Return the body of a successful answer as `kind`. Raises a TalonError."""
    refuse(answer, operation)
    try:
        if answer.body:
            value: T = decode(answer.body, kind)
            return value
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise _unreadable(answer, operation)


def plain(answer: Answer, operation: str) -> Any:
    """Return the body of a successful answer as plain data, None if it is empty."""
    refuse(answer, operation)
    if answer.body == b"":
        return None
    try:
        if answer.body:
            return decode_plain(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise _unreadable(answer, operation)


def refuse(answer: Answer, operation: str) -> None:
    """Raise the error that belongs to the status, if it is not a success."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status < 200:
        raise _unreadable(answer, operation)
    if status < 400:
        raise _redirected(answer, operation)
    message, details = _complaint(answer.body or b"", answer.sent)
    kind, advice = _kind(status, message)
    raise kind(
        f"{operation} was answered with {status}{_told(message, details)}. {advice}",
        errors=details,
        retry_after=_retry_after(answer.headers.get("Retry-After")),
        ambiguous=False if status in _SAID_NOTHING_WAS_DONE else None,
        **_facts(answer, operation),
    )


def _kind(status: int, message: str) -> tuple[type[errors.TalonError], str]:
    if status in (401, 403) or (status == 400 and "signature mismatch" in message):
        return errors.TalonAuthError, "Check the key, its expiry date and its Application."
    if status == 408:
        return errors.TalonTimeout, "Try again later; it may have been done."
    if status == 409:
        return errors.TalonConflict, "Send the requests of one session or profile in turn."
    if status == 429:
        return errors.TalonThrottled, "Send fewer requests, and this one later."
    if status >= 500:
        return errors.TalonServerError, "Try again later."
    return errors.TalonRejected, "Mend the request; sending it again will not help."


def _facts(answer: Answer, operation: str) -> dict[str, Any]:
    return {
        "operation": operation,
        "status": answer.status,
        "request_id": answer.headers.get("X-Request-Id"),
        "answered_at": _moment(answer.headers.get("Date")),
    }


def _moment(value: str | None) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(value) if value else None
    except ValueError:
        return None


def _redirected(answer: Answer, operation: str) -> errors.TalonRedirected:
    target = urlsplit(answer.headers.get("Location", ""))
    whereto = f" to {target.scheme}://{target.hostname}" if target.hostname else ""
    return errors.TalonRedirected(
        f"{operation} was answered with {answer.status}, a redirect{whereto}, which is never"
        " followed. Correct the base_url.",
        **_facts(answer, operation),
    )


def _unreadable(answer: Answer, operation: str) -> errors.TalonUnreadableAnswer:
    kind = answer.headers.get("Content-Type", "no type").split(";")[0][:80]
    size = "too long or badly packed" if answer.body is None else f"{len(answer.body)} bytes"
    return errors.TalonUnreadableAnswer(
        f"{operation} was answered with {answer.status}, but with a body ({kind}, {size}) that"
        " is not the JSON asked for. Is something between us and Talon.One?",
        **_facts(answer, operation),
    )


def _complaint(body: bytes, sent: bytes) -> tuple[str, list[errors.ErrorDetail]]:
    try:
        told = decode_plain(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", []
    if not isinstance(told, dict):
        return "", []
    entries = told.get("errors")
    found = entries if isinstance(entries, list) else []
    details = [_detail(entry, sent) for entry in found if isinstance(entry, Mapping)]
    return hushed(_text(told.get("message")), sent), details


def _detail(entry: Mapping[str, Any], sent: bytes) -> errors.ErrorDetail:
    source = entry.get("source")
    places = source if isinstance(source, Mapping) else {}
    pointer = next((v for k in _PLACES if (v := _text(places.get(k)))), "")
    title = hushed(_text(entry.get("title")), sent)
    return errors.ErrorDetail(pointer, title, _text(entry.get("details")))


_PLACES = ("pointer", "parameter", "resource", "line")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _told(message: str, details: list[errors.ErrorDetail]) -> str:
    """Talon.One's words as far as they quote nothing of what was sent."""
    faults = [" at ".join(filter(None, (d.title, d.pointer))) for d in details[:5] if d.title]
    told = "; ".join(part for part in (message[:200].rstrip("."), *faults) if part)
    return f": {told}" if told else ""


def _retry_after(value: str | None) -> float | None:
    """The seconds in a Retry-After header, which may hold a date instead."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
