"""Brokers that are down, silent, slow or forgetful, beats that are missing or double."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from kombu import Connection

from django_talon.models import Heartbeat, OutboxRow
from django_talon.outbox import clock, vital_signs
from example_project.shop.models import Cart
from tests.helpers import UPDATE, cart_with, customer, session_calls, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

#: Saves as a web process does; prints how long its slowest save took, in seconds.
SHOP = """
    import logging, time
    from django.db import transaction
    from django_talon.outbox import wake
    from tests.celery_app import app
    from tests.helpers import cart_with
    logging.basicConfig(format="%(levelname)s %(name)s")
    later, slowest = [], 0.0
    for number in range({saves}):
        began = time.monotonic()
        with transaction.atomic():
            cart_with(("p%d" % number, "1.00", 1))
            transaction.on_commit(lambda: later.append(1))
        slowest = max(slowest, time.monotonic() - began)
        time.sleep({pause})
    print("callbacks", len(later), "slowest", slowest)
    wake._bell.flush(30)
"""


def emptied() -> bool:
    return not OutboxRow.objects.exists()


def save(processes, url, saves=4, pause=0.05):
    """Let a process of the shop save carts; return what it printed."""
    process = processes.script(SHOP.format(saves=saves, pause=pause), TALON_TEST_BROKER=url)
    assert process.wait(timeout=120) == 0
    return process.stdout.read()


def slowest(told: str) -> float:
    return float(told.rpartition("slowest ")[2].split(maxsplit=1)[0])


def no_overlap(talon) -> bool:
    return not [v for v in talon.violations() if v["monitor"] == "overlap"]


def test_fault_06_broker_down(talon, processes, broker, proxy, relay):
    """While the broker is down saves succeed, the log tells it once, and talon_relay delivers."""
    through, url = proxy(broker)
    through.stop()
    told = save(processes, url, saves=8, pause=0.3)
    assert "callbacks 8" in told
    assert told.count("WARNING django_talon") == 1
    assert "ERROR" not in told
    assert OutboxRow.objects.filter(kind="mark").count() == 16
    relay()
    wait_for(lambda: len(session_calls(talon)) == 8 and emptied(), within=60)


@pytest.mark.parametrize("how", ["silent", "frozen", "swallowing"])
def test_fault_07_broker_accepts_and_never_answers(talon, processes, broker, proxy, relay, how):
    """A broker that accepts and never answers, freezes or swallows everything keeps no save
    waiting: the wake-up is published by a thread of its own.
    """
    through, url = proxy(broker)
    {"silent": through.freeze, "frozen": lambda: through.freeze("answers")}.get(
        how, through.blackhole
    )()
    told = save(processes, url)
    assert "callbacks 4" in told
    # The broker's own time limits are seconds: one save that waited for it would take as long.
    assert slowest(told) < 4
    assert through.accepted
    relay()
    wait_for(lambda: len(session_calls(talon)) == 4 and emptied(), within=60)


def test_fault_08_wake_up_fails_in_on_commit(talon, processes, relay):
    """A wake-up that cannot even be rung raises nothing into the commit, and the shop's callbacks
    after it run.
    """
    broken = """
        import threading
        from django.db import transaction
        from tests.helpers import cart_with
        later = []
        def refuse(self): raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        with transaction.atomic():
            cart_with(("mug", "1.00", 1))
            transaction.on_commit(lambda: later.append(1))
        print("callbacks", len(later))
    """
    process = processes.script(broken)
    assert process.wait(timeout=60) == 0
    assert "callbacks 1" in process.stdout.read()
    assert Cart.objects.count() == 1
    relay()
    wait_for(lambda: session_calls(talon) and emptied(), within=60)


def test_fault_09_broker_loses_every_message(talon, processes, broker, queue, worker, beat):
    """A broker that loses every wake-up costs latency only: the next sweep delivers."""
    save(processes, broker)
    with Connection(broker) as connection:
        connection.SimpleQueue(queue).clear()
    assert session_calls(talon) == []
    worker(broker)
    beat(broker)
    wait_for(lambda: len(session_calls(talon)) == 4 and emptied(), within=60)


def test_fault_09_broker_repeats_messages(talon, processes, redis, worker):
    """A broker that delivers every wake-up many times makes no call twice."""
    repeat = """
        from tests.celery_app import app
        from django_talon.outbox import wake
        for _ in range(30):
            wake.publish()
    """
    cart_with(("mug", "1.00", 1), user=customer())
    assert processes.script(repeat, TALON_TEST_BROKER=redis.url).wait(timeout=60) == 0
    worker(redis.url)
    worker(redis.url)
    wait_for(lambda: session_calls(talon) and emptied(), within=120)
    wait_for(lambda: emptied_queue(redis.url), within=120)
    assert len(talon.calls(UPDATE)) == 1
    assert no_overlap(talon)


def emptied_queue(url: str, name: str = "celery") -> bool:
    with Connection(url) as connection:
        return bool(connection.default_channel.client.llen(name) == 0)


def test_fault_09_broker_dies_and_comes_back(talon, processes, redis, worker, beat):
    """A broker that dies with all it holds and comes back empty: worker and beat go on by
    themselves, and what was saved meanwhile arrives.
    """
    worker(redis.url)
    beat(redis.url)
    save(processes, redis.url, saves=1)
    wait_for(lambda: len(session_calls(talon)) == 1 and emptied(), within=60)
    redis.stop()
    save(processes, redis.url, saves=2)
    assert len(session_calls(talon)) == 1
    redis.start()
    wait_for(lambda: len(session_calls(talon)) == 3 and emptied(), within=120)


def test_fault_09_deaf_worker_is_told(talon, processes, redis, proxy, worker, monkeypatch):
    """A worker that lives and hears nothing any more is seen: talon_status ends with 1 once
    something is due and nobody gave a sign of life, until the worker hears again.
    """
    through, url = proxy(redis.url)
    deaf = worker(url)
    save(processes, redis.url, saves=1)
    wait_for(emptied, within=60)
    call_command("talon_status")
    through.freeze()
    save(processes, redis.url, saves=1)
    monkeypatch.setattr(vital_signs, "SILENCE", 3)
    wait_for(lambda: clock.now() - Heartbeat.objects.get().beat_at > timedelta(seconds=5))
    with pytest.raises(CommandError, match="nobody delivers"):
        call_command("talon_status")
    assert deaf.poll() is None
    assert len(session_calls(talon)) == 1
    through.thaw()
    wait_for(emptied, within=60)
    call_command("talon_status")
    assert len(session_calls(talon)) == 2


def test_fault_10_no_beat(talon, processes, broker, worker):
    """Without a beat, one wake-up drains the whole backlog, old rows too."""
    for number in range(5):
        cart_with((f"old{number}", "1.00", 1))
    worker(broker)
    save(processes, broker, saves=1)
    wait_for(lambda: len(session_calls(talon)) == 6 and emptied(), within=60)


def test_fault_10_five_sweepers(talon, processes, redis, worker, beat, relay):
    """Two beats, two Celery workers and three relays on the same rows: each cart is sent once, and
    no two calls about one customer overlap.
    """
    talon.faults.add(
        match={"operation": UPDATE}, phase="before_apply", do={"delay": {"seconds": 0.05}}
    )
    for _ in range(2):
        worker(redis.url)
        beat(redis.url)
    for _ in range(3):
        relay()
    ada = customer()
    for number in range(10):
        cart_with((f"p{number}", "1.00", 1), user=ada if number < 5 else None)
    wait_for(emptied, within=90)
    sent = session_calls(talon)
    assert len({body["id"] for body in sent}) == 10
    assert no_overlap(talon)


def test_fault_56_fork_after_start(talon, processes, redis, worker):
    """A process forked after its parent rang the bell (preload, prefork) rings it too."""
    forked = """
        import os
        from tests.celery_app import app
        from django.db import connections
        from tests.helpers import cart_with
        from django_talon.outbox import wake
        cart_with(("parent", "1.00", 1))
        assert wake._bell.flush(20)
        connections.close_all()
        child = os.fork()
        if child == 0:
            cart_with(("child", "1.00", 1))
            os._exit(0 if wake._bell.flush(20) else 1)
        assert os.waitpid(child, 0)[1] == 0
    """
    environment = {"TALON_TEST_BROKER": redis.url, "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    worker(redis.url)
    assert processes.script(forked, **environment).wait(timeout=60) == 0
    wait_for(lambda: len(session_calls(talon)) == 2 and emptied(), within=60)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_fault_57_soft_time_limit(talon, processes, redis, worker, settings, pool):
    """A Celery time limit that ends a call harms no row, and nothing else is sent for that customer
    while Talon.One may still be at work; with threads no limit applies, and the call ends.
    """
    settings.TALON_ONE = {**settings.TALON_ONE, "DEADLINE": 5, "LEASE": 10, "HOLD": 4}
    talon.faults.add(
        match={"operation": UPDATE},
        when={"first": 2},
        phase="before_apply",
        do={"delay": {"seconds": 3}},
    )
    limits = {"django_talon.tasks.deliver": {"soft_time_limit": 1, "time_limit": 60}}
    worker(redis.url, pool, TALON_TEST_ANNOTATIONS=json.dumps(limits))
    ring = threading.Event()

    def keep_ringing():
        while not ring.wait(0.5):
            with Connection(redis.url) as connection:
                send(connection)

    cart_with(("mug", "1.00", 3), user=customer())
    ringing = threading.Thread(target=keep_ringing)
    ringing.start()
    try:
        wait_for(emptied, within=90)
    finally:
        ring.set()
        ringing.join()
    [session] = talon.state()["sessions"].values()
    assert session["cartItems"][0]["quantity"] == 3
    assert no_overlap(talon)


def send(connection) -> None:
    from tests.celery_app import app

    app.send_task("django_talon.tasks.deliver", connection=connection, ignore_result=True)


def test_fault_57_threads_share_the_work(talon, processes, redis, worker):
    """Threads of one worker deliver at the same time without a call of one customer overlapping."""
    talon.faults.add(
        match={"operation": UPDATE}, phase="before_apply", do={"delay": {"seconds": 0.05}}
    )
    people = [customer(f"c{number}") for number in range(3)]
    for number in range(12):
        cart_with((f"p{number}", "1.00", 1), user=people[number % 3])
    worker(redis.url, "threads")
    save(processes, redis.url, saves=3, pause=0.3)
    wait_for(emptied, within=90)
    assert len({body["id"] for body in session_calls(talon)}) == 15
    assert no_overlap(talon)
