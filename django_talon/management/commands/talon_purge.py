from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_talon.outbox.purge import purge


class Command(BaseCommand):
    help = (
        "Delete old records: the delivery log, dead letters that were replayed, and idle lanes."
        " What waits for Talon.One is never touched. Beat runs the same once a day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=float, help="older than this (default: TALON_ONE['RETENTION_DAYS'])"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        counts = purge(options["days"])
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
