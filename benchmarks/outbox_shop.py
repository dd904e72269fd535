"""The test suite's shop on a PostgreSQL database of its own, and the integration by hand.

`shop` makes database and server and sets the settings, of child processes too. `by_hand`
watches cart lines as a good engineer would without this package: ``post_save``,
``transaction.on_commit(task.delay)``, and a Celery task that calls the official SDK.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from outbox_server import DELAY, slow_server

os.environ["TALON_TEST_DATABASE"] = "postgresql"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
BROKER = os.environ.setdefault("TALON_TEST_BROKER", "redis://127.0.0.1:6379/13")
LINES = 10


@contextlib.contextmanager
def shop(delay: float = DELAY, **talon_one: Any) -> Iterator[str]:
    """Yield the base URL of a server that answers after ``delay`` seconds."""
    with slow_server(delay) as url:
        settings = {"BASE_URL": url, "API_KEY": "benchmark", "DEBOUNCE": 0, **talon_one}
        os.environ["TALON_TEST_TALON_ONE"] = json.dumps(settings)
        os.environ["TALON_BENCH_URL"] = url
        import django

        django.setup()
        from django.db import connections

        import tests.celery_app  # noqa: F401  the Celery application of the shop

        creation = connections["default"].creation
        name = creation.create_test_db(verbosity=0, autoclobber=True)
        os.environ["TALON_TEST_NAME"] = name
        try:
            yield url
        finally:
            connections.close_all()
            creation.destroy_test_db("django_talon", verbosity=0)


def carts(count: int, lines: int = LINES, *, per_customer: int = 1) -> list[Any]:
    """Make carts of customers, unnoticed by anybody."""
    from django.contrib.auth.models import User

    import django_talon
    from example_project.shop.models import Cart, CartItem, Product

    with django_talon.paused():
        products = [
            Product.objects.get_or_create(
                sku=f"p{n}", defaults={"name": f"Product {n}", "description": "", "price": 10 + n}
            )[0]
            for n in range(lines)
        ]
        people = User.objects.bulk_create(
            User(username=f"u{time.monotonic_ns()}-{n}") for n in range(-(-count // per_customer))
        )
        made = [Cart.objects.create(user=people[n // per_customer]) for n in range(count)]
        CartItem.objects.bulk_create(
            CartItem(cart=cart, product=product, quantity=1)
            for cart in made
            for product in products
        )
    return made


def known_carts(count: int, lines: int = LINES, *, per_customer: int = 1) -> list[Any]:
    """Make carts whose sessions and profiles are at Talon.One already."""
    import django_talon
    from django_talon.outbox import delivery

    made = carts(count, lines, per_customer=per_customer)
    for cart in made:
        django_talon.mark(cart)
    while delivery.drain():
        pass
    return made


def add_one(cart: Any) -> None:
    """Change every line of a cart, as a request does: one transaction, one save a line."""
    from django.db import transaction

    with transaction.atomic():
        for item in cart.items.all():
            item.quantity = item.quantity % 19 + 1
            item.save()


@contextlib.contextmanager
def by_hand() -> Iterator[None]:
    """Let the integration by hand watch the shop, and django-talon not."""
    from django.db.models.signals import post_save
    from outbox_by_hand import line_saved

    from example_project.shop.models import CartItem

    with unwatched():
        post_save.connect(line_saved, sender=CartItem)
        try:
            yield
        finally:
            post_save.disconnect(line_saved, sender=CartItem)


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Let nobody watch the shop."""
    from django_talon.outbox import receivers

    receivers.disconnect_all()
    try:
        yield
    finally:
        receivers.connect_all()


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python process of this shop beside this one."""
    path = os.pathsep.join([os.getcwd(), os.path.dirname(__file__)])
    started = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(60)


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> None:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise SystemExit("the benchmark waited in vain")
        time.sleep(0.02)


def pairs(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the ratios of values measured next to each other."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def is_quick() -> bool:
    """Whether few rounds are asked for."""
    return "--quick" in sys.argv[1:]
