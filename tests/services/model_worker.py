"""A worker of the randomised model: ``python -m tests.services.model_worker THREADS [RULE]``.

With the name of a rule, that rule of delivery is taken out first: the model has to notice.
"""

from __future__ import annotations

import builtins
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import django


def without_lease() -> None:
    """Every worker gets every lane."""
    from django_talon.conf import conf
    from django_talon.outbox import lanes

    def give(key: str, now: Any, **_: Any) -> lanes.Lease:
        until = now + timedelta(seconds=conf.LEASE)
        return lanes.Lease(key, uuid4(), until, time.monotonic() + conf.LEASE)

    lanes.compete = lanes.acquire = give
    lanes.is_still_ours = lambda lease: True


def without_hold(patch: Any) -> None:
    """After an answer that got lost the lane is open at once. ``patch`` is pytest's."""
    from django_talon.models.outbox import Why
    from django_talon.outbox import backoff

    judge = backoff.judge

    def hasty(error: Exception, attempts: int) -> backoff.Verdict:
        verdict = judge(error, attempts)
        return replace(verdict, lane_delay=0.0) if verdict.why is Why.HOLD else verdict

    patch.setattr(backoff, "judge", hasty)


def without_tombstone() -> None:
    """Nobody remembers who was erased."""
    from django_talon.models import Erasure

    Erasure.standing = classmethod(lambda cls, environment, profile_id: False)  # type: ignore[method-assign]


def without_ids_seen(patch: Any) -> None:
    """All rows up to the last one that was read are deleted. ``patch`` is pytest's."""
    from django_talon.models import OutboxRow
    from django_talon.outbox import answers

    def delete_range(ids: Any) -> None:
        OutboxRow.objects.filter(pk__lte=max(ids, default=0)).delete()

    patch.setattr(answers, "forget", delete_range)


RULES: dict[str, Callable[[], None]] = {
    "lease": without_lease,
    "tombstone": without_tombstone,
    "hold": lambda: without_hold(builtins),
    "ids_seen": lambda: without_ids_seen(builtins),
}


def work(stop: threading.Event) -> None:
    from django.db import OperationalError, connections

    from django_talon.outbox import delivery

    try:
        while not stop.is_set():
            try:
                if not delivery.drain(1.0):
                    stop.wait(0.05)
            except OperationalError:  # the next turn goes on; nothing may be lost by it
                traceback.print_exc()
    finally:
        connections.close_all()


def main(threads: str, *rules: str) -> None:
    django.setup()
    for rule in rules:
        RULES[rule]()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    workers = [threading.Thread(target=work, args=(stop,)) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
