"""What the shop does to its rows, and in which transaction: what is noticed of it."""

from __future__ import annotations

import json
import signal
import threading

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import connection, transaction

import django_talon
from django_talon.models import CustomerSession, DeadLetter, OutboxRow
from django_talon.outbox.rows import losses
from example_project.shop.models import Cart, CartItem, Order
from tests.helpers import (
    UPDATE,
    all_due,
    cart_with,
    customer,
    deliver_all,
    product,
    session_calls,
    wait_for,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.mark.databases("postgresql", "mysql")
def test_fault_31_a_long_transaction_of_the_shop(talon):
    """A mark waits for no other transaction: two that change lines of one cart do not meet."""
    cart = cart_with(("mug", "10.00", 1))
    deliver_all()
    goods = [product("tea"), product("pot")]
    lost = losses.count
    with transaction.atomic():
        CartItem.objects.create(cart=cart, product=goods[0], quantity=1)
        errors = in_another_connection(lambda: impatient_save(cart, goods[1]))
        assert OutboxRow.objects.count() == 2  # one of our own, one that is committed already
    assert errors == []
    assert losses.count == lost
    deliver_all()
    assert len(session_calls(talon)[-1]["cartItems"]) == 3


def impatient_save(cart: Cart, tea: object) -> None:
    """Save a line in a transaction that gives up at once where it would have to wait."""
    patience = {
        "postgresql": "SET lock_timeout = '500ms'",
        "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    }
    with connection.cursor() as cursor:
        cursor.execute(patience[connection.vendor])
    with transaction.atomic():
        CartItem.objects.create(cart=cart, product=tea, quantity=1)


def in_another_connection(job: object) -> list[Exception]:
    errors: list[Exception] = []

    def run() -> None:
        try:
            job()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors


def savepoint_that_fails(cart: Cart) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        cart.save()
        1 / 0  # noqa: B018


def nested_blocks_of_which_the_outer_fails(cart: Cart) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with transaction.atomic():
            cart.save()
        1 / 0  # noqa: B018


def savepoints_by_hand(cart: Cart) -> None:
    point = transaction.savepoint()
    cart.save()
    transaction.savepoint_rollback(point)


@pytest.mark.parametrize(
    "rolled_back",
    [savepoint_that_fails, nested_blocks_of_which_the_outer_fails, savepoints_by_hand],
)
def test_fault_32_a_savepoint_takes_its_marks_along(talon, rolled_back):
    """A mark is rolled back with its savepoint, and a later one of the same cart is not missed."""
    cart = cart_with(("mug", "10.00", 1))
    deliver_all()
    item = cart.items.get()
    with transaction.atomic():
        rolled_back(cart)
        assert not OutboxRow.objects.exists()
        item.quantity = 5
        item.save()
    assert OutboxRow.objects.count() == 1
    deliver_all()
    assert session_calls(talon)[-1]["cartItems"][0]["quantity"] == 5


CHECKOUT = """
    import json, sys
    from django.db import connection, transaction
    from django_talon.models import OutboxRow
    from django_talon.outbox.rows import losses
    from example_project.shop.models import Order
    from tests.helpers import cart_with, order_of
    with connection.schema_editor() as editor:
        editor.delete_model(OutboxRow)
    with transaction.atomic():
        order = order_of(cart_with(("mug", "10.00", 2)))
    for line in order.lines.all():
        line.save()
    said = {"orders": Order.objects.count(), "lines": order.lines.count(), "lost": losses.count}
    print("said", json.dumps(said))
"""


def test_fault_33_a_mark_that_cannot_be_written(talon, processes, scratch):
    """With the outbox's table gone a checkout succeeds, and what was not noted is counted."""
    process = processes.script(CHECKOUT, TALON_TEST_NAME=scratch)
    out = process.stdout.read()
    assert process.wait(timeout=60) == 0, out
    said = json.loads(out.split("said ")[1].splitlines()[0])
    assert (said["orders"], said["lines"]) == (1, 1)
    # cart, its line, order, its line; and once more its line, outside a transaction
    assert said["lost"] == 5
    assert out.count("could not note a change") == 1
    assert "talon.mark() repairs what was missed" in out


@pytest.fixture
def scratch():
    """Return the name of a copy of the test's database, which the test may break."""
    creation = connection.creation
    name = creation.get_test_db_clone_settings("scratch")["NAME"]
    connection.close()
    creation.clone_test_db("scratch", verbosity=0)
    yield name
    creation.destroy_test_db(verbosity=0, suffix="scratch")


def test_fault_34_changes_without_a_signal(talon):
    """What update() and bulk_create() changed is found by reconcile: exactly those carts."""
    carts = [cart_with(("mug", "10.00", 1)) for _ in range(4)]
    deliver_all()
    CartItem.objects.filter(cart=carts[1]).update(quantity=7)
    CartItem.objects.bulk_create([CartItem(cart=carts[3], product=product("tea"), quantity=1)])
    deliver_all()
    before = len(session_calls(talon))
    with pytest.raises(CommandError, match="differed"):
        call_command("talon_reconcile")
    assert set(OutboxRow.objects.values_list("aggregate", flat=True)) == {
        f"cart:shop.cart:{carts[1].pk}",
        f"cart:shop.cart:{carts[3].pk}",
    }
    deliver_all()
    found = [
        [(item["sku"], item["quantity"]) for item in body["cartItems"]]
        for body in session_calls(talon)[before:]
    ]
    assert sorted(found) == [[("mug", 1), ("tea", 1)], [("mug", 7)]]


def test_fault_34_what_the_shop_knows_it_says_itself(talon):
    """A bulk change that is marked with its queryset is delivered as any other."""
    carts = [cart_with(("mug", "10.00", 1)) for _ in range(3)]
    deliver_all()
    changed = CartItem.objects.filter(cart__in=carts[:2])
    changed.update(quantity=7)
    django_talon.mark(changed)
    deliver_all()
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)[3:]] == [7, 7]


