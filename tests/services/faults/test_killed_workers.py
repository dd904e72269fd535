"""Workers that die, freeze or are asked to stop while they have a lane."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from django.conf import settings
from django.db import connection

import django_talon
from django_talon.models import CustomerProfile, CustomerSession, DeadLetter, Lane, OutboxRow
from django_talon.outbox import clock
from tests.helpers import (
    UPDATE,
    cart_with,
    customer,
    deliver_all,
    order_of,
    session_calls,
    states,
    wait_for,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

SAVE = """
    from tests.celery_app import app
    from tests.helpers import cart_with
    cart_with(("mug", "1.00", 1))
"""


def park(talon, operation=UPDATE, phase="before_apply"):
    talon.faults.add(
        match={"operation": operation}, when={"first": 1}, phase=phase, do={"park": {"name": "p"}}
    )


def emptied() -> bool:
    return not OutboxRow.objects.exists()


def test_fault_03_killed_after_talon_one_applied_a_close(talon, processes, relay):
    """A worker killed after Talon.One applied a close: another sends the same bytes with the same
    key, and the order is counted once.
    """
    cart = cart_with(("mug", "1.00", 2), user=customer())
    deliver_all()
    park(talon, phase="after_apply")
    order = order_of(cart)
    killed = relay()
    talon.wait_until_parked("p", within=60)
    processes.kill(killed)
    order.lines.update(quantity=9)
    talon.release("p")
    relay()
    wait_for(lambda: CustomerSession.objects.get().state == "closed", within=60)
    _opened, lost, again = talon.calls(UPDATE)
    assert lost["body"] == again["body"]
    assert lost["idempotencyKey"] == again["idempotencyKey"] != ""
    [profile] = talon.state()["profiles"].values()
    assert profile["closedSessions"] == 1


def test_fault_03_killed_after_talon_one_applied_an_event(talon, processes, relay):
    """A worker killed after Talon.One applied an event: another repeats it with the same key, and
    Talon.One has one event.
    """
    ada = customer()
    deliver_all()
    park(talon, "trackEventV2", "after_apply")
    django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    killed = relay()
    talon.wait_until_parked("p", within=60)
    processes.kill(killed)
    talon.release("p")
    relay()
    wait_for(emptied, within=60)
    lost, again = talon.calls("trackEventV2")
    assert lost["idempotencyKey"] == again["idempotencyKey"] != ""
    assert len(talon.state()["events"]) == 1


def test_fault_04_killed_before_the_send(talon, processes, entry, relay):
    """A worker killed before it sent anything: another sends it, once."""
    cart_with(("mug", "1.00", 2), user=customer())
    killed = entry("frozen", "talon_relay")
    wait_for(lambda: is_stopped(killed.pid), within=60)
    processes.kill(killed)
    assert session_calls(talon) == []
    relay()
    wait_for(lambda: session_calls(talon) and emptied(), within=60)
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)] == [2]
    assert CustomerSession.objects.count() == 1


def test_fault_05_frozen_before_its_call(talon, processes, entry, relay):
    """A worker frozen past its lease before a call does not make the call when it wakes."""
    cart = cart_with(("mug", "1.00", 1), user=customer())
    frozen = entry("frozen", "talon_relay")
    wait_for(lambda: is_stopped(frozen.pid), within=60)
    change(cart, 7)
    relay()
    wait_for(lambda: session_calls(talon) and emptied(), within=60)
    calls = len(talon.calls())
    os.killpg(frozen.pid, signal.SIGCONT)
    assert processes.kill(frozen, signal.SIGTERM) == 0
    assert len(talon.calls()) == calls
    assert [body["cartItems"][0]["quantity"] for body in session_calls(talon)] == [7]


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def way(talon, proxy, relay):
    """Start a relay whose calls go through a proxy: ``way()`` returns both."""

    def start():
        through, url = proxy(talon.url)
        told = {**settings.TALON_ONE, "BASE_URL": url}
        through.freeze("requests")
        return relay(TALON_TEST_TALON_ONE=json.dumps(told)), through

    return start


@pytest.mark.parametrize("answer", ["comes", "is lost"])
def test_fault_05_frozen_during_its_call(talon, relay, way, answer):
    """A worker frozen past its lease during a call, which Talon.One then applies last, stores
    nothing old when it wakes, and what it sent is made good, whether its answer comes or is lost.
    """
    cart = cart_with(("mug", "1.00", 1))
    deliver_all()
    change(cart, 2)
    frozen, through = way()
    wait_for(lambda: through.received["requests"], within=60)
    os.killpg(frozen.pid, signal.SIGSTOP)
    change(cart, 3)
    relay()
    wait_for(lambda: remote_quantity(talon) == 3 and emptied(), within=60)
    stored = CustomerSession.objects.get().fingerprint
    if answer == "is lost":
        through.freeze("answers")
    through.thaw("requests")
    wait_for(lambda: remote_quantity(talon) == 2)
    os.killpg(frozen.pid, signal.SIGCONT)
    wait_for(lambda: remote_quantity(talon) == 3 and emptied(), within=60)
    assert CustomerSession.objects.get().fingerprint == stored != ""


def change(cart, quantity):
    item = cart.items.get()
    item.quantity = quantity
    item.save()


def remote_quantity(talon):
    [session] = talon.state()["sessions"].values()
    return session["cartItems"][0]["quantity"]


def test_fault_05_frozen_while_its_order_is_closed(talon, processes, relay, way):
    """A worker that wakes after another has closed the order leaves the closed session closed."""
    cart = cart_with(("mug", "1.00", 1))
    deliver_all()
    change(cart, 2)
    frozen, through = way()
    through.freeze("answers")
    through.thaw("requests")
    wait_for(lambda: through.received["answers"], within=60)
    os.killpg(frozen.pid, signal.SIGSTOP)
    order = order_of(cart)
    other = relay()
    wait_for(lambda: "closed" in states(talon) and emptied(), within=60)
    processes.kill(other, signal.SIGTERM)
    through.thaw()
    os.killpg(frozen.pid, signal.SIGCONT)
    assert processes.kill(frozen, signal.SIGTERM) == 0
    deliver_all()
    session = CustomerSession.objects.get()
    assert (session.state, session.order) == ("closed", f"order:shop.order:{order.pk}")
    assert states(talon) == ["open", "open", "closed"]
    assert not DeadLetter.objects.exists()


@pytest.mark.databases("postgresql", "mysql")
def test_fault_13_connection_lost_after_the_send(talon, processes, relay):
    """A worker that loses its database connection between send and answer resends; nothing is
    lost or double.
    """
    cart_with(("mug", "1.00", 2), user=customer())
    deliver_all()
    park(talon, phase="after_apply")
    cart = cart_with(("tea", "1.00", 2), user=customer("bob"))
    relay()
    talon.wait_until_parked("p", within=60)
    terminate_others()
    talon.release("p")
    wait_for(lambda: emptied() and CustomerProfile.objects.count() == 2, within=60)
    sessions = talon.state()["sessions"].values()
    assert sorted(session["cartItems"][0]["sku"] for session in sessions) == ["mug", "tea"]
    assert CustomerSession.objects.get(cart=f"cart:shop.cart:{cart.pk}").state == "open"
    assert not DeadLetter.objects.exists()


def terminate_others() -> None:
    """End every other connection to the test's database, as a failover does."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        cursor.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")


