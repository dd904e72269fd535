"""Changes that no signal tells, and a database that forgets: reconcile makes them good."""

from __future__ import annotations

import io
import signal
import textwrap

import pytest
from django.core.management import call_command
from django.db import connection

from django_talon.models import CustomerSession, OutboxRow
from example_project.shop.models import Cart, CartItem, Order, Profile
from tests.helpers import cart_with, customer, deliver_all, order_of, product, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def key(instance) -> str:
    return f"{'cart' if isinstance(instance, Cart) else 'order'}:{instance._meta.label_lower}:" + (
        str(instance.pk)
    )


def at_talon_one(talon, name: str) -> dict:
    """Return state and quantities of the latest session of a cart or order."""
    found = CustomerSession.objects.filter(order=name) or CustomerSession.objects.filter(cart=name)
    session = talon.state()["sessions"][found.order_by("-pk")[0].integration_id]
    return {
        "state": session["state"],
        "items": {item["sku"]: item["quantity"] for item in session["cartItems"]},
    }


def drained() -> None:
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)


def test_fault_34_changes_without_a_signal(talon, processes, relay):
    """What update(), bulk_create() and raw SQL changed is found by reconcile, and only that."""
    carts = [cart_with(("mug", "1.00", 1)) for _ in range(6)]
    relay()
    drained()
    before = len(talon.calls())
    CartItem.objects.filter(cart=carts[0]).update(quantity=2)
    CartItem.objects.bulk_create([CartItem(cart=carts[2], product=product("cap"), quantity=1)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_cartitem SET quantity = 7 WHERE cart_id = %s", [carts[4].pk])
    assert not OutboxRow.objects.exists()
    task = "from django_talon import tasks\nassert tasks.reconcile() == 3\n"
    assert processes.script(task).wait(timeout=60) == 0
    drained()
    assert len(talon.calls()) == before + 3
    wanted = [{"mug": 2}, {"mug": 1}, {"mug": 1, "cap": 1}, {"mug": 1}, {"mug": 7}, {"mug": 1}]
    assert [at_talon_one(talon, key(cart))["items"] for cart in carts] == wanted


HELD = """
    import time
    from tests.helpers import {names}
    from example_project.shop.models import *

    def held(model):
        table = model._save_table
        def save(*args, **options):
            result = table(*args, **options)
            print("saved", flush=True)
            time.sleep(600)
            return result
        model._save_table = save

    {what}
"""


@pytest.mark.parametrize(
    ("what", "model"),
    [
        pytest.param(
            "held(CartItem); item = CartItem.objects.get(); item.quantity = 5; item.save()",
            "cart",
            id="a line",
        ),
        pytest.param("cart = Cart.objects.get(); held(Order); order_of(cart)", "order", id="order"),
    ],
)
def test_fault_35_killed_between_save_and_signal(talon, processes, relay, what, model):
    """Killed between a save and its signal, in autocommit: reconcile finds the change.

    It is delivered, though no mark was left.
    """
    cart = cart_with(("mug", "1.00", 1))
    relay()
    drained()
    script = textwrap.dedent(HELD).format(names="order_of", what=what)
    process = processes.script(script)
    assert process.stdout.readline() == "saved\n"
    assert processes.kill(process) == -signal.SIGKILL
    assert not OutboxRow.objects.exists()
    again = processes.start("-m", "django", "talon_reconcile")
    assert again.wait(timeout=60) == 1
    drained()
    if model == "cart":
        assert at_talon_one(talon, key(cart)) == {"state": "open", "items": {"mug": 5}}
    else:
        # The order has no lines: it is closed with what the cart had.
        wait_for(lambda: at_talon_one(talon, key(Order.objects.get()))["state"] == "closed")
    assert processes.start("-m", "django", "talon_reconcile").wait(timeout=60) == 0


def snapshot() -> str:
    kept = io.StringIO()
    call_command(
        "dumpdata",
        "auth.user",
        "shop",
        "django_talon",
        stdout=kept,
    )
    return kept.getvalue()


def restore(kept: str, folder) -> None:
    """Put the database back to what it was; no signal tells of it."""
    file = folder / "snapshot.json"
    file.write_text(kept)
    call_command("flush", interactive=False, verbosity=0)
    call_command("loaddata", str(file), verbosity=0)


def test_fault_12_a_failover_that_lost_what_was_sent(talon, processes, relay, tmp_path):
    """After a failover that lost what was sent, resync makes Talon.One equal to the database.

    What was sent last is known from before the failover only, so that no comparison helps.
    """
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    changed = cart_with(("mug", "1.00", 1), user=ada)
    bought = cart_with(("cap", "2.00", 1))
    deliver_all()
    kept = snapshot()

    CartItem.objects.get(cart=changed).delete()
    CartItem.objects.create(cart=changed, product=product("mug"), quantity=5)
    ada.profile.tier = "silver"
    ada.profile.save()
    order_of(bought)
    deliver_all()
    assert at_talon_one(talon, key(bought))["state"] == "closed"

    restore(kept, tmp_path)
    assert not Order.objects.exists()
    # A comparison with what was sent sees nothing.
    assert processes.start("-m", "django", "talon_reconcile").wait(timeout=60) == 0
    relay()
    assert processes.start("-m", "django", "talon_reconcile", "--resync").wait(timeout=60) == 1
    drained()
    assert at_talon_one(talon, key(changed)) == {"state": "open", "items": {"mug": 1}}
    # The order is gone: its session was rolled back, and the cart has a new one.
    assert at_talon_one(talon, key(bought)) == {"state": "open", "items": {"cap": 1}}
    assert sorted(s["state"] for s in talon.state()["sessions"].values()) == [
        "cancelled",
        "open",
        "open",
    ]
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {"tier": "gold"}
    asked = processes.start("-m", "django", "talon_reconcile", "--ask-talon", "--rate", "1000")
    assert asked.wait(timeout=60) == 0
