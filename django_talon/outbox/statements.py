"""The statements that every delivery needs, written out.

Plain SQL that all three databases take. Letting the ORM put them together at
each delivery takes longer than the database needs to run them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
from django.utils import timezone

from django_talon.models import DeadLetter, DeliveryLog, Endpoint, Lane, OutboxRow
from django_talon.outbox import clock

_TABLES = {
    "[rows]": OutboxRow._meta.db_table,
    "[lanes]": Lane._meta.db_table,
    "[endpoints]": Endpoint._meta.db_table,
    "[letters]": DeadLetter._meta.db_table,
    "[log]": DeliveryLog._meta.db_table,
}

#: With each row: the time, whether an endpoint has failed of late, whether dead letters wait.
HEAD = """
SELECT [lane], [application], [priority], [attempts], {now},
    EXISTS (SELECT 1 FROM [endpoints]
        WHERE [health] <> 'healthy' OR [failures] <> 0 OR [stopped_at] IS NOT NULL),
    EXISTS (SELECT 1 FROM [letters] WHERE [replayed_at] IS NULL AND [discarded_at] IS NULL)
FROM [rows] WHERE [due_at] <= {now} AND [schema] <= %s ORDER BY [due_at], [id] LIMIT %s
"""
LEASE = """
UPDATE [lanes] SET [token] = %s, [lease_until] = %s, [served_at] = %s, [blocked_until] = NULL
WHERE [key] = %s AND ([token] IS NULL OR [lease_until] <= %s)
    AND ([blocked_until] IS NULL OR [blocked_until] <= %s OR [why] = %s)
"""
RELEASE = """
UPDATE [lanes] SET [token] = NULL, [lease_until] = NULL WHERE [token] IN ({}) AND [key] IN ({})
"""
#: Changes nothing; the lock keeps others from the lane until the transaction ends.
CONFIRM = "UPDATE [lanes] SET [token] = [token] WHERE [token] = %s AND [key] = %s"
BRING_FORWARD = "UPDATE [rows] SET [due_at] = %s WHERE [lane] = %s AND [due_at] = %s"
#: Each lane's rows behind a moment of its own.
POSTPONE = """
UPDATE [rows] SET [due_at] = CASE [lane] <branches> END WHERE [lane] IN ({}) AND [due_at] <= %s
"""
#: Each customer of the delivery log under a name of their own.
RENAME = """
UPDATE [log] SET [aggregate] = CASE [aggregate] <branches> END WHERE [aggregate] IN ({})
"""
COUNT_CLAIM = "UPDATE [rows] SET [claims] = [claims] + 1 WHERE [id] IN ({})"


def select(statement: str, params: Sequence[Any]) -> list[Any]:
    """Run a query; ``{now}`` in it is the database's time."""
    connection = connections[clock.outbox_alias()]
    found = clock.sql(connection.vendor)
    now = found[0] if found else "%s"
    moment = [] if found else [_adapted(timezone.now(), connection)]
    before = moment * statement.count("{now}")
    with connection.cursor() as cursor:
        cursor.execute(_quoted(statement, connection).format(now=now), [*before, *params])
        return list(cursor.fetchall())


def change(statement: str, *params: Any) -> int:
    """Run an UPDATE and return how many rows it changed; a list is spread into ``{}``."""
    connection = connections[clock.outbox_alias()]
    marks = [", ".join(["%s"] * len(each)) for each in params if isinstance(each, list)]
    flat = [
        _adapted(value, connection)
        for each in params
        for value in (each if isinstance(each, list) else [each])
    ]
    with connection.cursor() as cursor:
        cursor.execute(_quoted(statement, connection).format(*marks), flat)
        return int(cursor.rowcount)


def change_each(statement: str, values: Mapping[str, Any], *params: Any) -> int:
    """Run an UPDATE that gives each key a value of its own, in place of ``<branches>``."""
    branches = " ".join(["WHEN %s THEN %s"] * len(values))
    pairs = [part for pair in values.items() for part in pair]
    return change(statement.replace("<branches>", branches), *pairs, list(values), *params)


def _quoted(statement: str, connection: Any) -> str:
    """Put names into the database's own quotes: ``key`` is a word of MySQL's."""
    quote = connection.ops.quote_name
    return re.sub(r"\[\w+\]", lambda m: quote(_TABLES.get(m.group(), m.group()[1:-1])), statement)


def _adapted(value: Any, connection: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value
