"""How delivery fares: one source for the status page, the banner, commands and health views.

Every function makes the same number of queries however many rows there are,
and none makes a call. Ages are in seconds by the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from django_talon.conf import Application, applications, conf
from django_talon.models import (
    DeadLetter,
    Endpoint,
    Erasure,
    Heartbeat,
    OutboxRow,
)
from django_talon.models.outbox import Health
from django_talon.outbox import clock, endpoint

#: Counting stops here: more than this many is all one needs to know.
MOST = 10_001
#: Seconds without a sign of life after which nobody is taken to deliver.
SILENCE = 60.0
#: Seconds that something may be due while somebody delivers.
LATE = 600.0


@dataclass(frozen=True)
class Worker:
    """A kind of worker, and how long ago one of it looked for due rows."""

    name: str
    age: float


@dataclass(frozen=True)
class EndpointSign:
    """How one Application's endpoint fares."""

    application: str
    address: str
    health: str = Health.HEALTHY.value
    reason: str = ""
    #: No call before this moment.
    until: datetime | None = None
    since: datetime | None = None
    failures: int = 0
    #: An operator's pause.
    stopped_at: datetime | None = None
    stopped_by: str = ""
    stopped_reason: str = ""

    @property
    def is_well(self) -> bool:
        return self.health == Health.HEALTHY and self.stopped_at is None


@dataclass(frozen=True)
class Signs:
    """What one look at the tables tells. Counts stop at `MOST`."""

    at: datetime
    enabled: bool
    waiting: int
    #: Of the row that is due longest; ``None`` if nothing is due.
    oldest_due_age: float | None
    dead_letters: int
    overdue_erasures: int
    workers: Sequence[Worker] = ()
    endpoints: Sequence[EndpointSign] = field(default_factory=list)

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since any worker looked; ``None`` if none ever did."""
        return min((worker.age for worker in self.workers), default=None)


@dataclass(frozen=True)
class Problem:
    """Something an operator should look at. ``code`` is stable, ``message`` translated."""

    code: str
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def message(self) -> str:
        return _messages()[self.code] % dict(self.values)

    @property
    def is_urgent(self) -> bool:
        """Whether it stands on the admin's index."""
        return self.code in URGENT


URGENT = frozenset({"nobody-delivers", "refused", "misconfigured", "erasure-overdue"})


def read() -> Signs:
    """Return the vital signs of now: seven queries, the database's time included."""
    now = clock.now()
    due = OutboxRow.objects.filter(due_at__lte=now).order_by("due_at", "id")
    beats = Heartbeat.objects.order_by("name").values_list("name", "beat_at")
    return Signs(
        at=now,
        enabled=conf.ENABLED,
        waiting=capped(OutboxRow.objects.all()),
        oldest_due_age=_age(due.values_list("due_at", flat=True).first(), now),
        dead_letters=capped(DeadLetter.objects.waiting()),
        overdue_erasures=capped(Erasure.overdue()),
        workers=[Worker(name, _age(beat, now) or 0.0) for name, beat in beats],
        endpoints=endpoints(),
    )


def capped(rows: QuerySet[Any]) -> int:
    """Count rows, but not beyond `MOST`."""
    return rows.order_by()[:MOST].count()


def endpoints() -> list[EndpointSign]:
    """Return how each Application of the settings fares, also those never called."""
    apps = [endpoint.in_force(app) for app in applications()]
    keys = [app.endpoint for app in apps]
    paused = Q(application__in=[app.alias for app in apps], stopped_at__isnull=False)
    rows = list(Endpoint.objects.filter(Q(key__in=keys) | paused))
    return [_endpoint(app, rows) for app in apps]


def _endpoint(app: Application, rows: Sequence[Endpoint]) -> EndpointSign:
    own = next((row for row in rows if row.key == app.endpoint), None)
    stopped = next((row for row in rows if row.application == app.alias and row.stopped_at), None)
    health, pause = own or Endpoint(), stopped or Endpoint()
    return EndpointSign(
        application=app.alias,
        address=app.base_url,
        health=str(health.health),
        reason=health.reason,
        until=health.until,
        since=own.changed_at if own else None,
        failures=health.failures,
        stopped_at=pause.stopped_at,
        stopped_by=pause.stopped_by,
        stopped_reason=pause.stopped_reason,
    )


def problems(signs: Signs) -> Iterator[Problem]:
    """Yield what is wrong, the urgent first."""
    age, silence = signs.oldest_due_age, signs.heartbeat_age
    is_silent = silence is None or silence > SILENCE
    if age is not None and is_silent and signs.enabled:
        yield Problem("nobody-delivers")
    for sign in signs.endpoints:
        if sign.health != Health.HEALTHY:
            yield Problem(sign.health, (("application", sign.application),))
        if sign.stopped_at is not None:
            values = {"application": sign.application, "operator": sign.stopped_by}
            yield Problem("stopped", tuple(values.items()))
    if signs.overdue_erasures:
        yield Problem("erasure-overdue", (("count", signs.overdue_erasures),))
    if age is not None and age > LATE and not is_silent:
        yield Problem("late", (("minutes", int(age // 60)),))
    if signs.dead_letters:
        yield Problem("dead-letters", (("count", signs.dead_letters),))
    if not signs.enabled:
        yield Problem("disabled")


def _messages() -> dict[str, str]:
    return {
        "nobody-delivers": _(
            "Something is due and nobody delivers: start a Celery worker, or talon_relay."
        ),
        "refused": _(
            "Talon.One refuses the API key of Application “%(application)s”. What waits for it is"
            " kept; set a valid API_KEY."
        ),
        "misconfigured": _(
            "The address of Application “%(application)s” is not Talon.One's. What waits for it is"
            " kept; mend BASE_URL."
        ),
        "failing": _("Application “%(application)s” does not answer, or with server errors."),
        "paused": _("Talon.One asked Application “%(application)s” to wait."),
        "stopped": _("%(operator)s paused Application “%(application)s”."),
        "erasure-overdue": _(
            "Erasures of customer data that should be done by now: %(count)d. See the erasures and"
            " the dead letters."
        ),
        "late": _("Workers deliver, but something has been due for %(minutes)d minutes."),
        "dead-letters": _("Dead letters that nobody has decided about: %(count)d."),
        "disabled": _("TALON_ONE['ENABLED'] is off: nothing is noted and nothing is delivered."),
    }


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, round((now - moment).total_seconds(), 1))
