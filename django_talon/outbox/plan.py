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
    ends: datetime | None = None
    for row in waiting:
        if ends is None and row.aggregate.startswith("order:"):
            ends = settled(row)
        is_later = ends is not None and row.created_at > ends
        steps.setdefault(_step_of(row, is_later), []).append(row)
    for rows in steps.values():
        mine = {row.pk for row in rows}
        following = [row for row in waiting if row.pk > rows[0].pk and row.pk not in mine]
        yield Trip(lease, rows[0].aggregate, rows, following, is_whole=is_whole)


def _step_of(row: OutboxRow, is_later: bool) -> object:
    """Return what the rows of one step have in common."""
    if row.kind != Kind.MARK:
        return row.pk
    return row.aggregate, is_later and row.aggregate.startswith("cart:")


def settled(row: OutboxRow) -> datetime:
    """Return the moment after which a row is of something else than what saved this order."""
    return row.created_at + timedelta(seconds=SETTLE)
