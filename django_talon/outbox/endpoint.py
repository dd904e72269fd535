"""The health of each endpoint, shared by all workers, and the clients that call it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from django_talon.client import IntegrationClient
from django_talon.conf import Application, applications, conf
from django_talon.models import Endpoint, OutboxRow
from django_talon.models.outbox import Health
from django_talon.outbox import clock
from django_talon.outbox.backoff import BREAKER, Verdict, breaker_delay

#: Seconds beside the call's own time after which a probe is taken for lost.
PROBE_MARGIN = 5.0

_clients: dict[tuple[str, tuple[float, float], float], IntegrationClient] = {}


def client(app: Application) -> IntegrationClient:
    """Return this process's client of an Application; a changed key gets a new one."""
    timeout = (float(conf.TIMEOUT[0]), float(conf.TIMEOUT[1]))
    name = (app.endpoint, timeout, float(conf.DEADLINE))
    if name not in _clients:
        _clients[name] = IntegrationClient(
            app.base_url, api_key=app.api_key, timeout=timeout, deadline=name[2]
        )
    return _clients[name]


def row_of(app: Application) -> Endpoint | None:
    """Return the health of an Application's endpoint; ``None`` while it never failed."""
    return Endpoint.objects.filter(key=app.endpoint).first()


def is_usable(app: Application) -> bool:
    """Return whether a call is worth a shopper's time."""
    row = row_of(app)
    return row is None or row.health == Health.HEALTHY


@dataclass
class Standing:
    """Which Applications may be called now, as one worker sees it."""

    usable: list[str] = field(default_factory=list)
    #: Alias -> until when it may not be called.
    resting: dict[str, datetime] = field(default_factory=dict)
    #: Key of an endpoint -> until when the right to probe it is this worker's.
    probes: dict[str, datetime] = field(default_factory=dict)


def look(aliases: Collection[str], now: datetime) -> Standing:
    """Return which of the aliases may be called.

    Of an endpoint whose time has come, one worker gets the right to probe it.
    """
    found = Standing()
    for app in applications():
        if app.alias not in aliases and "" not in aliases:
            continue
        row = row_of(app)
        if row is None or row.health == Health.HEALTHY:
            found.usable.append(app.alias)
        elif (until := _win_probe(row, now)) is not None:
            found.usable.append(app.alias)
            found.probes[row.key] = until
        else:
            found.resting[app.alias] = _next_try(row, now)
    return found


def _win_probe(row: Endpoint, now: datetime) -> datetime | None:
    if row.until is None or row.until > now:
        return None
    until = now + timedelta(seconds=conf.DEADLINE + PROBE_MARGIN)
    won = Endpoint.objects.filter(key=row.key, until=row.until).update(until=until)
    return until if won else None


def give_back(probes: Mapping[str, datetime]) -> None:
    """Give back the right to probe where no call was made: the lane had nothing to send."""
    for key, until in probes.items():
        now = clock.now()
        if Endpoint.objects.filter(key=key, until=until).update(until=now):
            OutboxRow.objects.filter(due_at=until).update(due_at=now)


def _next_try(row: Endpoint, now: datetime) -> datetime:
    soon = now + timedelta(seconds=5)
    return row.until if row.until and row.until > now else soon


def succeeded(app: Application) -> None:
    """Note an answer: the endpoint is healthy, and what waited for it is due again."""
    row = row_of(app)
    if row is None or (row.health == Health.HEALTHY and not row.failures):
        return
    Endpoint.objects.filter(key=row.key).update(
        health=Health.HEALTHY, failures=0, until=None, reason="", changed_at=timezone.now()
    )
    if row.until is not None:
        OutboxRow.objects.filter(due_at=row.until).update(due_at=clock.now())


def note(app: Application, verdict: Verdict, error: Exception) -> None:
    """Note what an error says of the endpoint; a refusal of one row is an answer, too."""
    if verdict.health is not None or verdict.suspicious:
        _failed(app, verdict, error)
    elif getattr(error, "status", None):
        succeeded(app)


def _failed(app: Application, verdict: Verdict, error: Exception) -> None:
    Endpoint.objects.bulk_create([_fresh(app)], ignore_conflicts=True)
    rows = Endpoint.objects.filter(key=app.endpoint)
    rows.update(failures=F("failures") + 1)
    failures = rows.values_list("failures", flat=True).first() or 1
    if verdict.health is not None:
        _rest(app, verdict.health, verdict.endpoint_delay, error)
    elif failures >= BREAKER:
        _rest(app, Health.FAILING, breaker_delay(failures), error)


def _fresh(app: Application) -> Endpoint:
    return Endpoint(key=app.endpoint, application=app.alias, base_url=app.base_url)


def _rest(app: Application, health: Health, delay: float, error: Exception) -> None:
    rows = Endpoint.objects.filter(key=app.endpoint)
    before = rows.values_list("until", flat=True).first()
    until = clock.now() + timedelta(seconds=delay)
    rows.exclude(health=health).update(changed_at=timezone.now())
    rows.update(health=health, until=until, reason=type(error).__name__)
    if before is not None:
        # Rows that were put behind the probe follow its outcome.
        OutboxRow.objects.filter(due_at=before).update(due_at=until)


def put_behind(alias: str, lanes: Sequence[str], until: datetime) -> None:
    """Move the rows of lanes whose endpoint rests behind its next try.

    If the endpoint recovered while this ran, the rows are brought back.
    """
    OutboxRow.objects.filter(lane__in=lanes, due_at__lt=until).update(due_at=until)
    if any(app.alias == alias and is_usable(app) for app in applications()):
        OutboxRow.objects.filter(due_at=until).update(due_at=clock.now())
