"""``manage.py talon_status``: what waits, what failed, and whether anybody delivers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max, QuerySet

from django_talon.conf import Application, applications, conf
from django_talon.models import DeadLetter, Endpoint, Heartbeat, OutboxRow
from django_talon.models.outbox import Health
from django_talon.outbox import clock

#: Counting stops here: more than this many is all one needs to know.
MOST = 10_001
#: Seconds without a sign of life after which nobody is taken to deliver.
SILENCE = 60.0


class Command(BaseCommand):
    """Prints the state of the outbox."""

    help = (
        "Show what waits, what failed, and whether anybody delivers. Ends with 1 if something is"
        " due and nobody delivers, if an endpoint is not healthy, or if there are dead letters."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, for monitoring")

    def handle(self, *args: Any, **options: Any) -> None:
        found = status()
        problems = found["problems"] = list(_problems(found))
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            for line in _lines(found):
                self.stdout.write(line)
        if problems:
            raise CommandError(" ".join(problems))


def status() -> dict[str, Any]:
    """Return what `talon_status --json` prints. Ages are in seconds."""
    now = clock.now()
    due = OutboxRow.objects.filter(due_at__lte=now).order_by("due_at", "id")
    return {
        "enabled": conf.ENABLED,
        "waiting": _count(OutboxRow.objects.all()),
        "oldest_due_age": _age(due.values_list("due_at", flat=True).first(), now),
        "dead_letters": _count(DeadLetter.objects.filter(replayed_at=None)),
        "heartbeat_age": _age(Heartbeat.objects.aggregate(last=Max("beat_at"))["last"], now),
        "endpoints": [_endpoint(app) for app in applications()],
    }


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[:MOST].count()


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, round((now - moment).total_seconds(), 1))


def _endpoint(app: Application) -> dict[str, str]:
    row = Endpoint.objects.filter(key=app.endpoint).first()
    return {
        "application": app.alias,
        "address": app.base_url,
        "health": row.health if row else Health.HEALTHY.value,
        "reason": row.reason if row else "",
    }


def _problems(found: dict[str, Any]) -> Iterator[str]:
    silence = found["heartbeat_age"]
    if found["oldest_due_age"] is not None and (silence is None or silence > SILENCE):
        yield "Something is due and nobody delivers: start a Celery worker, or talon_relay."
    for endpoint in found["endpoints"]:
        if endpoint["health"] != Health.HEALTHY:
            yield f"The endpoint of {endpoint['application']!r} is {endpoint['health']}."
    if found["dead_letters"]:
        yield "There are dead letters: see the admin, then talon_retry."


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"waiting            {_capped(found['waiting'])}"
    yield f"oldest that is due {_seconds(found['oldest_due_age'], 'nothing is due')}"
    yield f"dead letters       {_capped(found['dead_letters'])}"
    yield f"last sign of life  {_seconds(found['heartbeat_age'], 'never')}"
    for endpoint in found["endpoints"]:
        health = " ".join(filter(None, [endpoint["health"], endpoint["reason"]]))
        yield f"{endpoint['application']:<18} {endpoint['address']} {health}"
    if not found["enabled"]:
        yield "TALON_ONE['ENABLED'] is off: nothing is noted and nothing is delivered."


def _capped(count: int) -> str:
    return f"more than {MOST - 1}" if count >= MOST else str(count)


def _seconds(age: float | None, otherwise: str) -> str:
    return otherwise if age is None else f"{age:.0f} s ago"