def test_fault_27_a_row_that_kills_its_worker(talon, entry):
    """A cart whose rendering ends the worker process is put aside after three workers, and the
    others get through.
    """
    bad, good = cart_with(("bad", "1.00", 1)), cart_with(("good", "1.00", 1))
    died = 0
    while died < 10 and (code := entry("dying", str(bad.pk), "talon_relay", "--once").wait(60)):
        assert code == 139
        died += 1
        wait_for(lambda: not Lane.objects.filter(lease_until__gt=clock.now()).exists())
    assert died == 3
    letter = DeadLetter.objects.get()
    assert letter.aggregate == f"cart:shop.cart:{bad.pk}"
    assert "ended its worker" in letter.reason
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)] == ["good"]
    assert good.pk
    assert emptied()


def test_fault_59_asked_to_stop_during_a_call(talon, processes, relay):
    """A worker asked to stop (SIGTERM) during a call ends it, gives the lane back, and the next
    worker goes on at once.
    """
    cart = cart_with(("mug", "1.00", 1))
    park(talon)
    stopped = relay()
    talon.wait_until_parked("p", within=60)
    change(cart, 2)
    threading.Timer(0.3, talon.release, ["p"]).start()
    assert processes.kill(stopped, signal.SIGTERM) == 0
    assert talon.calls(UPDATE)[0]["status"] == 200
    assert not Lane.objects.exclude(token=None).exists()
    deliver_all()
    assert remote_quantity(talon) == 2
    assert emptied()


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_fault_59_a_celery_worker_asked_to_stop(talon, processes, redis, worker, pool):
    """A Celery worker asked to stop (SIGTERM) during a call ends it and gives the lane back, with
    threads and with prefork.
    """
    park(talon)
    stopped = worker(redis.url, pool)
    assert processes.script(SAVE, TALON_TEST_BROKER=redis.url).wait(timeout=60) == 0
    talon.wait_until_parked("p", within=60)
    threading.Timer(0.3, talon.release, ["p"]).start()
    os.kill(stopped.pid, signal.SIGTERM)
    assert stopped.wait(timeout=60) == 0
    assert [call["status"] for call in talon.calls(UPDATE)] == [200]
    assert not Lane.objects.exclude(token=None).exists()
    assert emptied()
