"""``manage.py talon_export``: what Talon.One knows of a customer, as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_talon import privacy
from django_talon.client import TalonError
from django_talon.management.commands import _customers
from django_talon.shop.snapshots import SnapshotError


class Command(BaseCommand):
    """Prints or writes the inventory of one customer."""

    help = (
        "Write what Talon.One knows of a customer as JSON: profile, referrals, coupons, loyalty,"
        " giveaways and achievements, for each environment. This is personal data."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("customer", metavar="CUSTOMER", help="primary key of the customer")
        parser.add_argument(
            "--output", metavar="FILE", help="a new file, readable by you only (default: stdout)"
        )
        parser.add_argument(
            "--model", default="", metavar="APP.MODEL", help="where there are several of customers"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        [customer] = _customers.find([options["customer"]], options["model"])
        text = json.dumps(_inventory(customer), indent=2, ensure_ascii=False)
        if options["output"]:
            _write(options["output"], text)
        else:
            self.stdout.write(text)


def _inventory(customer: Any) -> dict[str, Any]:
    try:
        return privacy.inventory(customer)
    except SnapshotError as error:
        raise CommandError(str(error)) from None
    except TalonError as error:
        told = f"{type(error).__name__} {error.status or ''}".strip()
        raise CommandError(f"Talon.One did not give the inventory ({told}).") from None


def _write(path: str, text: str) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
    with open(number, "w", encoding="utf-8") as file:
        file.write(text + "\n")
