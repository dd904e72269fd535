"""The claim on PostgreSQL: its plan, the tables' storage options, several lanes at a time."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from django_talon.models import CustomerSession, OutboxRow
from django_talon.models.outbox import SCHEMA
from django_talon.outbox import claim, delivery, statements
from tests.helpers import cart_with, customer, session_calls, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

ROWS = """
INSERT INTO django_talon_outboxrow (application, lane, kind, aggregate, uid, priority, due_at)
SELECT 'default', 'cart:' || n / 10, 'mark', 'cart:' || n / 10, gen_random_uuid(), 0,
    now() - interval '1 hour'
FROM generate_series(1, 50000) n
"""


@pytest.fixture
def postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("about postgresql (TALON_TEST_DATABASE)")


def test_the_claim_reads_an_index(talon, postgresql):
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.execute("ANALYZE django_talon_outboxrow")
    explain = "EXPLAIN (ANALYZE, TIMING OFF) " + statements.HEAD
    plan = "\n".join(row[0] for row in statements.select(explain, [SCHEMA, claim.HEAD]))
    assert "Index Scan using talon_outbox_due" in plan, plan
    assert "Sort" not in plan, plan
    assert f"rows={claim.HEAD} " in plan, plan


def options(table):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        return set(cursor.fetchone()[0] or [])


def test_the_outbox_is_vacuumed_by_number_of_rows(postgresql):
    wanted = {
        "autovacuum_vacuum_scale_factor=0.01",
        "autovacuum_vacuum_threshold=1000",
        "fillfactor=80",
    }
    migration = import_module("django_talon.migrations.0006_storage")
    assert [options(table) for table in migration.TABLES] == [wanted, wanted]
    with connection.schema_editor() as editor:
        migration.reset_options(apps, editor)
    assert [options(table) for table in migration.TABLES] == [set(), set()]
    with connection.schema_editor() as editor:
        migration.set_options(apps, editor)
    assert [options(table) for table in migration.TABLES] == [wanted, wanted]


def test_a_backlog_is_served_by_several_threads_and_no_customer_twice_at_a_time(talon, postgresql):
    people = [customer(f"c{n}") for n in range(3)]
    carts = [cart_with((f"p{n}", "1.00", 1), user=people[n % 3]) for n in range(12)]
    talon.faults.add(match={}, phase="before_apply", do={"delay": {"seconds": 0.05}})
    # What finds its customer's lane taken is due again in a moment.
    wait_for(lambda: delivery.drain(threads=3) == 0 and not OutboxRow.objects.exists())
    assert len(session_calls(talon)) == len(carts)
    assert CustomerSession.objects.filter(state="open").count() == len(carts)
    assert [v for v in talon.violations() if v["monitor"] == "overlap"] == []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        assert cursor.fetchone() == (1,)
