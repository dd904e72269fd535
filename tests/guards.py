"""What must never be seen or happen, and where the suite looks for it after every test.

Customers of the tests have canaries where real ones have personal data. No API key and no canary
may be in a log record, or in a row of ours or in its repr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connection, connections

from tests import emptying

#: Personal data of the customers and orders that `tests.helpers` makes.
MAIL, NAME, STREET = "@canary.example", "Canary-Lovelace", "1 Canary Way"
CANARIES = (MAIL, NAME, STREET)
#: Loggers that are listened to from DEBUG on; the others from what they are set to.
LOGGERS = ("django_talon", "celery")
#: Rows of each table that are looked at.
MOST = 100


def secrets() -> tuple[str, ...]:
    """Return the API keys in use, but for those that functions give."""
    found = settings.TALON_ONE
    named = [found, *found.get("APPLICATIONS", {}).values()]
    keys = [one.get("API_KEY") or "" for one in named]
    listed = [[each] if isinstance(each, str) else each for each in keys if not callable(each)]
    return tuple(key for each in listed for key in each)


def seen_in(text: str) -> list[str]:
    """Return the secrets and canaries that a text shows."""
    return [word for word in (*CANARIES, *secrets()) if word and word in text]


def is_in_transaction() -> bool:
    return any(each.in_atomic_block for each in connections.all(initialized_only=True))


class Guarded(AppConfig):
    """An app in the processes that tests start: what it prints is looked for at their end."""

    name = "tests"
    label = "guarded"
    SAYS = "GUARD: called inside a transaction"

    def ready(self) -> None:
        from django_talon.signals import pre_send

        pre_send.connect(self.look, weak=False)

    @staticmethod
    def look(operation: str, dry: bool, **_: object) -> None:
        if not dry and is_in_transaction():
            print(Guarded.SAYS, operation, file=sys.stderr, flush=True)


class Records(logging.Handler):
    """Formats every record, its traceback too, and keeps those that show something."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.formatter = logging.Formatter("%(name)s: %(message)s")
        self.count = 0
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        text = self.format(record)
        if seen_in(text):
            self.bad.append(text)


def bad_rows() -> Iterator[str]:
    """Yield what rows of ours show, by their values and by their repr."""
    tables = set(emptying.filled(connection))
    for model in apps.get_app_config("django_talon").get_models():
        if model._meta.db_table not in tables:
            continue
        for row in model._default_manager.all()[:MOST]:
            found = seen_in(f"{row!r} {vars(row)}")
            if found:
                yield f"{model.__name__} {row.pk} shows {found}"
