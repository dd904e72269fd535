"""One call to Talon.One: signals around it, one log row, and the endpoint's health."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections
from django.utils import timezone

from django_talon.client import IntegrationClient, TalonAuthError, TalonError, encode
from django_talon.conf import Application
from django_talon.models import DeliveryLog
from django_talon.outbox import clock, endpoint, transactions
from django_talon.signals import post_send, pre_send

DELIVERED = "delivered"
TOO_LARGE = 413


def call(
    app: Application,
    aggregate: str,
    method: str,
    *args: Any,
    is_news: bool = True,
    **options: Any,
) -> Any:
    """Call a method of the client and return its answer.

    If Talon.One refuses the key and the settings have another, that one is used.
    ``is_news`` is whether a success may tell something of the endpoint. Raises
    `TalonError`; whether trying again can help is the caller's question.
    """
    chosen = endpoint.in_force(app)
    while True:
        try:
            return _call(chosen, aggregate, method, *args, is_news=is_news, **options)
        except TalonAuthError as error:
            if not app.other_keys or _in_transaction():
                raise
            chosen = endpoint.fall_over(app, chosen, error)


def _call(
    app: Application, aggregate: str, method: str, *args: Any, is_news: bool, **options: Any
) -> Any:
    began = timezone.now()
    about = {"operation": operation(method), "application": app.alias, "aggregate": aggregate}
    pre_send.send_robust(sender=IntegrationClient, dry=options.get("dry", False), **about)
    logged = {**about, **_session(args, options)}
    started = time.monotonic()
    try:
        answer = getattr(endpoint.client(app), method)(*args, **options)
    except TalonError as error:
        # Of the two, what became of the call says more than what became of its record.
        with suppress(DatabaseError):
            _log(logged, started, type(error).__name__, error.status, ambiguous=error.ambiguous)
        if error.status == TOO_LARGE:
            error.args = (f"{error} The request had {len(encode(args[-1])):,} bytes.",)
        raise
    _log(logged, started)
    if is_news and not _in_transaction():
        endpoint.succeeded(app, began)
    seconds = time.monotonic() - started
    post_send.send_robust(sender=IntegrationClient, seconds=seconds, **about)
    return answer


def operation(method: str) -> str:
    """Return Talon.One's name of a client method: ``updateCustomerSessionV2``."""
    first, *others = method.split("_")
    return first + "".join(part.capitalize() for part in others)


def _session(args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, str]:
    """Return which session a call is about and the state it sends; a dry one sends none."""
    match args:
        case [str(session_id), {"customerSession": {"state": str(state)}} | {"state": str(state)}]:
            return {"session_id": session_id, "state": "" if options.get("dry") else state}
    return {}


def _in_transaction() -> bool:
    return transactions.is_open(connections[clock.outbox_alias()])


def _log(
    about: dict[str, str],
    started: float,
    outcome: str = DELIVERED,
    status: int | None = None,
    *,
    ambiguous: bool = False,
) -> None:
    if connections[clock.outbox_alias()].in_atomic_block:
        return  # a dry question inside the shop's transaction leaves no trace in it
    DeliveryLog.objects.create(
        outcome=outcome,
        status=status,
        ambiguous=ambiguous,
        milliseconds=int((time.monotonic() - started) * 1000),
        **about,
    )
