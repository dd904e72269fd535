"""What a request that saves ten lines of one cart pays: ours / written by hand.

Wall time and CPU that are added to the same request with nobody watching; statements that
are added; and the slowest requests while the broker accepts connections and says nothing.
The CPU of the thread that publishes our wake-ups is counted. In a busy process requests follow
each other; at most five wake-ups a second are published. Where requests are rare (a quarter of
a second apart) each of ours pays for a wake-up of its own. Beside them stands what cannot be
saved: the same INSERT, ten times by Django's cursor, written where the line is saved.

    PYTHONPATH=. python benchmarks/outbox_request.py [--quick]
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from outbox_shop import LINES, add_one, by_hand, carts, is_quick, pairs, shop, unwatched

#: Told as, requests in a round, and seconds between them.
PACES = (
    (("busy", 60, 0.0), ("rare", 5, 0.25))
    if is_quick()
    else (("busy", 100, 0.0), ("rare", 10, 0.25))
)
ROUNDS = 4 if is_quick() else 12
#: Requests with either broker, and seconds given to one of those by hand.
SILENT_REQUESTS, PATIENCE = (100, 20) if is_quick() else (400, 20)


@contextlib.contextmanager
def ours() -> Any:
    yield


@contextlib.contextmanager
def bare() -> Any:
    """Write the row of a mark with nothing around it."""
    from django.db import connection
    from django.db.models.signals import post_save

    from django_talon.outbox import rows
    from example_project.shop.models import CartItem

    row = rows.Row(lane="cart:shop.cart:0", aggregate="cart:shop.cart:0")
    statement, params = rows._statement([row], connection)

    def write(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)

    with unwatched():
        post_save.connect(write, sender=CartItem)
        try:
            yield
        finally:
            post_save.disconnect(write, sender=CartItem)


CONTENDERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nobody": unwatched,
    "ours": ours,
    "by hand": by_hand,
    "bare": bare,
}


def cost(cart: Any, requests: int, pause: float) -> tuple[float, float]:
    """Return the seconds of wall time and of CPU of a request."""
    wall, cpu = [], time.process_time()
    for _ in range(requests):
        started = time.perf_counter()
        add_one(cart)
        wall.append(time.perf_counter() - started)
        time.sleep(pause)
    return statistics.median(wall), (time.process_time() - cpu) / requests


def added(found: dict[str, list[float]], who: str) -> list[float]:
    return [mine - bare for mine, bare in zip(found[who], found["nobody"], strict=True)]


def costs(cart: Any, told: str, requests: int, pause: float) -> None:
    """Print what is added, ours beside the others'."""
    wall: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    cpu: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for turn in range(ROUNDS + 1):
        for name, watching in CONTENDERS.items():
            with watching():
                seconds, work = cost(cart, requests, pause)
            if turn:  # the first one loads what is loaded once
                wall[name].append(seconds)
                cpu[name].append(work)
    for what, found, limit in (("wall time", wall, 0.5), ("CPU", cpu, 0.3)):
        mine, theirs, least = (added(found, who) for who in ("ours", "by hand", "bare"))
        print(
            f"{told}: {what + ' added to a request:':28} {statistics.median(mine) * 1e3:6.2f} ms,"
            f" by hand {statistics.median(theirs) * 1e3:6.2f} ms, ten bare INSERTs"
            f" {statistics.median(least) * 1e3:.2f} ms (the request itself"
            f" {statistics.median(found['nobody']) * 1e3:.2f} ms):"
            f" ratio {pairs(mine, theirs):.2f}   (at most {limit})"
        )


def statements(cart: Any) -> None:
    """Check that a mark is one round trip, and that there is nothing else."""
    from django.db import connection

    seen: dict[str, list[str]] = {"nobody": [], "ours": []}
    for name, into in seen.items():

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any, to=into) -> Any:
            to.append(sql)
            return execute(sql, params, many, context)

        with CONTENDERS[name](), connection.execute_wrapper(note):
            add_one(cart)
    extra = [sql for sql in seen["ours"] if "django_talon" in sql]
    assert len(extra) == LINES == len(seen["ours"]) - len(seen["nobody"]), seen
    assert all(sql.count("INSERT") == 1 for sql in extra), extra
    print(f"statements added to a request: {len(extra)}, one round trip for each line saved")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextlib.contextmanager
def asked(who: str, broker: str, cart: Any) -> Any:
    """Yield a process that makes a request for each line it is given, and says how long it took."""
    path = os.pathsep.join([os.getcwd(), os.path.dirname(__file__)])
    child = subprocess.Popen(
        [sys.executable, __file__, "--child", who, str(cart.pk)],
        env={**os.environ, "PYTHONPATH": path, "TALON_TEST_BROKER": broker},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def ask(child: Any) -> float | None:
    """Return the seconds of a request; ``None`` if it does not end."""
    child.stdin.write("go\n")
    child.stdin.flush()
    ready, _, _ = select.select([child.stdout], [], [], PATIENCE)
    return float(child.stdout.readline()) if ready else None


def black_hole(cart: Any) -> None:
    """Print requests with a silent broker beside those with a good one, taken in turn."""
    good = os.environ["TALON_TEST_BROKER"]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as silent:
        hole = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with asked("ours", good, cart) as healthy, asked("ours", hole, cart) as deaf:
            for child in (healthy, deaf):
                ask(child)  # the first one loads what is loaded once
            turns = [(ask(healthy), ask(deaf)) for _ in range(SILENT_REQUESTS)]
        with asked("by hand", hole, cart) as child:
            theirs = ask(child)
    well, badly = ([float(turn[n]) for turn in turns] for n in (0, 1))
    for share in (0.5, 0.99):
        mine, other = percentile(badly, share), percentile(well, share)
        print(
            f"{len(turns)} requests in turn, percentile {share * 100:.0f}: with a silent broker"
            f" {mine * 1e3:.1f} ms, with a good one {other * 1e3:.1f} ms: ratio {mine / other:.2f}"
            "   (unchanged: 1)"
        )
    told = f"{theirs:.1f} s" if theirs else f"not ended after {PATIENCE} s"
    print(f"  one by hand with a silent broker: {told}")


def child(who: str, pk: str) -> None:
    import django

    django.setup()
    import tests.celery_app  # noqa: F401
    from example_project.shop.models import Cart

    cart = Cart.objects.get(pk=pk)
    with CONTENDERS[who]():
        for _ in sys.stdin:
            started = time.perf_counter()
            add_one(cart)
            print(time.perf_counter() - started, flush=True)


def main() -> None:
    """Print the ratios."""
    with shop():
        from celery import current_app

        [cart] = carts(1)
        statements(cart)
        for pace in PACES:
            costs(cart, *pace)
        black_hole(cart)
        current_app.control.purge()


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*sys.argv[2:4])
    else:
        main()