KILLED_IN_AUTOCOMMIT = """
    import os, signal
    from django.db import connection
    from example_project.shop.models import CartItem
    def die(execute, sql, params, many, context):
        if "outboxrow" in sql:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)
    item = CartItem.objects.get()
    item.quantity = 5
    with connection.execute_wrapper(die):
        item.save()
"""


def test_fault_35_killed_between_save_and_mark_in_autocommit(talon, processes):
    """Without a transaction a save can stand alone: reconcile finds it."""
    cart_with(("mug", "10.00", 1))
    deliver_all()
    process = processes.script(KILLED_IN_AUTOCOMMIT)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert CartItem.objects.get().quantity == 5
    assert not OutboxRow.objects.exists()
    with pytest.raises(CommandError, match="differed"):
        call_command("talon_reconcile")
    deliver_all()
    assert session_calls(talon)[-1]["cartItems"][0]["quantity"] == 5


@pytest.mark.parametrize(
    "moment", ["before any call", "between calls", "before_apply", "after_apply"]
)
def test_fault_43_a_guests_cart_goes_up_in_the_customers(talon, relay, moment):
    """Whenever a guest's cart is merged, one open session stays: the customer's, with all lines."""
    ada = customer()
    theirs = cart_with(("tea", "5.00", 1), user=ada)
    deliver_all()
    guests = cart_with(("mug", "10.00", 2))
    if moment == "between calls":
        deliver_all()
    elif moment != "before any call":
        talon.faults.add(
            match={"operation": UPDATE},
            when={"first": 1},
            phase=moment,
            do={"park": {"name": "under way"}},
        )
        relay()
        talon.wait_until_parked("under way", within=60)
    for line in guests.items.all():
        line.cart = theirs
        line.save()
    django_talon.merged(guests, theirs)
    guests.delete()
    if moment.endswith("apply"):
        talon.release("under way")
        wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    all_due()
    deliver_all()
    assert not OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()
    alive = [s for s in talon.state()["sessions"].values() if s["state"] == "open"]
    assert [session["profileId"] for session in alive] == [str(ada.pk)]
    assert {item["sku"] for item in alive[0]["cartItems"]} == {"mug", "tea"}
    assert CustomerSession.objects.get(state="open").cart == f"cart:shop.cart:{theirs.pk}"
    assert talon.violations() == []


class EverythingElsewhere:
    """A database router of a shop whose tables are on another database than the default."""

    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "other"

    def allow_relation(self, first, second, **hints):
        return True


class ShopElsewhere(EverythingElsewhere):
    def db_for_read(self, model, **hints):
        return "default" if model._meta.app_label == "django_talon" else "other"

    db_for_write = db_for_read


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_fault_58_a_shop_on_another_database(talon, settings):
    """The outbox is where the shop is, also on a second database; a split is refused by a check."""
    settings.DATABASE_ROUTERS = [f"{__name__}.EverythingElsewhere"]
    with pytest.raises(ZeroDivisionError), transaction.atomic("other"):
        cart_with(("pot", "1.00", 1))
        1 / 0  # noqa: B018
    cart_with(("mug", "10.00", 1), user=customer())
    assert OutboxRow.objects.using("other").count() == 3
    assert OutboxRow.objects.using("default").count() == 0
    deliver_all()
    [sent] = session_calls(talon)
    assert [item["sku"] for item in sent["cartItems"]] == ["mug"]
    assert not OutboxRow.objects.using("other").exists()
    assert CustomerSession.objects.using("other").count() == 1
    assert Order.objects.using("default").count() == 0

    settings.DATABASE_ROUTERS = [f"{__name__}.ShopElsewhere"]
    with pytest.raises(SystemCheckError, match=r"django_talon\.E013"):
        call_command("check", tags=["talon"])
