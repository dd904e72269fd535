"""The health of each endpoint, shared by all workers, and the clients that call it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import connections
from django.db.models import F
from django.utils import timezone

from django_talon.client import IntegrationClient, TalonAuthError
from django_talon.conf import Application, applications, conf
from django_talon.models import Endpoint, OutboxRow
from django_talon.models.outbox import Health, Kind
from django_talon.outbox import clock, transactions
from django_talon.outbox.backoff import BREAKER, Verdict, breaker_delay

#: Seconds beside the call's own time after which a probe is taken for lost.
PROBE_MARGIN = 5.0
#: Seconds after which a worker looks again whether an operator's pause has ended.
PAUSE = 60.0

logger = logging.getLogger("django_talon")

_clients: dict[tuple[str, str, tuple[float, float], float], IntegrationClient] = {}


def client(app: Application) -> IntegrationClient:
    """Return this process's client of an Application; a changed key gets a new one."""
    timeout = (float(conf.TIMEOUT[0]), float(conf.TIMEOUT[1]))
    name = (app.endpoint, app.dialect, timeout, float(conf.DEADLINE))
    if name not in _clients:
        _clients[name] = IntegrationClient(
            app.base_url,
            api_key=app.api_key,
            dialect=app.dialect,
            timeout=timeout,
            deadline=name[3],
        )
    return _clients[name]


def row_of(app: Application) -> Endpoint | None:
    """Return the health of an Application's endpoint; ``None`` while it never failed."""
    return Endpoint.objects.filter(key=app.endpoint).first()


def is_stopped(app: Application) -> bool:
    """Return whether an operator paused the Application, with this key or one before it."""
    return Endpoint.objects.filter(application=app.alias).exclude(stopped_at=None).exists()


def in_force(app: Application) -> Application:
    """Return the Application with the first of its keys that Talon.One has not refused."""
    if not app.other_keys:
        return app
    found = by_key(app)
    names = [one.endpoint for one in found]
    rows = Endpoint.objects.filter(health=Health.REFUSED, key__in=names)
    refused = set(rows.values_list("key", flat=True))
    return next((one for one in found if one.endpoint not in refused), found[0])


def by_key(app: Application) -> list[Application]:
    """Return the Application once with each of its keys, in their order."""
    keys = (app.api_key, *app.other_keys)
    return [replace(app, api_key=key, other_keys=()) for key in keys]


def fall_over(app: Application, refused: Application, error: TalonAuthError) -> Application:
    """Note that a key was refused, and return the Application with the one after it.

    Raises the error again if it was the last.
    """
    found = by_key(app)
    place = found.index(refused) + 1
    if place == len(found):
        raise error
    _make_row(refused)
    _rest(refused, Health.REFUSED, 0.0, error)
    logger.error(
        "Talon.One refuses an API key of %r; the next one is tried. Take the refused key out of"
        " the settings.",
        app.alias,
    )
    return found[place]


def is_usable(app: Application) -> bool:
    """Return whether a call is worth a shopper's time."""
    own = in_force(app).endpoint
    rows = list(Endpoint.objects.filter(application=app.alias))
    return not any(_is_resting(row, own) for row in rows)


def _is_resting(row: Endpoint, own: str) -> bool:
    """Whether a row keeps its Application from being called; ``own`` is the key in force."""
    return row.stopped_at is not None or (row.key == own and row.health != Health.HEALTHY)


@dataclass
class Standing:
    """Which Applications may be called now, as one worker sees it."""

    usable: list[str] = field(default_factory=list)
    #: Alias -> until when it may not be called.
    resting: dict[str, datetime] = field(default_factory=dict)
    #: Key of an endpoint -> until when the right to probe it is this worker's.
    probes: dict[str, datetime] = field(default_factory=dict)
    #: No endpoint has failed of late, so a success is no news.
    is_sound: bool = False
    #: Whether dead letters wait that a success could take back.
    has_letters: bool = True


def sound() -> Standing:
    """Return the standing while no endpoint has failed of late: all may be called."""
    return Standing(usable=[app.alias for app in applications()], is_sound=True)


def look(aliases: Collection[str], now: datetime) -> Standing:
    """Return which of the aliases may be called.

    Of an endpoint whose time has come, one worker gets the right to probe it.
    """
    found = Standing()
    for app in applications():
        if app.alias not in aliases and "" not in aliases:
            continue
        own = in_force(app).endpoint
        rows = list(Endpoint.objects.filter(application=app.alias))
        row = next((one for one in rows if one.key == own), None)
        if any(one.stopped_at is not None for one in rows):
            found.resting[app.alias] = now + timedelta(seconds=PAUSE)
        elif row is None or row.health == Health.HEALTHY:
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


