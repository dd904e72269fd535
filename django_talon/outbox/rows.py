"""One narrow INSERT into the outbox, within the transaction that is open.

No upsert, no unique key, nothing to wait for. Whatever goes wrong here is
counted and logged, and never reaches the shop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import OperationalError, connections
from django.utils import timezone

from django_talon.conf import DEFAULT_APPLICATION, conf
from django_talon.models import OutboxRow
from django_talon.models.outbox import SCHEMA, Kind
from django_talon.outbox import clock, transactions

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
_KEPT = "_talon_cursor"
#: Vendor of a database -> the beginning of the statement.
_heads: dict[str, str] = {}
#: Applications that the statement may name itself; others are parameters.
_PLAIN = ("", DEFAULT_APPLICATION)
#: Every mark's: it is sent without a key.
NO_KEY = UUID(int=0)


#: A plain string, which is found in a cache sooner than a member of an enumeration.
_MARK = Kind.MARK.value


@dataclass(slots=True)
class Row:
    """One outbox row to insert."""

    lane: str
    aggregate: str
    kind: str = _MARK
    payload: Mapping[str, Any] | None = None
    priority: int = 0
    #: Empty where the router has to be asked; the worker does that.
    application: str = ""
    #: Idempotency key; a fact that is given none gets its own.
    uid: UUID | None = None

    @property
    def sure_uid(self) -> UUID:
        """Return the key that goes into the column."""
        return self.uid or (NO_KEY if self.kind == Kind.MARK else uuid4())


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
    if rows:
        _write(lambda connection: _statement(rows, connection), using)


def insert_sql(statement: str, params: list[Any], using: str) -> None:
    """Run a statement that inserts rows, as `insert` does."""
    _write(lambda _connection: (statement, params), using)


def _write(statement: Callable[[Any], tuple[str, list[Any]]], using: str) -> None:
    connection = connections[using]
    if not conf.ENABLED or connection.needs_rollback:
        return
    try:
        _run(*statement(connection), connection)
        transactions.ring_after_commit(connection)
    except Exception as error:
        if lost_the_transaction(error):
            raise
        losses.add(error)


def lost_the_transaction(error: Exception) -> bool:
    """Whether MySQL chose this transaction to end a deadlock, and has rolled all of it back.

    To go on would save half of what the shop meant to: it has to know, as it
    would of a deadlock at a statement of its own.
    """
    return isinstance(error, OperationalError) and error.args[:1] == (1213,)


def enqueue(rows: Iterable[Row]) -> None:
    """Insert rows for workers and operators themselves: erasures, replays and repairs.

    Unlike `insert` it raises a database error, and also works while ``ENABLED``
    is off: what an operator asked for waits, it is not dropped.
    """
    connection = connections[clock.outbox_alias()]
    _run(*_statement(list(rows), connection), connection)
    transactions.ring_after_commit(connection)


def _run(statement: str, params: list[Any], connection: Any) -> None:
    if connection.vendor != "postgresql" or not transactions.is_open(connection):
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
    else:
        _guarded(connection, statement, params)


def _guarded(connection: Any, statement: str, params: list[Any]) -> None:
    """Insert behind a savepoint: a failed statement would poison the shop's transaction."""
    steps = [f"SAVEPOINT {_SAVEPOINT}", statement, f"RELEASE SAVEPOINT {_SAVEPOINT}"]
    one_trip = not connection.settings_dict["OPTIONS"].get("server_side_binding")
    cursor = _cursor(connection)
    try:
        if one_trip:
            cursor.execute("; ".join(steps), params)
        else:
            for step in steps:
                cursor.execute(step, params if step is statement else None)
    except Exception:
        cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        raise


def _cursor(connection: Any) -> Any:
    """Return the cursor of the mark before, or a new one: to make one takes a third of a mark.

    It goes with its connection, and is not kept where Django logs the queries.
    """
    kept = getattr(connection, _KEPT, None)
    if kept is None or connection.queries_logged or not _is_good(kept.cursor, connection):
        kept = connection.cursor()
        setattr(connection, _KEPT, None if connection.queries_logged else kept)
    return kept


