"""Empties the database after a test, by what is in it.

Django's own flush truncates every table and then makes content types and permissions anew, which
takes longer than most tests. Here the tables that hold rows are asked for in one query and
emptied in one transaction; content types and permissions stay.
"""

from __future__ import annotations

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

#: What migrating fills, and no test adds to.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def filled(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the tables of Django's models that hold a row, in one query."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = {name: connection.ops.quote_name(name) for name in names}
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {table})"
                for name, table in quoted.items()
            )
        )
        return [row[0] for row in cursor.fetchall()]


def empty(connection: BaseDatabaseWrapper) -> None:
    """Delete every row that a test may have left."""
    tables = [name for name in filled(connection) if name not in KEPT]
    with (
        transaction.atomic(using=connection.alias),
        connection.constraint_checks_disabled(),
        connection.cursor() as cursor,
    ):
        for name in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")


def _after_a_test(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):
        empty(connections[alias])


def install() -> None:
    """Let every test that commits end like this."""
    TransactionTestCase._fixture_teardown = _after_a_test  # type: ignore[method-assign]
