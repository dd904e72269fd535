"""``manage.py talon_status``: what waits, what failed, and whether anybody delivers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from django_talon.management.base import TalonCommand
from django_talon.outbox import traffic, vital_signs
from django_talon.outbox.health import figures
from django_talon.outbox.traffic import Traffic
from django_talon.outbox.vital_signs import EndpointSign, Problem, Signs


class Command(TalonCommand):
    """Prints the state of the outbox."""

    help = (
        "Show what waits, what failed, whether anybody delivers, and how the calls of the last 24"
        " hours ended. Ends with 1 if something is due and nobody delivers, if an endpoint is"
        " not healthy, if there are dead letters, or if an erasure is overdue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, for monitoring")

    def handle(self, *args: Any, **options: Any) -> None:
        signs = vital_signs.read()
        problems = list(vital_signs.problems(signs))
        if options["json"]:
            found = figures(signs, problems)
            self.stdout.write(json.dumps(found, indent=2, cls=DjangoJSONEncoder))
        else:
            for line in _lines(signs, traffic.traffic(signs.at)):
                self.stdout.write(line)
        self._judge(problems)

    def _judge(self, problems: list[Problem]) -> None:
        """Say what is wrong; switched off on purpose is no failure."""
        wrong = [problem.message for problem in problems if problem.code != "disabled"]
        for problem in problems:
            if problem.code == "disabled":
                self.stderr.write(problem.message)
        if wrong:
            raise CommandError(" ".join(wrong))


def _lines(signs: Signs, calls: Traffic) -> Iterator[str]:
    yield f"waiting            {_capped(signs.waiting)}"
    yield f"oldest that is due {_seconds(signs.oldest_due_age, 'nothing is due')}"
    yield f"dead letters       {_capped(signs.dead_letters)}"
    yield f"overdue erasures   {_capped(signs.overdue_erasures)}"
    yield f"last sign of life  {_seconds(signs.heartbeat_age, 'never')}"
    for endpoint in signs.endpoints:
        yield f"{endpoint.application:<18} {endpoint.address} {_health(endpoint)}"
    yield "in 24 hours        " + ", ".join(_calls(calls))
    for outcome in calls.outcomes:
        status = f" {outcome.status}" if outcome.status else ""
        yield f"                   {outcome.count} {outcome.name}{status}"


def _health(endpoint: EndpointSign) -> str:
    stopped = f"paused by {endpoint.stopped_by}" if endpoint.stopped_at else ""
    return " ".join(filter(None, [endpoint.health, endpoint.reason, stopped]))


def _calls(calls: Traffic) -> Iterator[str]:
    yield f"{calls.delivered} delivered, {calls.failed} failed"
    yield f"{calls.ambiguous} ambiguous, {calls.conflicts} conflicts"
    if calls.p95 is not None:
        yield f"p95 {calls.p95} ms"


def _capped(count: int) -> str:
    most = vital_signs.MOST
    return f"more than {most - 1}" if count >= most else str(count)


def _seconds(age: float | None, otherwise: str) -> str:
    return otherwise if age is None else f"{age:.0f} s ago"
