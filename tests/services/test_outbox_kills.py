"""Processes that are killed, on a real database: nothing is lost, nothing overlaps."""

from __future__ import annotations

import signal
import threading

import pytest
from django.db import connections

import django_talon
from django_talon.models import CustomerSession, OutboxRow
from django_talon.outbox import delivery
from example_project.shop.models import Cart
from tests.helpers import (
    UPDATE,
    cart_with,
    customer,
    deliver_all,
    order_of,
    session_calls,
    wait_for,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

SAVE = """
    import os, signal
    from django.db import transaction
    from tests.helpers import cart_with
    def die(): os.kill(os.getpid(), signal.SIGKILL)
    with transaction.atomic():
        {before}
        cart_with(("mug", "1.00", 1))
        {after}
"""


def test_F2_killed_between_commit_and_wake_it_is_delivered_later(talon, processes):
    process = processes.script(SAVE.format(before="transaction.on_commit(die)", after="pass"))
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert Cart.objects.count() == 1
    assert talon.calls() == []
    processes.relay()
    wait_for(lambda: session_calls(talon))
    wait_for(lambda: not OutboxRow.objects.exists())


def test_killed_before_the_commit_there_is_neither_change_nor_row(talon, processes):
    process = processes.script(SAVE.format(before="pass", after="die()"))
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not Cart.objects.exists()
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize("phase", ["before_apply", "after_apply"])
def test_a_worker_killed_during_a_call_is_made_good_by_another(talon, processes, phase):
    cart = cart_with(("mug", "1.00", 2), user=customer())
    deliver_all()
    talon.faults.add(
        match={"operation": UPDATE}, when={"first": 1}, phase=phase, do={"park": {"name": "p"}}
    )
    order_of(cart)
    worker = processes.relay()
    talon.wait_until_parked("p", within=60)
    processes.kill(worker)
    talon.release("p")
    processes.relay()
    wait_for(lambda: CustomerSession.objects.get().state == "closed", within=60)
    keys = {call["idempotencyKey"] for call in talon.calls(UPDATE)[1:]}
    assert len(keys) == 1
    assert len(talon.calls(UPDATE)) == 3
    [profile] = talon.state()["profiles"].values()
    assert profile["closedSessions"] == 1


def test_a_worker_asked_to_stop_ends_its_call_and_gives_the_lane_back(talon, processes):
    cart_with(("mug", "1.00", 1))
    talon.faults.add(
        match={"operation": UPDATE},
        when={"first": 1},
        phase="before_apply",
        do={"park": {"name": "p"}},
    )
    worker = processes.relay()
    talon.wait_until_parked("p", within=60)
    threading.Timer(0.3, talon.release, ["p"]).start()
    assert processes.kill(worker, signal.SIGTERM) == 0
    assert [call["status"] for call in talon.calls(UPDATE)] == [200]
    assert not OutboxRow.objects.exists()


def test_four_workers_and_four_writers_end_with_what_the_database_says(talon, processes):
    ada = customer()
    carts = [cart_with((f"p{n}", "1.00", 1), user=ada if n < 3 else None) for n in range(6)]
    for _ in range(4):
        processes.relay()

    def shop(seed: int) -> None:
        try:
            for turn in range(10):
                cart = carts[(seed + turn) % len(carts)]
                item = cart.items.get()
                item.quantity = 1 + (seed * 7 + turn) % 9
                item.save()
        finally:
            connections.close_all()

    writers = [threading.Thread(target=shop, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_for(lambda: not OutboxRow.objects.exists(), within=120)
    wanted = {f"cart:shop.cart:{cart.pk}": cart.items.get().quantity for cart in carts}
    found = {
        CustomerSession.objects.get(integration_id=session["integrationId"]).cart: session[
            "cartItems"
        ][0]["quantity"]
        for session in talon.state()["sessions"].values()
    }
    assert found == wanted
    assert [v for v in talon.violations() if v["monitor"] == "overlap"] == []


def test_a_worker_through_a_real_broker_needs_no_beat(talon, processes, broker):
    purge = "from tests.celery_app import app\napp.control.purge()\n"
    assert processes.script(purge, TALON_TEST_BROKER=broker).wait(timeout=60) == 0
    processes.start(
        "-m",
        "celery",
        "-A",
        "tests.celery_app",
        "worker",
        "--pool",
        "threads",
        "--concurrency",
        "2",
        "--without-gossip",
        "--without-mingle",
        TALON_TEST_BROKER=broker,
    )
    save = """
        from tests.celery_app import app
        from tests.helpers import cart_with
        cart_with(("mug", "1.00", 1))
    """
    assert processes.script(save, TALON_TEST_BROKER=broker).wait(timeout=60) == 0
    wait_for(lambda: session_calls(talon), within=60)
    wait_for(lambda: not OutboxRow.objects.exists())


@pytest.mark.parametrize("broken", ["closed", "silent"])
def test_a_broken_broker_costs_the_shop_nothing_and_loses_nothing(talon, processes, broken):
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if broken == "silent":
            listener.listen(8)
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        save = """
            from tests.celery_app import app
            from tests.helpers import cart_with
            cart_with(("mug", "1.00", 1))
            print("saved")
        """
        process = processes.script(save, TALON_TEST_BROKER=url)
        assert process.wait(timeout=60) == 0
    delivery.drain()
    assert [body["state"] for body in session_calls(talon)] == ["open"]


def test_evaluate_beside_workers_never_overlaps(talon, processes):
    cart = cart_with(("mug", "1.00", 1), user=customer())
    for _ in range(2):
        processes.relay()
    for quantity in range(2, 12):
        item = cart.items.get()
        item.quantity = quantity
        item.save()
        assert django_talon.evaluate(cart).subtotal == quantity
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    assert [v for v in talon.violations() if v["monitor"] == "overlap"] == []
    [session] = [s for s in talon.state()["sessions"].values() if s["state"] == "open"]
    assert session["cartItems"][0]["quantity"] == 11
