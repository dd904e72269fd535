"""The Celery tasks, and a beat schedule to put into the shop's settings.

They carry no data: the rows are in the database, and any number of them may
run at once. A settings module may import this, so models are not imported here.
"""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task

from django_talon.outbox.wake import DELIVER

#: Seconds for which one task works before the next gets its turn.
TURN = 25.0

#: A shop's general time limit may be shorter than a turn. After these a call has gone wrong.
LIMITS: dict[str, Any] = {"soft_time_limit": 120, "time_limit": 150}


@shared_task(name=DELIVER, ignore_result=True, **LIMITS)
def deliver() -> int:
    """Deliver what is due. Rung after a commit; returns how many lanes were served."""
    return _drain()


@shared_task(name="django_talon.tasks.sweep", ignore_result=True, **LIMITS)
def sweep() -> int:
    """Deliver what a lost wake left, and retries. Idle, it costs one look at an index."""
    return _drain()


def _drain() -> int:
    from django_talon.conf import conf
    from django_talon.outbox import wake
    from django_talon.outbox.delivery import drain
    from django_talon.outbox.health import measure
    from django_talon.outbox.transactions import committed_at_once

    with committed_at_once():
        started = time.monotonic()
        served = drain(TURN, threads=conf.WORKER_THREADS)
        if time.monotonic() - started >= TURN:
            wake.snooze.note(0)  # there may be more, and no sweep
        wake.come_back()
        measure()
    return served


@shared_task(name="django_talon.tasks.purge", ignore_result=True)
def purge() -> dict[str, int]:
    """Delete records older than ``RETENTION_DAYS``; returns how many of each."""
    from django_talon.outbox.purge import purge as delete_old
    from django_talon.outbox.transactions import committed_at_once

    with committed_at_once():
        return delete_old()


@shared_task(name="django_talon.tasks.reconcile", ignore_result=True, **LIMITS)
def reconcile() -> int:
    """Find what no signal told, some thousand rows a run; returns how many are sent again."""
    from django_talon.outbox.repair.reconcile import by_task
    from django_talon.outbox.transactions import committed_at_once

    with committed_at_once():
        return by_task().marked


#: ``app.conf.beat_schedule = {**BEAT_SCHEDULE, ...}``
BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "talon-sweep": {
        "task": "django_talon.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 10.0},
    },
    "talon-purge": {"task": "django_talon.tasks.purge", "schedule": 86400.0},
    "talon-reconcile": {
        "task": "django_talon.tasks.reconcile",
        "schedule": 3600.0,
        "options": {"expires": 1800.0},
    },
}
