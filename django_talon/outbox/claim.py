"""The claim: which lane is served next, read from the head of the due rows.

In the quiet case it costs two statements, however many rows wait: the head, by
index, and the compare-and-set of the first lane's lease.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random

from django_talon.models import Lane
from django_talon.models.outbox import SCHEMA, Why
from django_talon.outbox import clock, endpoint, lanes, statements

#: Rows looked at when a lane is chosen, and after a look that found no free lane.
HEAD = 50
WIDE_HEAD = 400
#: Seconds to wait where the settings name no usable Application.
UNCONFIGURED = 60.0
#: Seconds for which a worker that met another one looks elsewhere at once.
APART = 1.0


class Search:
    """How one worker looks for lanes: from the front, or apart from others that it met."""

    def __init__(self) -> None:
        self._apart_until = 0.0

    @property
    def is_apart(self) -> bool:
        return time.monotonic() < self._apart_until

    @property
    def limit(self) -> int:
        """Return how many rows to look at first."""
        return WIDE_HEAD if self.is_apart else HEAD

    def met_another(self) -> None:
        self._apart_until = time.monotonic() + APART


@dataclass(frozen=True)
class Head:
    """The first due rows, as lanes: urgent ones first, then those that wait longest."""

    now: datetime
    #: The same moment by this process's monotonic clock.
    asked: float
    #: Lane and application, each once.
    lanes: list[tuple[str, str]]
    #: Lanes with a row that goes before all others.
    urgent: frozenset[str]
    #: How many of the rows each lane has.
    sizes: Counter[str]
    #: How many rows were asked for.
    limit: int
    #: Lanes with a row that no call was made for yet.
    untried: frozenset[str]
    #: Whether some endpoint has failed of late.
    is_troubled: bool
    #: Whether dead letters wait for anybody.
    has_letters: bool

    @property
    def is_narrow(self) -> bool:
        """Whether a wider look may find more."""
        return self.limit < WIDE_HEAD

    def moment(self) -> datetime:
        """Return the database's time without asking it again."""
        return self.now + timedelta(seconds=time.monotonic() - self.asked)

    def callable_lanes(self, standing: endpoint.Standing) -> list[str]:
        """Return the lanes whose endpoint may be called, or is not known yet."""
        return [lane for lane, alias in self.lanes if not alias or alias in standing.usable]


def read(limit: int = HEAD) -> Head | None:
    """Return the head of the due rows; ``None`` if nothing is due."""
    asked = time.monotonic()
    rows = statements.select(statements.HEAD, [SCHEMA, limit])
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: row[2])
    return Head(
        now=clock.read(rows[0][4]),
        asked=asked,
        lanes=list(dict.fromkeys((row[0], row[1]) for row in ordered)),
        urgent=frozenset(row[0] for row in rows if row[2] < 0),
        sizes=Counter(row[0] for row in rows),
        limit=limit,
        untried=frozenset(row[0] for row in rows if not row[3]),
        is_troubled=bool(rows[0][5]),
        has_letters=bool(rows[0][6]),
    )


def first_free(
    head: Head, standing: endpoint.Standing, search: Search | None = None
) -> lanes.Lease | None:
    """Lease the first lane that is free; ``None`` if there is none in this head.

    A worker that met another takes any lane, since the next ones are often the
    same customer's. Rows of lanes that others hold are moved out of the way once
    they fill half of a wide head, so that it stays clean.
    """
    search = search or Search()
    keys = head.callable_lanes(standing)
    if search.is_apart:
        keys = _anywhere(keys, head)
    if not keys:
        return None
    if lease := lanes.compete(keys[0], head.moment()):
        return lease
    known = Lane.objects.in_bulk(keys)
    ends = {key: lanes.ends(lane, head.now) for key, lane in known.items()}
    if any("lease" in found for found in ends.values()):
        search.met_another()
        keys = _anywhere(keys, head)
    return _any_free(keys, known, ends, head)


def _anywhere(keys: list[str], head: Head) -> list[str]:
    """Return lanes in any order, urgent ones first."""
    return sorted(keys, key=lambda key: (key not in head.urgent, random()))  # noqa: S311


def _any_free(
    keys: list[str],
    known: Mapping[str, Lane],
    ends: Mapping[str, Mapping[str, datetime]],
    head: Head,
) -> lanes.Lease | None:
    busy = {
        key: until for key, lane in known.items() if (until := _busy_until(lane, head)) is not None
    }
    free = [key for key in keys if key not in busy]
    # A lease lasts a moment as a rule, and after a narrow head comes a wide one.
    away = {key: busy[key] for key in busy if not head.is_narrow or "lease" not in ends[key]}
    if (not free and not head.is_narrow) or 2 * sum(head.sizes[key] for key in away) > head.limit:
        lanes.postpone(away, head.now)
    for key in free:
        is_new_work = key in known and known[key].why == Why.BACKOFF
        if lease := lanes.acquire(key, head.moment(), over_backoff=is_new_work):
            return lease
    return None


def _busy_until(lane: Lane, head: Head) -> datetime | None:
    """Return until when a lane is leased or blocked; ``None`` if it may be served.

    New work does not sleep out an old backoff. Rows that were tried are due
    after it: what is due before, and was not tried, came later.
    """
    ends = lanes.ends(lane, head.now)
    if lane.why == Why.BACKOFF and lane.key in head.untried:
        ends.pop("block", None)
    return max(ends.values(), default=None)


def rest(head: Head, standing: endpoint.Standing) -> None:
    """Move rows whose endpoint rests out of the way of the others."""
    unknown = head.now + timedelta(seconds=UNCONFIGURED)
    for alias in {alias for _lane, alias in head.lanes if alias and alias not in standing.usable}:
        behind = [lane for lane, its_alias in head.lanes if its_alias == alias]
        endpoint.put_behind(alias, behind, standing.resting.get(alias, unknown))
