"""What our commands share."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from django_talon.outbox.transactions import committed_at_once


class TalonCommand(BaseCommand):
    """A command whose work is committed, whatever ``AUTOCOMMIT`` says."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        with committed_at_once():
            return super().execute(*args, **options)
