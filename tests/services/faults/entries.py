"""Processes that only tests start: ``python -m tests.services.faults.entries NAME ...``.

Each prepares the process and then runs a Django command, such as ``talon_relay``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import timedelta
from typing import Any

from django.utils import timezone


def skewed(seconds: str, *command: str) -> None:
    """Run a command with a wall clock that is off by so many seconds."""
    off, wall, now = float(seconds), time.time, timezone.now
    time.time = lambda: wall() + off
    timezone.now = lambda: now() + timedelta(seconds=off)
    run(*command)


def frozen(*command: str) -> None:
    """Run a command that is stopped (SIGSTOP) when it renders a cart for the first time."""
    adapter = shop()
    costs = adapter.additional_costs

    def freeze(self: Any, cart_or_order: Any) -> Any:
        adapter.additional_costs = costs
        os.kill(os.getpid(), signal.SIGSTOP)
        return costs(self, cart_or_order)

    adapter.additional_costs = freeze
    run(*command)


def dying(pk: str, *command: str) -> None:
    """Run a command that ends without a word when it renders the cart with this key."""
    adapter = shop()
    costs = adapter.additional_costs

    def die(self: Any, cart_or_order: Any) -> Any:
        if str(cart_or_order.pk) == pk:
            os._exit(139)
        return costs(self, cart_or_order)

    adapter.additional_costs = die
    run(*command)


def newer(*command: str) -> None:
    """Run a command as the next release would, which knows rows of one schema more."""
    shop()
    from django_talon.outbox import claim, delivery

    claim.SCHEMA += 1  # type: ignore[misc]
    delivery.SCHEMA += 1  # type: ignore[misc]
    run(*command)


def shop() -> Any:
    """Return the example shop's adapter, once Django is set up."""
    import django

    django.setup()
    from example_project.shop.talon import Shop

    return Shop


def run(*command: str) -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *command])


if __name__ == "__main__":
    entry: Any = globals()[sys.argv[1]]
    entry(*sys.argv[2:])
