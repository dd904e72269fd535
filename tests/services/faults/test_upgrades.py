"""Releases that work side by side, and migrations of tables that are in use."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from django_talon.models import DeadLetter, OutboxRow
from django_talon.models.outbox import SCHEMA
from django_talon.outbox import outcomes
from example_project.shop.models import CartItem
from tests.helpers import all_due, cart_with, deliver_all, session_calls, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_fault_46_old_worker_and_new_rows(talon, entry):
    """A worker of this release leaves the rows of a newer one alone and delivers its own; a worker
    of the newer release delivers those.
    """
    new = cart_with(("new", "1.00", 1))
    OutboxRow.objects.update(schema=SCHEMA + 1)
    cart_with(("old", "1.00", 1))
    deliver_all_known()
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)] == ["old"]
    rows = OutboxRow.objects.all()
    assert {(row.lane, row.claims, row.attempts) for row in rows} == {
        (f"cart:shop.cart:{new.pk}", 0, 0)
    }
    entry("newer", "talon_relay")
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)] == ["old", "new"]


def deliver_all_known() -> None:
    call_command("talon_relay", once=True)
    call_command("talon_relay", once=True)


def test_fault_46_rows_of_a_release_before(talon):
    """What an older release inserts, without the columns that came since, is delivered: they are
    nullable or have a default in the database.
    """
    cart = cart_with(("mug", "1.00", 1))
    OutboxRow.objects.all().delete()
    key = f"cart:shop.cart:{cart.pk}"
    oldest = ("application", "lane", "kind", "aggregate", "uid", "priority")
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in oldest)
    uid = OutboxRow._meta.get_field("uid").get_db_prep_save(OutboxRow().uid, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(OutboxRow._meta.db_table)} ({names})"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            ["default", key, "mark", key, uid, 0],
        )
    deliver_all()
    assert len(session_calls(talon)) == 1


def test_fault_46_workers_that_are_deployed_before_the_shops_migration(talon):
    """While a column of the shop is not there yet, carts wait, and none becomes a dead letter."""
    cart_with(("mug", "1.00", 1))
    with without_a_column(CartItem, "quantity"):
        for _ in range(3):
            all_due()
            deliver_all()
        assert {row.attempts for row in OutboxRow.objects.all()} == {3}
        assert not DeadLetter.objects.exists()
    all_due()
    deliver_all()
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)] == [1]
    assert not OutboxRow.objects.exists()


@pytest.mark.databases("postgresql")  # the others call it an operational error, which may pass
def test_fault_46_a_column_that_never_comes(talon):
    """What cannot be read for a quarter of an hour is a dead letter, and blocks nobody."""
    cart_with(("mug", "1.00", 1))
    OutboxRow.objects.update(attempts=outcomes.MIGRATING)
    with without_a_column(CartItem, "quantity"):
        deliver_all()
    assert "ProgrammingError" in DeadLetter.objects.get().reason
    assert not OutboxRow.objects.exists()


@contextmanager
def without_a_column(model, name):
    """Take a column of a table away for a while, as before the migration that adds it."""
    table, column = connection.ops.quote_name(model._meta.db_table), name
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO not_there_yet")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN not_there_yet TO {column}")


def later_migrations() -> list[str]:
    ours = [name for app, name in MigrationLoader(None).disk_migrations if app == "django_talon"]
    return sorted(ours)[1:]


@pytest.mark.databases("postgresql")
def test_fault_47_migrations_of_a_hot_table(capsys):
    """No migration after the first rewrites or fills the outbox, or locks it for an index: a table
    in use is changed within its lock timeout.
    """
    table = OutboxRow._meta.db_table
    for name in later_migrations():
        call_command("sqlmigrate", "django_talon", name)
        for statement in capsys.readouterr().out.split(";"):
            if f'"{table}"' not in statement:
                continue
            assert not re.search(r"ALTER COLUMN \S+ TYPE", statement), (name, statement)
            assert not re.search(r"^\s*UPDATE", statement, re.MULTILINE), (name, statement)
            assert "CREATE INDEX " not in statement or "CONCURRENTLY" in statement, name
            added = "ADD COLUMN" in statement and "NOT NULL" in statement
            assert not added or "DEFAULT" in statement, (name, statement)
