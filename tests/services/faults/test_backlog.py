"""Many waiting rows, and what is left of them."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

import django_talon
from django_talon.conf import conf
from django_talon.doctor import databases
from django_talon.models import CustomerSession, DeadLetter, DeliveryLog, Lane, OutboxRow
from django_talon.models.outbox import SCHEMA
from django_talon.outbox import clock, statements
from django_talon.outbox.calls import DELIVERED
from example_project.shop.models import Cart, CartItem
from tests.helpers import FULL, UPDATE, cart_with, deliver_all, product, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def marks(keys, each: int) -> list[OutboxRow]:
    made = [
        OutboxRow(application="default", lane=key, kind="mark", aggregate=key)
        for _ in range(each)
        for key in keys
    ]
    return OutboxRow.objects.bulk_create(made, 1000)


#: Carts and changes of each, and changes of one cart in each of so many rounds.
CARTS, CHANGES = (50_000, 20) if FULL else (100, 100)
ROUNDS, MARKS = (100, 1000) if FULL else (5, 1000)


def test_fault_51_backlog(talon, relay):
    """A backlog of many changes is claimed by index, and each cart costs one call: 1,000,000 of
    50,000 carts by night, 10,000 of 100 carts otherwise.
    """
    mug = product("mug", "1.00")
    carts = Cart.objects.bulk_create([Cart() for _ in range(CARTS)], 1000)
    CartItem.objects.bulk_create((CartItem(cart=cart, product=mug) for cart in carts), 1000)
    for _ in range(CHANGES):
        django_talon.mark(Cart.objects.all())
    assert OutboxRow.objects.count() == CARTS * CHANGES
    assert "talon_outbox_due" in plan_of_the_claim()
    for _ in range(2):
        relay()
    wait_for(lambda: not OutboxRow.objects.exists(), within=7200 if FULL else 120)
    assert CustomerSession.objects.count() == CARTS
    assert DeliveryLog.objects.filter(operation=UPDATE).count() == CARTS
    assert not DeliveryLog.objects.exclude(outcome=DELIVERED).exists()
    assert not DeadLetter.objects.exists()


def plan_of_the_claim() -> str:
    """Return how the database would find the head of the due rows."""
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mysql": "EXPLAIN"}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"ANALYZE {OutboxRow._meta.db_table}")
    rows = statements.select(f"{explain[connection.vendor]} {statements.HEAD}", [SCHEMA, 50])
    return str(rows)


def test_fault_53_retention(talon):
    """After cycles of marking and delivering no row is left; purge takes old records in bites and
    never what waits, nor a dead letter that nobody has replayed yet.
    """
    cart = cart_with(("mug", "1.00", 1))
    key = f"cart:shop.cart:{cart.pk}"
    for _ in range(ROUNDS):
        marks([key], MARKS)
        deliver_all(within=60)
        assert not OutboxRow.objects.exists()
    old = clock.now() - timedelta(days=conf.RETENTION_DAYS + 1)
    marks([key], 5)
    OutboxRow.objects.update(created_at=old, due_at=clock.now() + timedelta(days=1))
    kept = DeadLetter.objects.create(
        lane=key, kind="mark", aggregate=key, uid=OutboxRow().uid, created_at=old
    )
    entries = [DeliveryLog(aggregate=key, created_at=old) for _ in range(2500)]
    DeliveryLog.objects.bulk_create(entries)
    Lane.objects.bulk_create([Lane(key=f"{key}-{n}", served_at=old) for n in range(1500)])
    call_command("talon_purge")
    assert OutboxRow.objects.count() == 5
    assert list(DeadLetter.objects.all()) == [kept]
    assert not DeliveryLog.objects.filter(created_at=old).exists()
    assert not Lane.objects.filter(served_at=old).exists()


@pytest.mark.databases("postgresql")
def test_fault_54_a_long_transaction_keeps_vacuum_away(talon, monkeypatch, capsys):
    """A transaction that stays open, and so keeps deleted rows of the outbox from being cleaned up,
    is told by talon_check, until it ends.
    """
    monkeypatch.setattr(databases, "LONG", 0.2)
    opened, end = threading.Event(), threading.Event()

    def stay_open():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            opened.set()
            assert end.wait(120)
        connection.close()

    holder = threading.Thread(target=stay_open)
    holder.start()
    try:
        assert opened.wait(60)
        wait_for(lambda: "django_talon.W115" in findings(capsys))
    finally:
        end.set()
        holder.join()
    assert "django_talon.W115" not in findings(capsys)


def findings(capsys) -> set[str]:
    """Return the ids that ``talon_check`` tells."""
    capsys.readouterr()
    with contextlib.suppress(CommandError):
        call_command("talon_check", "--json", "--offline")
    return {finding["id"] for finding in json.loads(capsys.readouterr().out)["findings"]}
