"""The database: migrations, transactions, its clock, and what keeps vacuum away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from django_talon.doctor.findings import Finding
from django_talon.models import OutboxRow
from django_talon.outbox import clock

#: Seconds by which the clocks of host and database may differ.
SKEW = 5.0
#: Seconds that a transaction may be open before it is worth a word.
LONG = 600
#: Deleted rows that PostgreSQL has not cleaned up yet.
DEAD = 100_000


def find_migrations() -> Iterator[Finding]:
    """Yield an error if a migration of ours has not run."""
    executor = MigrationExecutor(connections[clock.outbox_alias()])
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "django_talon"]
    missing = [migration.name for migration, _ in executor.migration_plan(targets)]
    ours = [name for name in missing if name]
    if ours:
        what = f"Migrations of django_talon have not run: {', '.join(ours)}."
        yield Finding("django_talon.E111", what, "Run `manage.py migrate`.")


def find() -> Iterator[Finding]:
    """Yield what is wrong with the database the outbox is in."""
    connection = connections[clock.outbox_alias()]
    skew = abs((clock.now() - timezone.now()).total_seconds())
    if skew > SKEW:
        what = f"The clocks of this host and of the database are {skew:.0f} s apart."
        yield Finding("django_talon.W112", what, "Let both keep time by NTP.")
    if not connection.features.supports_transactions:
        what = "The database knows no transactions."
        yield Finding("django_talon.E113", what, "On MySQL and MariaDB, use the InnoDB engine.")
    if not connections.settings[connection.alias]["AUTOCOMMIT"]:
        what = "The connection is in manual transaction mode (AUTOCOMMIT is off)."
        do = "It works; rows are then found by `sweep` only, some seconds later."
        yield Finding("django_talon.I114", what, do)
    if connection.vendor == "postgresql":
        yield from _vacuum(connection)


def _vacuum(connection: Any) -> Iterator[Finding]:
    longest = _number(
        connection,
        "SELECT max(extract(epoch FROM now() - xact_start)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        [],
    )
    dead = _number(
        connection,
        "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = %s",
        [OutboxRow._meta.db_table],
    )
    if longest > LONG:
        what = f"A transaction has been open for {longest:.0f} s; the outbox cannot be cleaned."
        do = "Find it in pg_stat_activity and end it; set idle_in_transaction_session_timeout."
        yield Finding("django_talon.W115", what, do)
    if dead > DEAD:
        what = f"The outbox has {dead:.0f} deleted rows that vacuum has not removed."
        do = "Let autovacuum run, or run VACUUM on it; look for long transactions."
        yield Finding("django_talon.W116", what, do)


def _number(connection: Any, statement: str, params: list[Any]) -> float:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row = cursor.fetchone()
    return float(row[0] or 0) if row else 0.0
