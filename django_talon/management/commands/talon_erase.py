"""``manage.py talon_erase``: erase customers at Talon.One."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_talon import privacy
from django_talon.conf import TalonConfigurationError, conf
from django_talon.management.base import TalonCommand
from django_talon.management.commands import _customers
from django_talon.shop.snapshots import SnapshotError


class Command(TalonCommand):
    """Requests the erasure of customers, after asking."""

    help = (
        "Erase customers at Talon.One: open sessions are cancelled, attributes are deleted in all"
        " Applications of each environment, and the customers stay erased until that is lifted."
        " The workers carry it out; the admin shows the proof. Nobody can bring the data back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        _customers.add_arguments(parser)
        parser.add_argument("--reason", default="", help="kept with the erasure")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be erased, and erase nothing"
        )
        parser.add_argument(
            "--replay",
            action="store_true",
            help="after a database restore: erase again those of TALON_ONE['ERASURE_LOG'] whom"
            " the database has forgotten",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            places = ", ".join(privacy.places())
        except TalonConfigurationError as error:
            raise CommandError(f"Nothing was erased. {error}") from None
        if options["replay"]:
            self._replay(places, options)
        else:
            self._erase(_customers.named(options), places, options)

    def _ask(self, count: int, places: str, options: dict[str, Any]) -> None:
        if options["yes"]:
            return
        try:
            answer = input(f"Erase {count} customer(s) at Talon.One ({places})? [y/N] ")
        except (EOFError, OSError):
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was erased.")

    def _erase(self, customers: list[Any], places: str, options: dict[str, Any]) -> None:
        try:
            people = privacy.people_of(customers)
        except SnapshotError as error:
            raise CommandError(f"Nothing was erased. {error}") from None
        if options["dry_run"]:
            self.stdout.write(f"Would erase {len(people)} customer(s) at {places}:")
            for person in people:
                self.stdout.write(person.profile_id)
            return
        self._ask(len(people), places, options)
        operator = _customers.operator(options)
        outcome = privacy.erase_all(people, operator=operator, reason=options["reason"])
        self.stdout.write(
            f"Erasure of {outcome.requested} customer(s) requested at {places};"
            f" {outcome.left} left, for theirs is under way already."
        )

    def _replay(self, places: str, options: dict[str, Any]) -> None:
        path = str(conf.ERASURE_LOG)
        if not path:
            raise CommandError("TALON_ONE['ERASURE_LOG'] names no file to replay.")
        operator = _customers.operator(options)
        found = self._read(path, operator, dry_run=True)
        for number, complaint in found.bad:
            self.stderr.write(f"{path}, line {number}: {complaint}. It is skipped.")
        if found.forgotten and not options["dry_run"]:
            self._ask(len(found.forgotten), places, options)
            self._read(path, operator, dry_run=False)
        would = "would be erased" if options["dry_run"] else "erased"
        self.stdout.write(
            f"{len(found.forgotten)} customer(s) that the database had forgotten {would} again;"
            f" {found.known} left, for the database knows of them; {found.lifted} left, for they"
            f" were lifted; {found.elsewhere} left, for TALON_ONE names their environment no"
            f" more; {len(found.bad)} bad line(s) skipped."
        )

    def _read(self, path: str, operator: str, *, dry_run: bool) -> privacy.Replayed:
        try:
            return privacy.replay(path, operator=operator, dry_run=dry_run)
        except OSError as error:
            raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
