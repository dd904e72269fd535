"""``manage.py talon_check``: what is wrong, why it matters, what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_talon.doctor import Examination, Finding, Level, examine
from django_talon.management.base import TalonCommand

_ORDER = [Level.ERROR, Level.WARNING, Level.INFO]


class Command(TalonCommand):
    """Examines settings, database, broker, workers and Talon.One."""

    help = (
        "Examine the settings, the adapters, the database, the broker, the workers and Talon.One"
        " itself. Every finding has a stable id and says what is wrong, why it matters and what"
        " to do. Asks each application two questions that change nothing. Ends with 1 if there"
        " is an error, or with --fail-level warning a warning."
    )
    # It says itself what the system checks found, together with the rest.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, for monitoring")
        parser.add_argument(
            "--offline", action="store_true", help="ask neither the broker nor Talon.One"
        )
        parser.add_argument(
            "--fail-level",
            choices=[Level.ERROR.value, Level.WARNING.value],
            default=Level.ERROR.value,
            help="the level from which on the command ends with 1 (default: error)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found: list[Finding] = []
        for examination, findings in examine(live=not options["offline"]):
            found += findings
            if not options["json"]:
                self._tell(examination, findings)
        if options["json"]:
            listed = [finding.as_dict() for finding in found]
            self.stdout.write(json.dumps({"findings": listed}, indent=2))
        bad = [one for one in found if _ORDER.index(one.level) <= _limit(options["fail_level"])]
        if bad:
            raise CommandError(f"{len(bad)} of {len(found)} findings need somebody.")

    def _tell(self, examination: Examination, findings: list[Finding]) -> None:
        if not findings:
            self.stdout.write(f"{self.style.SUCCESS('ok')}       {examination.title}")
        for finding in sorted(findings, key=lambda one: _ORDER.index(one.level)):
            paint = self.style.ERROR if finding.level is Level.ERROR else self.style.WARNING
            self.stdout.write(f"{paint(f'{finding.level.value:<8}')} {finding.what}")
            for line in _lines(finding):
                self.stdout.write(f"         {line}")


def _limit(level: str) -> int:
    return _ORDER.index(Level(level))


def _lines(finding: Finding) -> Iterator[str]:
    if finding.why:
        yield f"why  {finding.why}"
    if finding.do:
        yield f"do   {finding.do}"
    yield f"see  {finding.anchor} ({finding.id})" if finding.anchor else f"id   {finding.id}"
