"""Whose turn it is, and what a save and a delivery may cost: counts, not seconds."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import django_talon
from django_talon import tasks
from django_talon.models import CustomerSession, Lane, OutboxRow
from django_talon.models.outbox import Why
from django_talon.outbox import clock, delivery, receivers, wake
from tests.helpers import UPDATE, cart_with, customer, deliver_all, session_calls, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

TEN = [(f"p{n}", "1.00", 1) for n in range(10)]


def change(cart):
    for item in cart.items.all():
        item.quantity += 1
        item.save()


def key_of(cart):
    return f"cart:shop.cart:{cart.pk}"


def statements(work):
    with (
        CaptureQueriesContext(
            connection,
        ) as seen,
        transaction.atomic(),
    ):
        work()
    return [query["sql"] for query in seen]


def test_F9_a_save_adds_one_statement_for_each_mark_and_nothing_else(talon):
    cart = cart_with(*TEN)
    ours = statements(lambda: change(cart))
    receivers.disconnect_all()
    try:
        bare = statements(lambda: change(cart))
    finally:
        receivers.connect_all()
    assert len(ours) - len(bare) == 10
    marks = [sql for sql in ours if "django_talon" in sql]
    assert len(marks) == 10
    assert all(sql.count("INSERT INTO") == 1 for sql in marks)


def test_F9_a_save_does_not_wait_for_the_broker(talon, monkeypatch):
    """The broker takes the message and never answers; the save ends all the same."""
    asked, let_go, threads = threading.Event(), threading.Event(), []

    def publish():
        threads.append(threading.current_thread())
        asked.set()
        let_go.wait(30)

    monkeypatch.setattr(wake, "publish", publish)
    try:
        for _ in range(3):
            cart_with(("mug", "1.00", 1))
        assert asked.wait(30)
        assert not let_go.is_set()
        assert threading.main_thread() not in threads
    finally:
        let_go.set()
    deliver_all()
    assert len(session_calls(talon)) == 3


def test_F5_five_queued_states_make_one_call_with_the_newest(talon):
    cart = cart_with(("mug", "1.00", 1), user=customer())
    deliver_all()
    before = len(talon.calls(UPDATE))
    for _ in range(5):
        change(cart)
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wait_for(lambda: (delivery.drain(), not OutboxRow.objects.exists())[1])
    [call] = talon.calls(UPDATE)[before:]
    assert call["body"]["customerSession"]["cartItems"][0]["quantity"] == 6
    assert {call["status"] for call in talon.calls()} <= {200, 201}


def work():
    try:
        delivery.drain()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "deliver",
    [
        delivery.drain,
        tasks.deliver,
        tasks.sweep,
        lambda: call_command("talon_relay", once=True),
    ],
    ids=["drain", "Celery task", "beat", "cron"],
)
def test_F10_the_same_rows_with_and_without_celery(talon, deliver):
    carts = [cart_with(("mug", "1.00", 1)) for _ in range(3)]
    deliver()
    assert not OutboxRow.objects.exists()
    assert CustomerSession.objects.filter(cart__in=map(key_of, carts), state="open").count() == 3


def test_a_delivery_takes_at_most_21_statements(talon):
    cart = cart_with(*TEN, user=customer())
    deliver_all()
    change(cart)
    with CaptureQueriesContext(connection) as seen:
        assert delivery.serve_next()
    assert len(session_calls(talon)) == 2
    assert len(seen) <= 21, [query["sql"] for query in seen]


def test_a_mark_waits_for_others_but_no_longer_than_the_debounce(talon, settings):
    """The first mark's moment counts; the later ones go along and do not move it."""
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 60}
    cart = cart_with(("mug", "1.00", 1))
    first = OutboxRow.objects.order_by("id").first().due_at
    assert delivery.drain() == 0
    change(cart)
    assert OutboxRow.objects.order_by("due_at").first().due_at == first
    OutboxRow.objects.filter(due_at=first).update(due_at=clock.now())
    assert delivery.drain() == 1
    assert not OutboxRow.objects.exists()
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)] == [2]


