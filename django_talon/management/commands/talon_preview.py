"""``manage.py talon_preview``: what would be sent of a cart, an order or a customer."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from django_talon.client import TalonError, encode
from django_talon.conf import TalonConfigurationError
from django_talon.management.base import TalonCommand
from django_talon.outbox.connection import explain
from django_talon.outbox.preview import NothingToAsk, Preview, dry_run, preview
from django_talon.shop.registry import adapters
from django_talon.shop.snapshots import SnapshotError

ROLES = ("cart", "order", "customer")


class Command(TalonCommand):
    """Prints a request that is not sent."""

    help = (
        "Show what would be sent of a cart, an order or a customer now, without sending it. The"
        " output may hold personal data. With --dry-run Talon.One is asked what it would answer;"
        " it stores nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help='such as "shop.cart"')
        parser.add_argument("pk", help="primary key of the row")
        parser.add_argument(
            "--dry-run", action="store_true", help="ask Talon.One with dry=true, print the effects"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = key_of(options["model"], options["pk"])
        try:
            if options["dry_run"]:
                self._ask(key)
            else:
                self._show(preview(key))
        except TalonError as error:
            raise CommandError(explain(error)) from None
        except (NothingToAsk, SnapshotError, TalonConfigurationError) as error:
            raise CommandError(str(error)) from None

    def _show(self, found: Preview) -> None:
        if found.note:
            self.stderr.write(found.note)
        if found.body is not None:
            self.stderr.write(f"{found.operation} {found.integration_id} ({found.application})")
            self.stdout.write(readable(dict(found.body)))

    def _ask(self, key: str) -> None:
        found = dry_run(key)
        answer = found.answer
        self.stderr.write(
            f"subtotal {answer.subtotal}, additional costs {answer.additional_costs},"
            f" discount {answer.discount}, total {answer.total} {answer.currency}"
        )
        self.stdout.write(readable(list(found.effects)))


def key_of(label: str, pk: str) -> str:
    """Return the aggregate key of a row. Raises `CommandError` if no adapter names its model."""
    for adapter in adapters():
        for role in ROLES:
            if adapter.label(role) == label.lower():
                return adapter.key(role, pk)
    known = sorted({adapter.label(role) for adapter in adapters() for role in ROLES} - {""})
    raise CommandError(f"No adapter names {label!r}. There are: {', '.join(known)}.")


def readable(value: Any) -> str:
    """Return JSON with exact amounts, one entry a line."""
    return msgspec.json.format(encode(value), indent=2).decode()
