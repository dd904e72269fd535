"""``manage.py talon_sandbox``: the local sandbox of Talon.One."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_talon.sandbox.__main__ import add_arguments, main


class Command(BaseCommand):
    """Runs the sandbox until Ctrl-C."""

    help = (
        "Run a local sandbox of Talon.One's Integration API: the same as"
        " `python -m django_talon.sandbox`. Every API key sbx-<name> opens a world of its own."
    )
    # The sandbox needs nothing of this project, so nothing of it has to be right.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("host", "port", "seed", "ready_file")
        chosen = [(name, options[name]) for name in names if options[name] is not None]
        arguments = [part for name, value in chosen for part in (_flag(name), str(value))]
        code = main([*arguments, *(["--loose"] if options["loose"] else [])])
        if code:
            sys.exit(code)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
