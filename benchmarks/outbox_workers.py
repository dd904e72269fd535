"""Four workers and one: carts a second, and whether two calls about one customer overlapped.

PYTHONPATH=. python benchmarks/outbox_workers.py [--quick]
"""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import Any

from outbox_server import reset, stats
from outbox_shop import add_one, is_quick, known_carts, pairs, process, shop, wait_for

ROUNDS, CARTS = (2, 40) if is_quick() else (7, 120)


def connections() -> int:
    """Return how many other processes use this database."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def rate(workers: int, carts: list[Any], url: str) -> float:
    """Return the carts a second that so many relays bring up to date."""
    from django.db import transaction

    from django_talon.models import OutboxRow

    reset(url)
    with contextlib.ExitStack() as running:
        for _ in range(workers):
            running.enter_context(process("-m", "django", "talon_relay", "--pause", "0.1"))
        wait_for(lambda: connections() >= workers)
        with transaction.atomic():
            for cart in carts:
                add_one(cart)
        started = time.monotonic()
        wait_for(lambda: not OutboxRow.objects.exists())
        seconds = stats(url)["last"] - started
    found = stats(url)
    assert found["overlaps"] == 0, found
    assert found["calls"] == len(carts), found
    return len(carts) / seconds


def main() -> None:
    """Print the ratio."""
    with shop() as url:
        carts = known_carts(CARTS, per_customer=4)
        one, four = [], []
        for _ in range(ROUNDS):
            one.append(rate(1, carts, url))
            four.append(rate(4, carts, url))
    print("calls of one customer at a time: never two, in every round")
    print(
        f"carts a second of 4 workers {statistics.median(four):.1f}, of 1"
        f" {statistics.median(one):.1f}: ratio {pairs(four, one):.2f}   (at least 1)"
    )


if __name__ == "__main__":
    main()
