"""``manage.py talon_export``: what Talon.One and this shop know of customers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

from django.core.management.base import CommandError, CommandParser

from django_talon import privacy
from django_talon.client import TalonError
from django_talon.management.base import TalonCommand
from django_talon.management.commands import _customers
from django_talon.shop.snapshots import SnapshotError


class Command(TalonCommand):
    """Prints or writes the inventory of customers."""

    help = (
        "Write what is known of customers: what Talon.One has (profile, referrals, coupons,"
        " loyalty, giveaways and achievements, for each environment) and what this shop holds"
        " beside it. One customer is JSON, several are a ZIP. This is personal data."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        _customers.add_arguments(parser)
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="a new file, readable by you only (default: stdout); .zip for several customers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        customers = _customers.named(options)
        path = options["output"]
        if not path and len(customers) > 1:
            raise CommandError("Several customers are a ZIP: name it with --output.")
        texts = map(partial(self._text, _customers.operator(options)), customers)
        if not path:
            self.stdout.write(next(texts))
            return
        is_zip = len(customers) > 1 or path.endswith(".zip")
        _write(path, customers, texts, is_zip)
        unit = "file in a ZIP" if is_zip else "file"
        self.stderr.write(f"{len(customers)} customer(s), each a {unit}: {path}")

    def _text(self, operator: str, customer: Any) -> str:
        try:
            found = privacy.inventory(customer, operator=operator)
        except SnapshotError as error:
            raise CommandError(str(error)) from None
        except TalonError as error:
            told = privacy.told(error)
            raise CommandError(f"Talon.One did not give the inventory ({told}).") from None
        for environment, why in found["unanswered"].items():
            self.stderr.write(f"Not complete: no answer came from {environment} ({why}).")
        return json.dumps(found, indent=2, ensure_ascii=False)


def _write(path: str, customers: list[Any], texts: Iterator[str], is_zip: bool) -> None:
    """Write a new file; none is left behind if something goes wrong."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
    try:
        with open(number, "wb") as file:
            if is_zip:
                _pack(file, customers, texts)
            else:
                file.write(next(texts).encode() + b"\n")
    except BaseException:
        os.unlink(path)
        raise


def _pack(file: BinaryIO, customers: list[Any], texts: Iterator[str]) -> None:
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for number, (customer, text) in enumerate(zip(customers, texts, strict=True), start=1):
            archive.writestr(privacy.file_name(customer), text)
            if sys.stderr.isatty():
                print(f"\r{number} of {len(customers)}", end="", file=sys.stderr)
