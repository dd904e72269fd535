"""When what we write is committed: by the shop, or by workers and commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from django_talon.outbox import clock, wake


def is_open(connection: Any) -> bool:
    """Whether somebody else, later, decides about what is written now."""
    return connection.in_atomic_block or not connection.get_autocommit()


@contextmanager
def committed_at_once() -> Iterator[None]:
    """Work on a connection of our own, with autocommit, where the shop's has none.

    The shop's connection and what is open on it are left as they are.
    """
    alias = clock.outbox_alias()
    the_shops = connections[alias]
    if the_shops.settings_dict["AUTOCOMMIT"] or the_shops.in_atomic_block:
        yield
        return
    ours = the_shops.copy()
    ours.settings_dict["AUTOCOMMIT"] = True
    connections[alias] = ours
    try:
        yield
    finally:
        ours.close()
        connections[alias] = the_shops


def ring_after_commit(connection: Any) -> None:
    """Wake a worker once what was written is committed."""
    if not connection.in_atomic_block:
        # Manual transactions know no on_commit; the sweep finds the row.
        if connection.get_autocommit():
            connection.on_commit(wake.ring, robust=True)
        return
    # Not said twice in a row. No flag, which would survive a savepoint that is rolled back
    # and takes what was said within it along.
    said = connection.run_on_commit[-1:]
    if not said or said[0][:2] != (set(connection.savepoint_ids), wake.ring):
        connection.on_commit(wake.ring, robust=True)