def _is_good(cursor: Any, connection: Any) -> bool:
    return cursor.connection is connection.connection and not cursor.closed


def _statement(rows: Sequence[Row], connection: Any) -> tuple[str, list[Any]]:
    """Return the INSERT; what every mark says alike stands in its text."""
    now_sql, times = moments(connection)
    groups, params = [], []
    for row in rows:
        application = _application(row)
        is_plain = application in _PLAIN
        groups.append(
            _group(
                now_sql,
                row.kind,
                application if is_plain else None,
                row.payload is not None,
                row.priority,
            )
        )
        params += [*([] if is_plain else [application]), *_given(row, connection), *times]
    return f"{_head(connection)} {', '.join(groups)}", params


def _head(connection: Any) -> str:
    # By vendor: a cache that knew the connection would keep those of ended threads.
    if connection.vendor not in _heads:
        quote = connection.ops.quote_name
        names = ", ".join(quote(name) for name in (*_COLUMNS, "created_at", "due_at"))
        table = quote(OutboxRow._meta.db_table)
        _heads[connection.vendor] = f"INSERT INTO {table} ({names}) VALUES"
    return _heads[connection.vendor]


@cache
def _group(
    now_sql: str, kind: str, application: str | None, has_payload: bool, priority: int
) -> str:
    named = "%s" if application is None else f"'{application}'"
    payload = "%s" if has_payload else "NULL"
    uid = f"'{NO_KEY.hex}'" if kind == Kind.MARK else "%s"
    said = f"{named}, %s, '{Kind(kind).value}', %s, {payload}, {uid}, {int(priority)}"
    return f"({said}, {SCHEMA}, 0, 0, {now_sql})"


def _given(row: Row, connection: Any) -> list[Any]:
    """Return what a row alone says, in the order of the columns."""
    given: list[Any] = [row.lane, row.aggregate]
    if row.payload is not None:
        field = OutboxRow._meta.get_field("payload")
        given.append(field.get_db_prep_save(row.payload, connection))
    if row.kind != Kind.MARK:
        uid = row.sure_uid
        given.append(uid if connection.features.has_native_uuid_field else uid.hex)
    return given


def _application(row: Row) -> str:
    return row.application or (DEFAULT_APPLICATION if conf.ROUTER is None else "")


def moments(connection: Any) -> tuple[str, list[Any]]:
    """Return SQL and parameters of ``created_at`` and ``due_at``."""
    found = _now_and_later(connection.vendor, conf.DEBOUNCE, settings.USE_TZ)
    if found:
        return found, []
    adapt = connection.ops.adapt_datetimefield_value
    due = timezone.now() + timedelta(seconds=conf.DEBOUNCE)
    return "%s, %s", [adapt(timezone.now()), adapt(due)]


@cache
def _now_and_later(vendor: str, seconds: float, is_aware: bool) -> str:
    """Return SQL by the database's clock; empty where the host's has to do."""
    now, later = (is_aware and clock.sql(vendor)) or ("", "")
    return f"{now}, {later.replace('%s', str(float(seconds)))}" if now else ""


def values(row: Row, connection: Any) -> dict[str, Any]:
    """Return what a row puts into each column, as the database's driver takes it."""
    chosen = {
        "application": _application(row),
        "lane": row.lane,
        "kind": str(row.kind),
        "aggregate": row.aggregate,
        "payload": row.payload,
        "uid": row.sure_uid,
        "priority": row.priority,
        "schema": SCHEMA,
        "claims": 0,
        "attempts": 0,
    }
    fields = {field.name: field for field in OutboxRow._meta.concrete_fields}
    return {name: fields[name].get_db_prep_save(chosen[name], connection) for name in _COLUMNS}
