"""After a database restore: request again what ``ERASURE_LOG`` knows and the database forgot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from django_talon.models import Erasure, Installation
from django_talon.models.privacy import pseudonym
from django_talon.privacy.erasing import CHUNK, Asked, erase_all
from django_talon.privacy.people import places

_TEXTS = {
    "requested": ("environment", "profile_id", "pseudonym", "at"),
    "done": ("environment", "pseudonym", "at"),
    "lifted": ("environment", "pseudonym", "at"),
}


#: Profile id -> environment -> who asked.
_Wanted = dict[str, dict[str, Asked]]


@dataclass
class Replayed:
    """What a replay found in the log, counted in customers."""

    #: Forgotten by the database; requested again, or to be so after a dry run.
    forgotten: list[str] = field(default_factory=list)
    #: The database knows of their erasure.
    known: int = 0
    #: Lifted after the erasure.
    lifted: int = 0
    #: Of environments that ``TALON_ONE`` does not name any more.
    elsewhere: int = 0
    #: Number and complaint of each line that cannot be read.
    bad: list[tuple[int, str]] = field(default_factory=list)


def replay(path: str, *, operator: str = "", dry_run: bool = False) -> Replayed:
    """Request the erasures of a log again which the database has forgotten.

    Moment, operator and reason are those of the log, so that the deadline counts from
    the first request; `operator` stands where the log names none. Lines that cannot be
    read are named and skipped. Raises `OSError` if the file cannot be read.
    """
    found = Replayed()
    wanted = _wanted(_latest(_entries(path, found)), found)
    known = _known(wanted)
    found.forgotten = [profile_id for profile_id in wanted if profile_id not in known]
    found.known = len(known)
    if not dry_run:
        erase_all(found.forgotten, asked=partial(_asked, wanted, operator))
    return found


def _asked(wanted: _Wanted, operator: str, environment: str, profile_id: str) -> Asked:
    """Return who asked for an erasure; of an environment that is new, who asked first."""
    theirs = wanted[profile_id]
    asked = theirs.get(environment) or min(theirs.values(), key=attrgetter("at"))
    return replace(
        asked,
        operator=asked.operator or operator,
        reason=asked.reason or "replayed from the erasure log",
    )


def _wanted(latest: Iterable[dict[str, Any]], found: Replayed) -> _Wanted:
    """Return whom the log wants erased, in which environment, and who asked."""
    ours = set(places())
    wanted: _Wanted = {}
    for entry in latest:
        if entry["event"] == "lifted":
            found.lifted += 1
        elif entry["environment"] not in ours:
            found.elsewhere += 1
        else:
            wanted.setdefault(entry["profile_id"], {})[entry["environment"]] = Asked(
                str(entry.get("operator") or ""), str(entry.get("reason") or ""), _moment(entry)
            )
    return wanted


def _entries(path: str, found: Replayed) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _checked(json.loads(line))
        except ValueError as error:
            found.bad.append((number, _complaint(error)))


def _complaint(error: ValueError) -> str:
    """Say what is wrong with a line without a word of what it holds."""
    return "it is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeError) else str(error)


def _checked(found: Any) -> dict[str, Any]:
    entry: dict[str, Any] = found if isinstance(found, dict) else {}
    texts = _TEXTS.get(str(entry.get("event")))
    if texts is None:
        raise ValueError("its event is neither requested nor done nor lifted")
    for name in texts:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"it has no {name}")
    _moment(entry)
    return entry


def _moment(entry: dict[str, Any]) -> datetime:
    found = parse_datetime(entry["at"])
    if found is None or timezone.is_naive(found):
        raise ValueError("its moment is none")
    return found


def _latest(entries: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Return the last word on each customer in each environment.

    That an erasure was done is no such word: what a backup brings back is erased again.
    """
    asked = (entry for entry in entries if entry["event"] != "done")
    return {(entry["environment"], entry["pseudonym"]): entry for entry in asked}.values()


def _is_before(asked: Asked, moment: datetime) -> bool:
    return asked.at is not None and asked.at <= moment


def _known(wanted: _Wanted) -> set[str]:
    """Return those whose erasures the database has: standing, or lifted later than the log."""
    salt = Installation.current().salt
    known: set[str] = set()
    ids = list(wanted)
    for start in range(0, len(ids), CHUNK):
        hashes = {pseudonym(one, salt): one for one in ids[start : start + CHUNK]}
        places: dict[str, set[str]] = {}
        for erasure in Erasure.objects.filter(pseudonym__in=list(hashes)):
            one = hashes[erasure.pseudonym]
            asked = wanted[one].get(erasure.environment)
            if asked and (erasure.lifted_at is None or _is_before(asked, erasure.lifted_at)):
                places.setdefault(one, set()).add(erasure.environment)
        known |= {one for one, found in places.items() if found == set(wanted[one])}
    return known
