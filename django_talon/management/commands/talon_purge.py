from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from django_talon.management.base import TalonCommand
from django_talon.outbox.purge import purge


class Command(TalonCommand):
    help = (
        "Delete old records: the delivery log, dead letters, idle lanes, and what old sessions"
        " hold of people. What waits for Talon.One and erasures are never touched. Beat runs the"
        " same once a day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=float, help="older than this (default: TALON_ONE['RETENTION_DAYS'])"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        counts = purge(options["days"])
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
