"""One call to Talon.One: signals around it, one log row, and the endpoint's health."""

from __future__ import annotations

import time
from typing import Any

from django.db import connections

from django_talon.client import IntegrationClient, TalonError
from django_talon.conf import Application
from django_talon.models import DeliveryLog
from django_talon.outbox import clock, endpoint
from django_talon.signals import post_send, pre_send

DELIVERED = "delivered"


def call(app: Application, aggregate: str, method: str, *args: Any, **options: Any) -> Any:
    """Call a method of the client and return its answer.

    Raises `TalonError`. Whether trying again can help is the caller's question.
    """
    about = {"operation": operation(method), "application": app.alias, "aggregate": aggregate}
    pre_send.send_robust(sender=IntegrationClient, dry=options.get("dry", False), **about)
    started = time.monotonic()
    try:
        answer = getattr(endpoint.client(app), method)(*args, **options)
    except TalonError as error:
        _log(about, type(error).__name__, error.status, started)
        raise
    _log(about, DELIVERED, None, started)
    if not _in_transaction():
        endpoint.succeeded(app)
    seconds = time.monotonic() - started
    post_send.send_robust(sender=IntegrationClient, seconds=seconds, **about)
    return answer


def operation(method: str) -> str:
    """Return Talon.One's name of a client method: ``updateCustomerSessionV2``."""
    first, *others = method.split("_")
    return first + "".join(part.capitalize() for part in others)


def _in_transaction() -> bool:
    return connections[clock.outbox_alias()].in_atomic_block


def _log(about: dict[str, str], outcome: str, status: int | None, started: float) -> None:
    if _in_transaction():
        return  # a dry question inside the shop's transaction leaves no trace in it
    milliseconds = int((time.monotonic() - started) * 1000)
    DeliveryLog.objects.create(outcome=outcome, status=status, milliseconds=milliseconds, **about)
