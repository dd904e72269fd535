"""Many workers and writers on the same carts, clocks that differ, locks of the database."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

import django_talon
from django_talon.models import CustomerSession, DeadLetter, Heartbeat, Lane, OutboxRow
from django_talon.outbox import clock, delivery, lanes
from example_project.shop.models import Cart, CartItem
from tests.helpers import (
    FULL,
    UPDATE,
    cart_with,
    customer,
    deliver_all,
    product,
    session_calls,
    wait_for,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def emptied() -> bool:
    return not OutboxRow.objects.exists()


def no_overlap(talon) -> bool:
    return not [v for v in talon.violations() if v["monitor"] == "overlap"]


def at_once(count, work):
    """Run the same work in so many threads that start together; return what they returned."""
    start, found, errors = threading.Barrier(count), [], []

    def one(number):
        try:
            start.wait(60)
            found.append(work(number))
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return found


def test_fault_28_workers_out_of_order(talon, relay):
    """Whichever of four workers comes last, Talon.One ends with what the database says."""
    talon.faults.add(match={"operation": UPDATE}, when={"every": 2}, do={"delay": {"seconds": 0.1}})
    cart = cart_with(("mug", "1.00", 1), user=customer())
    for _ in range(4):
        relay()
    wait_for(lambda: session_calls(talon), within=60)
    for quantity in range(2, 30):
        CartItem.objects.filter(cart=cart).update(quantity=quantity)
        django_talon.mark(cart)
    wait_for(emptied, within=60)
    assert session_calls(talon)[-1]["cartItems"][0]["quantity"] == 29
    assert no_overlap(talon)


def test_fault_29_twenty_threads_one_lane():
    """Of twenty threads that want one lane, new or known, one gets it."""
    for _ in range(3):
        [lease] = filter(
            None, at_once(20, lambda _: lanes.acquire("cart:shop.cart:1", clock.now()))
        )
        assert lanes.release(lease)
    assert Lane.objects.count() == 1


def test_fault_29_first_signs_of_life_at_once():
    """Twenty workers that start together on a new database leave one sign of life, no deadlock."""
    for _ in range(3):
        Heartbeat.objects.all().delete()
        at_once(20, lambda _: delivery.beat("worker"))
        assert Heartbeat.objects.count() == 1


def test_fault_29_eight_workers_one_cart(talon):
    """Eight workers drain at once: the marks of a cart make one call."""
    cart = cart_with(("mug", "1.00", 1), user=customer())
    for _ in range(5):
        cart.save()
    at_once(8, lambda _: delivery.drain(20))
    # A customer's lane that somebody else has puts a row off for a moment.
    wait_for(lambda: (delivery.drain(), emptied())[1])
    assert len(session_calls(talon)) == 1
    assert no_overlap(talon)


@pytest.mark.databases("postgresql", "mysql")
def test_fault_30_ids_commit_out_of_order(talon, settings):
    """A row whose number is lower than those just delivered, but which committed during the call,
    is delivered too: only rows that were read are deleted.
    """
    patient = {"LEASE": 60, "DEADLINE": 50, "TIMEOUT": (5, 50)}
    settings.TALON_ONE = {**settings.TALON_ONE, **patient}
    cart = cart_with(("mug", "1.00", 1), user=customer())
    other = product("tea", "1.00")
    deliver_all()
    inserted, under_way = threading.Event(), threading.Event()

    def commit_late():
        with transaction.atomic():
            CartItem.objects.create(cart=cart, product=other, quantity=5)
            inserted.set()
            assert under_way.wait(60)
        connections.close_all()

    def deliver():
        deliver_all(within=60)
        connections.close_all()

    late, worker = threading.Thread(target=commit_late), threading.Thread(target=deliver)
    late.start()
    assert inserted.wait(60)
    CartItem.objects.filter(product__sku="mug").update(quantity=2)
    django_talon.mark(cart)
    last = OutboxRow.objects.get().pk
    talon.faults.add(UPDATE, when={"first": 1}, do={"park": {"name": "p"}})
    worker.start()
    talon.wait_until_parked("p", within=60)
    under_way.set()
    late.join()
    assert OutboxRow.objects.order_by("pk").first().pk < last
    talon.release("p")
    worker.join()
    lines = {item["sku"]: item["quantity"] for item in session_calls(talon)[-1]["cartItems"]}
    assert lines == {"mug": 2, "tea": 5}
    assert emptied()


@pytest.mark.parametrize("off", ["3600", "-3600"])
def test_fault_37_clock_skew(talon, settings, entry, relay, off):
    """A worker whose clock is an hour off claims nothing early, keeps its lease as long as others,
    and its calls overlap with nobody's.
    """
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 600}
    cart = cart_with(("early", "1.00", 1))
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0}
    talon.faults.add(match={"operation": UPDATE}, when={"first": 4}, do={"delay": {"seconds": 0.5}})
    ada = customer()
    due = [cart_with((f"p{number}", "1.00", 1), user=ada) for number in range(4)]
    entry("skewed", off, "talon_relay")
    wait_for(lambda: session_calls(talon), within=60)
    relay()
    wait_for(lambda: OutboxRow.objects.count() == 2, within=60)
    assert {row.aggregate for row in OutboxRow.objects.all()} == {f"cart:shop.cart:{cart.pk}"}
    assert len(session_calls(talon)) == len(due)
    assert no_overlap(talon)
    assert not DeadLetter.objects.exists()


def test_fault_37_clock_of_a_shop_process(talon, processes):
    """A change that is saved by a host whose clock is an hour ahead is due at once."""
    saving = """
        import time
        from datetime import timedelta
        from django.utils import timezone
        wall, now = time.time, timezone.now
        time.time = lambda: wall() + 3600
        timezone.now = lambda: now() + timedelta(hours=1)
        from tests.helpers import cart_with
        cart_with(("mug", "1.00", 1))
    """
    assert processes.script(saving).wait(timeout=60) == 0
    deliver_all()
    assert len(session_calls(talon)) == 1


def test_fault_52_whale_lane(talon):
    """A cart with very many waiting changes (100,000 by night, 5000 otherwise) costs one call and
    keeps nobody waiting, leased or not.
    """
    size = 100_000 if FULL else 5000
    whale = cart_with(("whale", "1.00", 1))
    row = OutboxRow.objects.first()
    OutboxRow.objects.all().delete()
    OutboxRow.objects.bulk_create(
        [
            OutboxRow(application=row.application, lane=row.lane, kind="mark", aggregate=row.lane)
            for _ in range(size)
        ],
        1000,
    )
    small = [cart_with((f"p{number}", "1.00", 1)) for number in range(3)]
    lease = lanes.acquire(f"cart:shop.cart:{whale.pk}", clock.now())
    assert lease is not None
    deliver_all()
    sent = [body["cartItems"][0]["sku"] for body in session_calls(talon)]
    assert sorted(sent) == ["p0", "p1", "p2"]
    assert len(small) == 3
    assert OutboxRow.objects.count() == size
    lanes.release(lease)
    deliver_all(within=300)
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)][3:] == ["whale"]
    assert emptied()


@pytest.mark.databases("sqlite")
def test_fault_55_sqlite_locking(talon):
    """On SQLite with IMMEDIATE transactions, eight threads save and drain at once without an error:
    all arrives, nothing overlaps.
    """
    ada = customer()
    carts = [cart_with((f"p{number}", "1.00", 1), user=ada).pk for number in range(4)]

    def work(number):
        if number % 2:
            return delivery.drain(20)
        for quantity in range(2, 8):
            with transaction.atomic():
                cart = Cart.objects.get(pk=carts[number // 2])
                item = cart.items.get()
                item.quantity = quantity
                item.save()
        return None

    at_once(8, work)
    wait_for(lambda: (delivery.drain(), emptied())[1], within=60)
    by_cart = {session.integration_id: session.cart for session in CustomerSession.objects.all()}
    found = {
        by_cart[session["integrationId"]]: session["cartItems"][0]["quantity"]
        for session in talon.state()["sessions"].values()
    }
    assert found == {f"cart:shop.cart:{pk}": 7 for pk in carts}
    assert no_overlap(talon)


@pytest.mark.databases("postgresql", "mysql")
def test_fault_31_save_waits_for_no_open_transaction(talon):
    """A save of a cart waits for no transaction that marks the same cart and is still open."""
    cart = cart_with(("mug", "1.00", 1))
    marked, saved = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            django_talon.mark(cart)
            marked.set()
            assert saved.wait(60)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert marked.wait(60)
    with transaction.atomic():
        set_lock_timeout()
        django_talon.mark(cart)
        lease = lanes.acquire(f"cart:shop.cart:{cart.pk}", clock.now())
        assert lease is not None
    saved.set()
    holder.join()
    assert OutboxRow.objects.filter(lane=lease.key).count() == 4


def set_lock_timeout() -> None:
    """Let this transaction fail rather than wait for a lock."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL lock_timeout = '1ms'")
        else:
            cursor.execute("SET innodb_lock_wait_timeout = 1")