def succeeded(app: Application, began: datetime) -> None:
    """Note an answer: the endpoint is healthy, and what waited for it is due again.

    A call that began before Talon.One asked for a pause says nothing of its end.
    """
    row = row_of(app)
    if row is None or (row.health == Health.HEALTHY and not row.failures):
        return
    if _is_older(row, began):
        return
    Endpoint.objects.filter(key=row.key).update(
        health=Health.HEALTHY, failures=0, until=None, reason="", changed_at=timezone.now()
    )
    if row.until is not None:
        OutboxRow.objects.filter(due_at=row.until).update(due_at=clock.now())


def _is_older(row: Endpoint, began: datetime) -> bool:
    """Whether a call began before the pause in which the endpoint is."""
    return row.health == Health.PAUSED and began < row.changed_at


def note(
    app: Application, verdict: Verdict, error: Exception, began: datetime | None = None
) -> None:
    """Note what an error says of the endpoint; a refusal of one row is an answer, too.

    ``began`` is when the call began, by default now.
    """
    app, began = in_force(app), began or timezone.now()
    row = row_of(app)
    if row is not None and _is_older(row, began):
        if verdict.health == Health.PAUSED:
            _lengthen(row, verdict.endpoint_delay)
    elif verdict.health is not None or verdict.suspicious:
        _failed(app, verdict, error)
    elif getattr(error, "status", None):
        succeeded(app, began)


def _lengthen(row: Endpoint, delay: float) -> None:
    """Let a pause end later, if another answer asks for that; never sooner."""
    until = clock.now() + timedelta(seconds=delay)
    longer = Endpoint.objects.filter(key=row.key, until__lt=until)
    if row.until is not None and longer.update(until=until):
        OutboxRow.objects.filter(due_at=row.until).update(due_at=until)


def _failed(app: Application, verdict: Verdict, error: Exception) -> None:
    _make_row(app)
    rows = Endpoint.objects.filter(key=app.endpoint)
    rows.update(failures=F("failures") + 1)
    failures = rows.values_list("failures", flat=True).first() or 1
    if verdict.health is not None:
        _rest(app, verdict.health, verdict.endpoint_delay, error)
    elif failures >= BREAKER:
        _rest(app, Health.FAILING, breaker_delay(failures), error)


def _make_row(app: Application) -> None:
    row = Endpoint(key=app.endpoint, application=app.alias, base_url=app.base_url)
    Endpoint.objects.bulk_create([row], ignore_conflicts=True)


def _rest(app: Application, health: Health, delay: float, error: Exception) -> None:
    rows = Endpoint.objects.filter(key=app.endpoint)
    before = rows.values_list("until", flat=True).first()
    until = clock.now() + timedelta(seconds=delay)
    rows.exclude(health=health).update(changed_at=timezone.now())
    rows.update(health=health, until=until, reason=type(error).__name__)
    if before is not None:
        # Rows that were put behind the probe follow its outcome.
        OutboxRow.objects.filter(due_at=before).update(due_at=until)


def pause(app: Application, operator: str, reason: str) -> bool:
    """Stop all calls to an Application until `resume`; ``False`` if they were stopped already.

    Calls under way end as they do. What is marked meanwhile waits.
    """
    if is_stopped(app):
        return False
    _make_row(app)
    changes = {"stopped_by": operator[:190], "stopped_reason": reason[:255]}
    stopped = Endpoint.objects.filter(key=app.endpoint, stopped_at=None)
    return bool(stopped.update(stopped_at=timezone.now(), **changes))


def resume(app: Application) -> bool:
    """End an operator's pause; ``False`` if there was none. What waited for it is due again."""
    rows = Endpoint.objects.filter(application=app.alias).exclude(stopped_at=None)
    if not rows.update(stopped_at=None, stopped_by="", stopped_reason=""):
        return False
    now = clock.now()
    waiting = OutboxRow.objects.filter(application__in=["", app.alias], due_at__gt=now)
    # The second sweep of an erasure has to keep its distance from the first.
    waiting = waiting.exclude(kind=Kind.ERASE)
    waiting.filter(due_at__lte=now + timedelta(seconds=PAUSE)).update(due_at=now)
    transactions.ring_after_commit(connections[clock.outbox_alias()])
    return True


def put_behind(alias: str, lanes: Sequence[str], until: datetime) -> None:
    """Move the rows of lanes whose endpoint rests behind its next try.

    If the endpoint recovered while this ran, the rows are brought back.
    """
    OutboxRow.objects.filter(lane__in=lanes, due_at__lt=until).update(due_at=until)
    if any(app.alias == alias and is_usable(app) for app in applications()):
        OutboxRow.objects.filter(due_at=until).update(due_at=clock.now())
