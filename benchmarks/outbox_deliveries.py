"""Deliveries of one worker against a server that answers after 30 ms.

One worker process / a bare loop over our client; carts brought up to date a second, ten
changes each: ours / tasks written by hand, both through one Celery worker on Redis.

    PYTHONPATH=. python benchmarks/outbox_deliveries.py [--quick]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from outbox_server import reset, stats
from outbox_shop import add_one, by_hand, is_quick, known_carts, pairs, process, shop, wait_for

ROUNDS, CARTS = (3, 20) if is_quick() else (9, 40)


def change_one_line(cart: Any) -> None:
    item = cart.items.first()
    item.quantity = item.quantity % 19 + 1
    item.save()


def worker(carts: list[Any], threads: int) -> float:
    """Return the deliveries a second of this process."""
    from django_talon.outbox import delivery

    for cart in carts:
        change_one_line(cart)
    started = time.perf_counter()
    served = delivery.drain(threads=threads)
    assert served >= len(carts)
    return len(carts) / (time.perf_counter() - started)


def bare_loop(carts: list[Any]) -> float:
    """Return the calls a second of our client, which does nothing else."""
    from django_talon.conf import application
    from django_talon.outbox import endpoint

    client = endpoint.client(application("default"))
    items = [{"name": "a", "sku": f"p{n}", "quantity": 1, "price": 10 + n} for n in range(10)]
    body = {"customerSession": {"profileId": "bare", "state": "open", "cartItems": items}}
    started = time.perf_counter()
    for cart in carts:
        client.update_customer_session_v2(f"bare-{cart.pk}", body)
    return len(carts) / (time.perf_counter() - started)


def deliveries(carts: list[Any]) -> None:
    from django_talon.conf import conf

    found: dict[str, list[float]] = {"bare": [], "one": [], "all": []}
    for _ in range(ROUNDS):
        found["one"].append(worker(carts, 1))
        found["bare"].append(bare_loop(carts))
        found["all"].append(worker(carts, conf.WORKER_THREADS))
    for name, told in (("all", f"{conf.WORKER_THREADS} threads"), ("one", "1 thread")):
        print(
            f"deliveries a second, one worker process, {told:9}"
            f" {statistics.median(found[name]):5.1f}, bare loop"
            f" {statistics.median(found['bare']):5.1f}:"
            f" ratio {pairs(found[name], found['bare']):.2f}   (at least 0.6)"
        )


def up_to_date(carts: list[Any], url: str, calls: int) -> float:
    """Change ten lines of every cart; return the carts a second until the last call ended."""
    from django.db import transaction

    reset(url)
    with transaction.atomic():
        for cart in carts:
            add_one(cart)
    started = time.monotonic()
    wait_for(lambda: stats(url)["calls"] >= calls * len(carts) and not stats(url)["under_way"])
    return len(carts) / (stats(url)["last"] - started)


def ours(carts: list[Any], url: str) -> float:
    from django_talon.models import OutboxRow

    rate = up_to_date(carts, url, 1)
    wait_for(lambda: not OutboxRow.objects.exists())
    assert stats(url)["calls"] == len(carts)
    return rate


def theirs(carts: list[Any], url: str) -> float:
    with by_hand():
        return up_to_date(carts, url, 10)


def through_celery(carts: list[Any], url: str) -> None:
    import outbox_by_hand
    from celery import current_app

    current_app.control.purge()
    command = ("-m", "celery", "-A", "tests.celery_app", "worker", "--pool", "solo")
    quiet = ("--without-gossip", "--without-mingle", "-I", outbox_by_hand.__name__)
    found: dict[str, list[float]] = {"ours": [], "by hand": []}
    with process(*command, *quiet):
        ours(carts, url)
        theirs(carts[:2], url)
        for _ in range(ROUNDS):
            found["ours"].append(ours(carts, url))
            found["by hand"].append(theirs(carts, url))
    print(
        "carts brought up to date a second, 10 changes each:"
        f" {statistics.median(found['ours']):.1f},"
        f" by hand {statistics.median(found['by hand']):.1f}:"
        f" ratio {pairs(found['ours'], found['by hand']):.1f}   (at least 3)"
    )
    print("calls for ten changes of a cart: 1, by hand 10")


def main() -> None:
    """Print the three ratios."""
    with shop() as url:
        carts = known_carts(CARTS)
        deliveries(carts)
        through_celery(carts, url)


if __name__ == "__main__":
    main()
