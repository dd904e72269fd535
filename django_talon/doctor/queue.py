"""Whether anybody delivers, what waits too long, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Max

from django_talon.conf import conf
from django_talon.doctor.findings import Finding
from django_talon.models import DeadLetter, DeliveryLog, Heartbeat, OutboxRow
from django_talon.models.outbox import SCHEMA
from django_talon.outbox import clock
from django_talon.outbox.mapping import complaints
from django_talon.outbox.vital_signs import LATE, SILENCE

#: Dead letters that are looked at for a common cause.
LETTERS = 1000
#: From so many answers 409 in an hour on, and such a share of the calls, they are told.
CONFLICTS, SHARE = 10, 0.01


def find() -> Iterator[Finding]:
    """Yield what is wrong with the queue and with those who drain it."""
    if conf.ENABLED:
        yield from _silence()
    yield from _newer_rows()
    yield from _conflicts()
    yield from _dead_letters()


def _silence() -> Iterator[Finding]:
    now = clock.now()
    last = Heartbeat.objects.aggregate(last=Max("beat_at"))["last"]
    due = OutboxRow.objects.filter(due_at__lte=now - timedelta(seconds=SILENCE))
    oldest = due.order_by("due_at", "id").values_list("due_at", flat=True).first()
    is_silent = last is None or (now - last).total_seconds() > SILENCE
    do = "Start a Celery worker and beat with BEAT_SCHEDULE, or `manage.py talon_relay`."
    if is_silent and oldest is not None:
        age = (now - oldest).total_seconds()
        what = f"Nobody delivers: the oldest due row has waited {age:.0f} s, and no worker lives."
        yield Finding("django_talon.E106", what, do)
    elif is_silent:
        seen = "never" if last is None else f"{(now - last).total_seconds():.0f} s ago"
        yield Finding("django_talon.W106", f"A worker was last seen {seen}.", do)
    elif oldest is not None and (now - oldest).total_seconds() > LATE:
        age = (now - oldest).total_seconds()
        what = f"Workers live, yet the oldest due row has waited {age:.0f} s."
        yield Finding("django_talon.W107", what, "See `manage.py talon_status`; add workers.")


def _newer_rows() -> Iterator[Finding]:
    newer = OutboxRow.objects.filter(schema__gt=SCHEMA)[:LETTERS].count()
    if newer:
        what = f"{newer} rows were written by a newer release than this one."
        yield Finding("django_talon.W108", what, "Deploy that release to the workers, too.")


def _conflicts() -> Iterator[Finding]:
    calls = DeliveryLog.objects.filter(created_at__gte=clock.now() - timedelta(hours=1))
    conflicts = calls.filter(status=409).count()
    if conflicts >= CONFLICTS and conflicts >= SHARE * calls.count():
        what = f"Talon.One answered 409 to {conflicts} calls of the last hour."
        do = (
            "Let nobody else update these customers' sessions, and look for a second deployment"
            " with the same tables or the same API key."
        )
        yield Finding("django_talon.W127", what, do)


def _dead_letters() -> Iterator[Finding]:
    letters = list(DeadLetter.objects.waiting().order_by("-pk")[:LETTERS])
    if not letters:
        return
    what = f"{len(letters)} dead letters wait for somebody."
    do = "Read the reasons in the admin, mend the cause, then `manage.py talon_retry`."
    yield Finding("django_talon.W109", what, do)
    refused = Counter(
        str(complaint)
        for letter in letters
        if letter.status == 400
        for complaint in complaints(letter)
        if "/attributes/" in complaint.pointer
    )
    for complaint, times in refused.most_common(5):
        what = f"Talon.One refused an attribute {times} times: {complaint}"
        do = "Create it in the Campaign Manager with the right type, or take it out of talon.py."
        yield Finding("django_talon.E110", what, do)
