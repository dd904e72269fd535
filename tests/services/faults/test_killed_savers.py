"""Processes of the shop that die around a commit."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import suppress

import pytest
from django.db import InterfaceError, OperationalError, connection, connections, transaction

from django_talon.models import OutboxRow
from example_project.shop.models import Cart
from tests.helpers import cart_with, session_calls, wait_for

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


def test_fault_01_killed_between_commit_and_wake(talon, processes, redis, worker, beat):
    """A process that dies between commit and wake-up loses nothing: the next sweep delivers."""
    script = SAVE.format(before="transaction.on_commit(die)", after="pass")
    process = processes.script(script, TALON_TEST_BROKER=redis.url)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert Cart.objects.count() == 1
    assert talon.calls() == []
    worker(redis.url)
    beat(redis.url)
    wait_for(lambda: session_calls(talon), within=60)
    wait_for(lambda: not OutboxRow.objects.exists())


def test_fault_02_killed_before_the_commit(talon, processes):
    """A process that dies before its commit leaves neither the change nor a row."""
    process = processes.script(SAVE.format(before="pass", after="die()"))
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not Cart.objects.exists()
    assert not OutboxRow.objects.exists()


@pytest.mark.databases("postgresql", "mysql")
def test_fault_11_connection_lost_around_the_commit(talon):
    """A database connection that ends around a commit, so that nobody knows whether it happened:
    change and row are both there, or neither.
    """
    saved = 0
    # One surely before the commit; the others closer and closer, then after it.
    moments = [-0.5, *(0.0005 * number for number in range(-10, 10))]
    for moment in moments:
        saved += save_while_killed(moment)
    carts = {f"cart:shop.cart:{pk}" for pk in Cart.objects.values_list("pk", flat=True)}
    assert set(OutboxRow.objects.values_list("lane", flat=True)) == carts
    assert saved <= len(carts) < len(moments)


def save_while_killed(after: float) -> int:
    """Save a cart; end the connection a moment after the commit began, or before it.

    Return whether the saver was told that it is saved.
    """
    numbers, told = queue.Queue(), []

    def save():
        with suppress(OperationalError, InterfaceError):
            with transaction.atomic():
                cart_with(("mug", "1.00", 1))
                numbers.put(own_number())
                threading.Event().wait(max(-after, 0))
            told.append(1)
        connections.close_all()

    saver = threading.Thread(target=save)
    saver.start()
    number = numbers.get(timeout=60)
    threading.Event().wait(max(after, 0))
    end_connection(number)
    saver.join()
    return len(told)


def own_number() -> int:
    of = {"postgresql": "pg_backend_pid()", "mysql": "CONNECTION_ID()"}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {of[connection.vendor]}")
        return cursor.fetchone()[0]


def end_connection(number: int) -> None:
    of = {"postgresql": f"SELECT pg_terminate_backend({number})", "mysql": f"KILL {number}"}
    with suppress(OperationalError), connection.cursor() as cursor:  # it may be gone already
        cursor.execute(of[connection.vendor])
