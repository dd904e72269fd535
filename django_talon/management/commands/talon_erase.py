"""``manage.py talon_erase``: erase customers at Talon.One."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_talon import privacy
from django_talon.management.commands import _customers
from django_talon.shop.snapshots import SnapshotError


class Command(BaseCommand):
    """Requests the erasure of customers, after asking."""

    help = (
        "Erase customers at Talon.One: open sessions are cancelled, attributes are deleted in all"
        " Applications of each environment, and the customers stay erased until that is lifted."
        " The workers carry it out; the admin shows the proof. Nobody can bring the data back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "customers", nargs="+", metavar="CUSTOMER", help="primary key of a customer"
        )
        parser.add_argument("--reason", default="", help="kept with the erasure")
        parser.add_argument(
            "--model", default="", metavar="APP.MODEL", help="where there are several of customers"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        customers = _customers.find(options["customers"], options["model"])
        places = ", ".join(app.environment for app in privacy.environments())
        if not places:
            raise CommandError("TALON_ONE names no Application to erase data in.")
        if not options["yes"]:
            self._ask(len(customers), places)
        self._erase(customers, options["reason"])

    def _ask(self, count: int, places: str) -> None:
        try:
            answer = input(f"Erase {count} customer(s) at Talon.One ({places})? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was erased.")

    def _erase(self, customers: list[Any], reason: str) -> None:
        try:
            for customer in customers:
                privacy.profile_id_of(customer)
        except SnapshotError as error:
            raise CommandError(f"Nothing was erased. {error}") from None
        for customer in customers:
            for erasure in privacy.erase(customer, operator="manage.py talon_erase", reason=reason):
                self.stdout.write(
                    f"{customer.pk} at {erasure.environment}: {erasure.get_status_display()}"
                )
