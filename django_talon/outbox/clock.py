"""Time by the database's clock, so that hosts need not agree."""

from __future__ import annotations

from datetime import datetime
from datetime import timezone as dt_timezone
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from django_talon.models import OutboxRow

#: SQL for "now" and for "now plus so many seconds", both in UTC.
_SQL = {
    "postgresql": ("statement_timestamp()", "statement_timestamp() + %s * interval '1 second'"),
    "sqlite": (
        # Six digits, as Django writes them: SQLite compares moments as text.
        "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')",
        "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', %s || ' seconds')",
    ),
    "mysql": ("UTC_TIMESTAMP(6)", "DATE_ADD(UTC_TIMESTAMP(6), INTERVAL %s SECOND)"),
}


def outbox_alias() -> str:
    """Return the database in which workers read and write."""
    return router.db_for_write(OutboxRow)


def sql(vendor: str) -> tuple[str, str] | None:
    """Return the SQL for now and for now plus seconds, or ``None`` for the host's clock."""
    return _SQL.get(vendor) if settings.USE_TZ else None


def now() -> datetime:
    """Return the database's time."""
    connection = connections[outbox_alias()]
    found = sql(connection.vendor)
    if found is None:
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {found[0]}", [])
        return read(cursor.fetchone()[0])


def read(value: Any) -> datetime:
    """Return a moment that the database gave as it came out of the cursor."""
    value = parse_datetime(value) if isinstance(value, str) else value
    if not isinstance(value, datetime):
        return timezone.now()
    if not settings.USE_TZ:
        return value
    return value if timezone.is_aware(value) else value.replace(tzinfo=dt_timezone.utc)
