"""Dead letters that an operator sends again."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from django_talon.models import DeadLetter, Erasure
from django_talon.models.outbox import Kind
from django_talon.outbox import clock
from django_talon.outbox.rows import Row, enqueue


def replay(letters: Iterable[DeadLetter]) -> int:
    """Put dead letters back into the outbox as they were; return how many.

    The uid stays, so Talon.One takes none of them twice. Letters that were
    replayed before are left alone.
    """
    return sum(_replay(letter) for letter in letters)


def _replay(letter: DeadLetter) -> bool:
    with transaction.atomic(using=clock.outbox_alias()):
        # Of two operators who press the button at the same time, one wins.
        fresh = DeadLetter.objects.filter(pk=letter.pk, replayed_at=None)
        if not fresh.update(replayed_at=timezone.now()):
            return False
        enqueue([_row(letter)])
        if letter.kind == Kind.ERASE:
            _reopen(letter)
    return True


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


def _reopen(letter: DeadLetter) -> None:
    pk = (letter.payload or {}).get("erasure", 0)
    failed = Erasure.objects.filter(pk=pk, status=Erasure.Status.FAILED)
    failed.update(status=Erasure.Status.REQUESTED)
