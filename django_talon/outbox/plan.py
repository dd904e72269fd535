"""What the rows that wait in a lane are one after the other: its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django_talon.models import OutboxRow
from django_talon.models.outbox import Kind
from django_talon.outbox.lanes import Lease
from django_talon.outbox.trip import SETTLE, Trip


def plan(lease: Lease, waiting: Sequence[OutboxRow], *, is_whole: bool) -> Iterator[Trip]:
    """Yield the steps of a lane in order; all marks of one aggregate are one step.

    A cart that was edited after its order, which did not get through yet, takes a second one.
    """
    steps: dict[object, list[OutboxRow]] = {}
    ordered: datetime | None = None
    for row in waiting:
        if ordered is None and row.aggregate.startswith("order:"):
            ordered = row.created_at
        steps.setdefault(_step_of(row, ordered), []).append(row)
    for rows in steps.values():
        mine = {row.pk for row in rows}
        following = [row for row in waiting if row.pk > rows[0].pk and row.pk not in mine]
        yield Trip(lease, rows[0].aggregate, rows, following, is_whole=is_whole)


def _step_of(row: OutboxRow, ordered: datetime | None) -> object:
    """Return what the rows of one step have in common."""
    if row.kind != Kind.MARK:
        return row.pk
    is_cart = row.aggregate.startswith("cart:")
    return row.aggregate, is_cart and ordered is not None and is_after(row, ordered)


def is_after(row: OutboxRow, ordered: datetime) -> bool:
    """Whether a row is of something else than what was saved with the order at that moment."""
    return row.created_at > ordered + timedelta(seconds=SETTLE)
