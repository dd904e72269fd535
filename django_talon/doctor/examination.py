"""Which examinations there are, and the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import DatabaseError

from django_talon.doctor import broker, databases, endpoints, queue, records, settings, trial
from django_talon.doctor.findings import Finding, of


@dataclass(frozen=True)
class Examination:
    """One thing that the doctor looks at."""

    title: str
    find: Callable[[], Iterable[Finding]]
    #: Whether it needs the network: the broker, or Talon.One.
    is_live: bool = False
    #: Whether it reads our tables.
    needs_tables: bool = True


EXAMINATIONS = (
    Examination("settings and adapters", settings.find, needs_tables=False),
    Examination("migrations", databases.find_migrations, needs_tables=False),
    Examination("database", databases.find),
    Examination("API key, address and clock", endpoints.find, is_live=True),
    Examination("broker and beat", broker.find, is_live=True, needs_tables=False),
    Examination("delivery", queue.find),
    Examination("customers and erasures", records.find),
    Examination("a trial of the newest rows", trial.find, is_live=True),
)


def examine(*, live: bool = True) -> Iterator[tuple[Examination, list[Finding]]]:
    """Make one examination after another and yield what each found.

    Without ``live`` neither the broker nor Talon.One is asked. Where our tables
    are missing, what reads them is left out. Raises nothing: an examination
    that fails is a finding.
    """
    has_tables = True
    for examination in EXAMINATIONS:
        if (examination.is_live and not live) or (examination.needs_tables and not has_tables):
            continue
        found = _found(examination)
        if examination.find is databases.find_migrations and found:
            has_tables = False
        yield examination, found


def _found(examination: Examination) -> list[Finding]:
    try:
        return list(of(f"The part {examination.title!r}", examination.find()))
    except DatabaseError as error:
        what = f"The database did not answer: {type(error).__name__}."
        return [Finding("django_talon.E112", what, "Mend the connection and ask again.")]
