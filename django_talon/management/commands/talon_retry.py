"""``manage.py talon_retry``: send dead letters again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_talon.management.base import TalonCommand
from django_talon.models import DeadLetter
from django_talon.outbox.replay import replay


class Command(TalonCommand):
    """Puts dead letters back into the outbox."""

    help = (
        "Put dead letters back into the outbox, once what made them fail is repaired. The workers"
        " deliver them; what was replayed before is left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("ids", nargs="*", type=int, default=[], metavar="ID", help="which ones")
        chosen.add_argument("--all", action="store_true", help="all that were not replayed yet")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = set(options["ids"])
        letters = DeadLetter.objects.order_by("pk")
        chosen = list(letters.waiting() if options["all"] else letters.filter(pk__in=ids))
        unknown = ids - {letter.pk for letter in chosen}
        if unknown:
            missing = ", ".join(map(str, sorted(unknown)))
            raise CommandError(f"Nothing was replayed: there is no dead letter {missing}.")
        count = replay(chosen)
        self.stdout.write(f"In the outbox again: {count}. Left as they are: {len(chosen) - count}.")
