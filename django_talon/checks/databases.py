"""The databases: that a mark can be made in the shop's own transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage
from django.db import connections, router

from django_talon.checks.messages import check_error, check_warning
from django_talon.models import OutboxRow


def check_database(**_: Any) -> list[CheckMessage]:
    """Check that SQLite takes its write lock when a transaction begins."""
    connection = connections[router.db_for_write(OutboxRow)]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or options.get("transaction_mode") == "IMMEDIATE":
        return []
    hint = "Set OPTIONS = {'transaction_mode': 'IMMEDIATE', 'timeout': 20} on the database."
    return [
        check_warning(
            3, "SQLite begins transactions without the write lock: 'database is locked'.", hint
        )
    ]


def elsewhere(models: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Yield an error for each model that is not written where the outbox is."""
    outbox = router.db_for_write(OutboxRow)
    for model in {model for model in models.values() if model is not None}:
        alias = router.db_for_write(model)
        if alias != outbox:
            hint = "A mark must live and die with the shop's transaction: use one database."
            yield check_error(
                13, f"{model._meta.label} is on database {alias!r}, the outbox on {outbox!r}.", hint
            )
