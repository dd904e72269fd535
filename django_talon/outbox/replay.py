"""What operators decide about rows: dead letters sent again, rows tried sooner or given up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from django_talon.models import DeadLetter, Erasure, Lane, OutboxRow
from django_talon.models.outbox import Kind, Why
from django_talon.outbox import answers, clock, transactions
from django_talon.outbox.rows import Row, enqueue

#: Rows of one transaction.
CHUNK = 200
#: Seconds that one request may work on a long selection before it reports what is left.
PATIENCE = 15.0

_WAITING = Q(replayed_at=None, discarded_at=None)


def replay(letters: Iterable[DeadLetter]) -> int:
    """Put dead letters back into the outbox as they were; return how many.

    The uid stays, so Talon.One takes none of them twice. Letters that were
    replayed or discarded before are left alone.
    """
    keys = [letter.pk for letter in letters]
    parts = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
    return sum(len(_replay(part)) for part in parts)


def replay_chosen(
    letters: QuerySet[DeadLetter], seconds: float = PATIENCE
) -> Iterator[list[DeadLetter]]:
    """Put a selection of any length back, part by part, for so many seconds at most."""
    return (_replay(keys) for keys in _parts(letters.filter(_WAITING), seconds))


def discard_chosen(
    letters: QuerySet[DeadLetter], operator: str, reason: str, seconds: float = PATIENCE
) -> Iterator[list[DeadLetter]]:
    """Give up dead letters, which stay as records. Erasures are left: they must be done."""
    chosen = letters.filter(_WAITING).exclude(kind=Kind.ERASE)
    return (_discard(keys, operator, reason) for keys in _parts(chosen, seconds))


def give_up_chosen(
    rows: QuerySet[OutboxRow], operator: str, reason: str, seconds: float = PATIENCE
) -> Iterator[list[DeadLetter]]:
    """Take waiting rows out of the outbox and keep them as discarded dead letters.

    Erasures are left. A call that is under way for a row is not called back.
    """
    chosen = rows.exclude(kind=Kind.ERASE)
    return (_give_up(keys, operator, reason) for keys in _parts(chosen, seconds))


def hurry_chosen(rows: QuerySet[OutboxRow], seconds: float = PATIENCE) -> Iterator[list[OutboxRow]]:
    """Have waiting rows tried at once; yield the rows of each part that are due now.

    A lane on hold is left: its last request may still be worked on. So are
    erasures, whose sweeps keep their distance.
    """
    waiting = rows.filter(due_at__gt=clock.now()).exclude(kind=Kind.ERASE)
    return (_hurry(keys) for keys in _parts(waiting, seconds))


def _parts(rows: QuerySet[Any], seconds: float) -> Iterator[list[int]]:
    """Yield primary keys, some at a time; at least one part, however short the time."""
    ends, last = time.monotonic() + seconds, 0
    while keys := list(
        rows.order_by("pk").filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]
    ):
        yield keys
        last = keys[-1]
        if time.monotonic() > ends:
            return


def _replay(keys: Sequence[int]) -> list[DeadLetter]:
    with transaction.atomic(using=clock.outbox_alias()):
        letters = _claim(keys, replayed_at=timezone.now())
        if letters:
            enqueue([_row(letter) for letter in letters])
        refused = [letter for letter in letters if letter.kind == Kind.ERASE]
        if refused:
            _reopen(refused)
    return letters


def _claim(keys: Sequence[int], **changes: Any) -> list[DeadLetter]:
    """Change what is still waiting; of two operators at the same time, one gets each letter."""
    fresh = DeadLetter.objects.waiting().filter(pk__in=keys)
    if not fresh.update(**changes):
        return []
    return list(DeadLetter.objects.filter(pk__in=keys, **changes).order_by("pk"))


def _discard(keys: Sequence[int], operator: str, reason: str) -> list[DeadLetter]:
    with transaction.atomic(using=clock.outbox_alias()):
        return _claim(keys, discarded_at=timezone.now(), **_signed(operator, reason))


def _signed(operator: str, reason: str) -> dict[str, str]:
    return {"discarded_by": operator[:190], "discarded_reason": reason[:255]}


def _give_up(keys: Sequence[int], operator: str, reason: str) -> list[DeadLetter]:
    with transaction.atomic(using=clock.outbox_alias()):
        rows = list(OutboxRow.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
        letters = [_letter(row, operator, reason) for row in rows]
        for letter in letters:
            letter.save()
        answers.forget([row.pk for row in rows])
    return letters


def _letter(row: OutboxRow, operator: str, reason: str) -> DeadLetter:
    return DeadLetter(
        application=row.application,
        lane=row.lane,
        kind=row.kind,
        aggregate=row.aggregate,
        payload=row.payload,
        uid=row.uid,
        reason="Taken out of the outbox by an operator.",
        discarded_at=timezone.now(),
        **_signed(operator, reason),
    )


def _hurry(keys: Sequence[int]) -> list[OutboxRow]:
    rows = OutboxRow.objects.filter(pk__in=keys)
    lanes = list(rows.values_list("lane", flat=True).distinct())
    now = clock.now()
    blocked = Lane.objects.filter(key__in=lanes, blocked_until__gt=now)
    blocked.exclude(why=Why.HOLD).update(blocked_until=None, why="")
    held = list(blocked.filter(why=Why.HOLD).values_list("key", flat=True))
    free = list(rows.exclude(lane__in=held).order_by("pk"))
    if free:
        OutboxRow.objects.filter(pk__in=[row.pk for row in free]).update(due_at=now)
        transactions.ring_after_commit(connections[clock.outbox_alias()])
    return free


def _row(letter: DeadLetter) -> Row:
    return Row(
        lane=letter.lane,
        aggregate=letter.aggregate,
        kind=letter.kind,
        payload=letter.payload,
        priority=-1 if letter.kind == Kind.ERASE else 0,
        application=letter.application,
        uid=letter.uid,
    )


def _reopen(letters: Sequence[DeadLetter]) -> None:
    keys = [(letter.payload or {}).get("erasure", 0) for letter in letters]
    failed = Erasure.objects.filter(pk__in=keys, status=Erasure.Status.FAILED)
    failed.update(status=Erasure.Status.REQUESTED)
