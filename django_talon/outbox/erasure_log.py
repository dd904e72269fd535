"""``ERASURE_LOG``: erasures requested, done and lifted, as lines of JSON outside the database.

A restored backup has forgotten what came after it; this file has not.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from django_talon.conf import TalonConfigurationError, conf
from django_talon.models import Erasure
from django_talon.outbox import clock

logger = logging.getLogger("django_talon")


def after_commit(erasures: Sequence[Erasure], event: str) -> None:
    """Append the erasures once the open transaction is committed.

    If that fails or the process dies, the worker does it before the first call.
    """
    if conf.ERASURE_LOG and erasures:
        write_later = partial(_write_or_complain, erasures, event)
        transaction.on_commit(write_later, using=clock.outbox_alias(), robust=True)


def _write_or_complain(erasures: Sequence[Erasure], event: str) -> None:
    try:
        append(erasures, event)
    except TalonConfigurationError as error:
        logger.error("%s", error)


def append(erasures: Sequence[Erasure], event: str) -> None:
    """Write the erasures to disk. Raises `TalonConfigurationError` if that is not possible."""
    if not conf.ERASURE_LOG:
        return
    try:
        _write(str(conf.ERASURE_LOG), (_entry(erasure, event) for erasure in erasures))
    except OSError as error:
        raise TalonConfigurationError(
            f"TALON_ONE['ERASURE_LOG'] cannot be written ({error.strerror})."
            " Erasures wait until it can: mend its path or its permissions."
        ) from None
    if event == "requested":
        keys = [erasure.pk for erasure in erasures]
        Erasure.objects.filter(pk__in=keys).update(logged_at=timezone.now())


def _entry(erasure: Erasure, event: str) -> dict[str, Any]:
    entry = {"event": event, "environment": erasure.environment, "pseudonym": erasure.pseudonym}
    if event == "done":
        return {**entry, **_proof(erasure)}
    if event == "lifted":
        moment, who, why = erasure.lifted_at, erasure.lifted_by, erasure.lifted_reason
    else:
        entry["profile_id"] = erasure.profile_id
        moment, who, why = erasure.requested_at, erasure.operator, erasure.reason
    at = (moment or timezone.now()).isoformat()
    return {**entry, "at": at, "operator": who, "reason": why}


def _proof(erasure: Erasure) -> dict[str, Any]:
    """Return what the receipt says of the end; it names the person no more."""
    moments = {
        "requested": erasure.requested_at,
        "first_sweep": erasure.first_sweep_at,
        "at": erasure.confirmed_at,
    }
    told = {name: moment.isoformat() for name, moment in moments.items() if moment}
    return {**told, "operator": erasure.operator, "proof": erasure.proof}


def _write(path: str, entries: Iterable[dict[str, Any]]) -> None:
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with open(number, "ab+", buffering=0) as file:
        text = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        if _is_torn(file):
            text = b"\n" + text  # what a crash left half written must not spoil this line
        file.write(text)
        os.fsync(file.fileno())


def _is_torn(file: Any) -> bool:
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return False
    file.seek(end - 1)
    return bool(file.read(1) != b"\n")