def fail_once(talon, fault):
    cart = cart_with(("mug", "1.00", 1))
    talon.faults.add(match={"operation": UPDATE}, when={"first": 1}, phase="before_apply", do=fault)
    delivery.drain()
    Lane.objects.filter(key=key_of(cart)).update(blocked_until=clock.now() + timedelta(hours=1))
    OutboxRow.objects.update(due_at=clock.now() + timedelta(hours=1))
    assert delivery.drain() == 0
    return cart


def test_new_work_does_not_sleep_out_an_old_backoff(talon):
    cart = fail_once(talon, {"status": {"code": 500}})
    assert Lane.objects.get(key=key_of(cart)).why == Why.BACKOFF
    change(cart)
    assert delivery.drain() == 1
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)] == [2]
    assert not OutboxRow.objects.exists()


def test_new_work_waits_for_a_hold(talon):
    cart = fail_once(talon, {"reset": {}})
    assert Lane.objects.get(key=key_of(cart)).why == Why.HOLD
    made = len(talon.calls())
    change(cart)
    assert delivery.drain() == 0
    assert len(talon.calls()) == made
    assert OutboxRow.objects.count() == 3


def test_what_failed_waits_and_what_came_meanwhile_does_not(talon):
    """A change during the failing call was not part of it."""
    cart = cart_with(("mug", "1.00", 1))
    tried = list(OutboxRow.objects.values_list("pk", flat=True))
    talon.faults.add(
        match={"operation": UPDATE},
        when={"first": 1},
        phase="before_apply",
        do={"status": {"code": 500}},
    )
    from django_talon.signals import pre_send

    def meanwhile(**_):
        pre_send.disconnect(meanwhile)
        change(cart)

    pre_send.connect(meanwhile)
    assert delivery.serve_next()
    rows = OutboxRow.objects.order_by("id")
    now = clock.now()
    assert [row.due_at > now for row in rows if row.pk in tried] == [True] * len(tried)
    assert [row.due_at <= now for row in rows if row.pk not in tried] == [True]
    assert delivery.serve_next()
    assert len(session_calls(talon)) == 1
    assert not OutboxRow.objects.exists()


def test_a_lane_of_several_batches_is_one_turn_and_one_call(talon, monkeypatch):
    monkeypatch.setattr(delivery, "BATCH", 2)
    cart = cart_with(("mug", "1.00", 1))
    for _ in range(5):
        change(cart)
    assert delivery.serve_next()
    assert not OutboxRow.objects.exists()
    assert len(session_calls(talon)) == 1


def test_a_long_lane_gives_way_after_its_quantum(talon, monkeypatch):
    long, short = cart_with(("mug", "1.00", 1)), cart_with(("tea", "1.00", 1))
    for _ in range(3):
        django_talon.track("seen", cart=long)
    old = clock.now() - timedelta(minutes=5)
    OutboxRow.objects.filter(lane=key_of(long)).update(due_at=old)
    monkeypatch.setattr(delivery, "QUANTUM", -1.0)
    assert delivery.serve_next()
    monkeypatch.undo()
    assert talon.calls() == []
    assert delivery.serve_next()
    assert not OutboxRow.objects.filter(lane=key_of(short)).exists()
    assert OutboxRow.objects.filter(lane=key_of(long)).count() == 5


def block(count):
    until = clock.now() + timedelta(hours=1)
    keys = [f"cart:shop.cart:9{n}" for n in range(count)]
    Lane.objects.bulk_create(
        Lane(key=key, why=Why.HOLD, blocked_until=until + timedelta(seconds=n))
        for n, key in enumerate(keys)
    )
    OutboxRow.objects.bulk_create(
        OutboxRow(application="default", lane=key, kind="mark", aggregate=key, due_at=clock.now())
        for key in keys
    )
    return keys


def test_blocked_lanes_are_moved_out_of_the_way_in_one_update(talon):
    keys = block(40)
    cart = cart_with(("mug", "1.00", 1))
    with CaptureQueriesContext(connection) as seen:
        assert delivery.serve_next()
    assert len(session_calls(talon)) == 1
    assert not OutboxRow.objects.filter(lane=key_of(cart)).exists()
    moved = [query for query in seen if "CASE" in query["sql"]]
    assert len(moved) == 1
    blocks = dict(Lane.objects.filter(key__in=keys).values_list("key", "blocked_until"))
    assert dict(OutboxRow.objects.values_list("lane", "due_at")) == blocks
