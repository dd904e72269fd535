"""One narrow INSERT into the outbox, within the transaction that is open.

No upsert, no unique key, nothing to wait for. Whatever goes wrong here is
counted and logged, and never reaches the shop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connections, transaction
from django.utils import timezone

from django_talon.conf import DEFAULT_APPLICATION, conf
from django_talon.models import OutboxRow
from django_talon.models.outbox import SCHEMA, Kind
from django_talon.outbox import clock, wake

logger = logging.getLogger("django_talon")

_COLUMNS = (
    "application",
    "lane",
    "kind",
    "aggregate",
    "payload",
    "uid",
    "priority",
    "schema",
    "claims",
    "attempts",
)
_SAVEPOINT = "talon_mark"


@dataclass(frozen=True)
class Row:
    """One outbox row to insert."""

    lane: str
    aggregate: str
    kind: str = Kind.MARK
    payload: Mapping[str, Any] | None = None
    priority: int = 0
    #: Empty where the router has to be asked; the worker does that.
    application: str = ""
    uid: UUID = field(default_factory=uuid4)


class Losses:
    """Counts the marks that could not be written, and logs at most once a minute."""

    def __init__(self) -> None:
        self.count = 0
        self._logged_at = -math.inf

    def add(self, error: Exception) -> None:
        self.count += 1
        if time.monotonic() - self._logged_at < 60:
            return
        self._logged_at = time.monotonic()
        logger.error(
            "django-talon could not note a change (%s); %d so far in this process. The shop"
            " went on. talon.mark() repairs what was missed.",
            type(error).__name__,
            self.count,
        )


losses = Losses()


def insert(rows: Sequence[Row], using: str) -> None:
    """Write rows into the transaction that is open on ``using``, and wake a worker after it.

    Raises nothing: a database error is counted in `losses`, and the shop's
    transaction stays usable.
    """
    if not rows or not conf.ENABLED or connections[using].needs_rollback:
        return
    try:
        _execute(rows, using)
        _wake_after_commit(using)
    except Exception as error:  # noqa: BLE001  a shop's save never fails because of us
        losses.add(error)


def enqueue(rows: Iterable[Row]) -> None:
    """Insert rows for workers and operators themselves: erasures, replays and repairs.

    Unlike `insert` it raises a database error, and also works while ``ENABLED``
    is off: what an operator asked for waits, it is not dropped.
    """
    using = clock.outbox_alias()
    _execute(list(rows), using)
    _wake_after_commit(using)


def _execute(rows: Sequence[Row], using: str) -> None:
    connection = connections[using]
    statement, params = _statement(rows, connection)
    in_transaction = connection.in_atomic_block or not connection.get_autocommit()
    if connection.vendor != "postgresql" or not in_transaction:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
    else:
        _guarded(connection, statement, params)


def _guarded(connection: Any, statement: str, params: list[Any]) -> None:
    """Insert behind a savepoint: a failed statement would poison the shop's transaction."""
    steps = [f"SAVEPOINT {_SAVEPOINT}", statement, f"RELEASE SAVEPOINT {_SAVEPOINT}"]
    one_trip = not connection.settings_dict["OPTIONS"].get("server_side_binding")
    with connection.cursor() as cursor:
        try:
            if one_trip:
                cursor.execute("; ".join(steps), params)
            else:
                for step in steps:
                    cursor.execute(step, params if step is statement else None)
        except Exception:
            cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise


def _statement(rows: Sequence[Row], connection: Any) -> tuple[str, list[Any]]:
    now_sql, params = _moments(connection)
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in (*_COLUMNS, "created_at", "due_at"))
    values = "({}, {})".format(", ".join(["%s"] * len(_COLUMNS)), now_sql)
    table = quote(OutboxRow._meta.db_table)
    every = [value for row in rows for value in (*_values(row, connection), *params)]
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([values] * len(rows))}", every  # noqa: S608


def _moments(connection: Any) -> tuple[str, list[Any]]:
    """Return SQL and parameters of ``created_at`` and ``due_at``."""
    found = clock.sql(connection.vendor)
    if found:
        return f"{found[0]}, {found[1]}", [conf.DEBOUNCE]
    adapt = connection.ops.adapt_datetimefield_value
    due = timezone.now() + timedelta(seconds=conf.DEBOUNCE)
    return "%s, %s", [adapt(timezone.now()), adapt(due)]


def _values(row: Row, connection: Any) -> list[Any]:
    chosen = {
        "application": row.application or (DEFAULT_APPLICATION if conf.ROUTER is None else ""),
        "lane": row.lane,
        "kind": str(row.kind),
        "aggregate": row.aggregate,
        "payload": row.payload,
        "uid": row.uid,
        "priority": row.priority,
        "schema": SCHEMA,
        "claims": 0,
        "attempts": 0,
    }
    fields = {field.name: field for field in OutboxRow._meta.concrete_fields}
    return [fields[name].get_db_prep_save(chosen[name], connection) for name in _COLUMNS]


def _wake_after_commit(using: str) -> None:
    connection = connections[using]
    if not connection.get_autocommit() and not connection.in_atomic_block:
        return  # manual transactions know no on_commit; the sweep finds the row
    transaction.on_commit(wake.ring, using=using, robust=True)
