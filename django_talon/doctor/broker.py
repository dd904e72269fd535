"""The broker of the shop's Celery: time-outs, whether it answers, and who sweeps."""

from __future__ import annotations

from collections.abc import Iterator

from django_talon.doctor.findings import Finding
from django_talon.outbox.broker import configured

#: Seconds to wait for the broker.
PATIENCE = 3.0


def find() -> Iterator[Finding]:
    """Yield what is wrong with the doorbell; without it rows wait for the sweep."""
    broker = configured()
    if broker is None:
        do = "Set CELERY_BROKER_URL, or let `manage.py talon_relay` deliver without a broker."
        yield Finding("django_talon.I117", "Celery has no broker here.", do)
        return
    if missing := broker.missing_timeouts:
        do = f"Set {missing}."
        what = f"The {broker.transport} broker may be waited for without an end."
        yield Finding("django_talon.W117", what, do)
    if not broker.answers(PATIENCE):
        what = f"The {broker.transport} broker does not answer."
        do = "Start it. Meanwhile nothing is lost: `sweep` and `talon_relay` find the rows."
        yield Finding("django_talon.W118", what, do)
    if not broker.sweeps:
        what = "Celery's beat has no entry for django_talon.tasks.sweep."
        do = "CELERY_BEAT_SCHEDULE = {**django_talon.tasks.BEAT_SCHEDULE, ...}"
        yield Finding("django_talon.W119", what, do)
