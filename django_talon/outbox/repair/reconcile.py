"""Find what no signal told, and put it into the outbox behind everything else."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.dateparse import parse_datetime

from django_talon.conf import Application, applications, conf
from django_talon.models import CustomerProfile, CustomerSession
from django_talon.models.identity import SessionState
from django_talon.outbox import clock, marks, rows
from django_talon.outbox.repair import gaps as compare
from django_talon.outbox.repair import progress, readback, scan
from django_talon.outbox.repair.gaps import LOWEST, Gap
from django_talon.outbox.repair.patience import Patience, is_full
from django_talon.outbox.repair.readback import Drift
from django_talon.outbox.repair.scan import PAGE, Target, Window
from django_talon.outbox.rows import Row
from django_talon.shop.registry import adapter_of_key

logger = logging.getLogger("django_talon")

NAME = "reconcile"
ROLES = ("cart", "order", "customer")
#: The last part of the walk: open sessions whose carts are gone.
GONE = "gone"
#: Rows that one run of the task looks at, and seconds it may take.
TASK_ROWS = 5000
TASK_SECONDS = 60.0
#: Changes are looked at once more for so many seconds: a long transaction commits late.
OVERLAP = timedelta(minutes=10)


@dataclass
class Report:
    """What was looked at and what was found, by kind."""

    looked_at: int = 0
    #: Reads of Talon.One that were compared.
    asked: int = 0
    #: Put into the outbox, or with a dry run: would have been.
    marked: int = 0
    #: Differences that sending again cannot mend.
    beyond_repair: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def found(self) -> int:
        return self.marked + self.beyond_repair


Finding = Gap | Drift


class Reconciler:
    """Walks through the shop and Talon.One, and tells each finding to ``tell``."""

    def __init__(
        self,
        patience: Patience,
        *,
        dry_run: bool = False,
        tell: Callable[[Finding], None] = lambda _finding: None,
    ) -> None:
        self.report = Report()
        self._patience = patience
        self._dry_run = dry_run
        self._tell = tell

    # The shop's rows against what was sent last

    def everything(self, window: Window) -> None:
        """Look at all rows of the shop, or those changed within a window, and at lost carts."""
        for target in scan.targets(*ROLES):
            for page in scan.pages(target, window=window):
                self.look_at(target, page)
        after = self.orphans()
        while after:
            after = self.orphans(after)

    def look_at(self, target: Target, page: list[Any]) -> None:
        """Look at one page of rows."""
        self._patience.check()
        self._patience.pace(len(page))
        self.report.looked_at += len(page)
        for gap in compare.gaps(target, page):
            self._found(gap)

    def orphans(self, after: int = 0) -> int:
        """Look for open sessions whose carts are gone, one page; return where it ends, or 0."""
        self._patience.check()
        found, end = compare.orphans(after)
        for gap in found:
            self._found(gap)
        return end

    def _found(self, gap: Gap) -> None:
        self._count(gap.why.split(":")[0], bool(gap.rows))
        self._tell(gap)
        self._mark(gap.rows)

    def _count(self, why: str, can_help: bool) -> None:
        self.report.by_reason[why] += 1
        if can_help:
            self.report.marked += 1
        else:
            self.report.beyond_repair += 1

    def _mark(self, marked: Iterable[Row]) -> None:
        if not self._dry_run and marked:
            self._patience.room()
            rows.enqueue(marked)

    # The shop's rows against what Talon.One has

    def ask(self, since: datetime | None) -> None:
        """Read sessions and profiles back, and compare them with the shop's rows."""
        sent = Q() if since is None else Q(sent_at__gte=since)
        known = CustomerSession.objects.exclude(state=SessionState.NEW).filter(sent)
        for session in _each(known):
            self._patience.pace(1)
            drift = readback.session_drift(session, self._patience.call, repair=not self._dry_run)
            self._compared(drift)
        profiles = CustomerProfile.objects.exclude(customer="").exclude(fingerprint="")
        for profile in _each(profiles.filter(sent)):
            app = _application(profile.environment)
            if app is None:
                continue
            self._patience.pace(1)
            drift = readback.profile_drift(
                profile, app, self._patience.call, repair=not self._dry_run
            )
            self._compared(drift)

    def _compared(self, drift: Drift | None) -> None:
        self.report.asked += 1
        if drift is None:
            return
        self._count(drift.what.split(":")[0], drift.is_repairable)
        self._tell(drift)
        if drift.is_repairable:
            self._mark(_rows_of(drift.key))

    # After a database lost what was sent already

    def resync(self, since: datetime | None) -> None:
        """Forget what was sent, so that all of it is rendered and sent again."""
        sent = Q() if since is None else Q(sent_at__gte=since) | Q(sent_at=None)
        open_ones = CustomerSession.objects.filter(state__in=[SessionState.NEW, SessionState.OPEN])
        self._forget(open_ones.filter(sent), lambda session: session.order or session.cart)
        profiles = CustomerProfile.objects.exclude(customer="").filter(sent)
        self._forget(profiles, lambda profile: profile.customer)

    def _forget(self, found: models.QuerySet[Any], key_of: Callable[[Any], str]) -> None:
        for known in _each(found):
            self._patience.pace(1)
            self.report.looked_at += 1
            marked = _rows_of(key_of(known))
            if not marked:
                continue
            if not self._dry_run:
                type(known).objects.filter(pk=known.pk).update(fingerprint="")
            self._count("is sent again", True)
            self._mark(marked)


def _each(found: models.QuerySet[Any]) -> Iterator[Any]:
    """Yield rows of ours by primary key in pages: no cursor stays open during calls."""
    after = 0
    while page := list(found.filter(pk__gt=after).order_by("pk")[:PAGE]):
        yield from page
        after = page[-1].pk


def _rows_of(key: str) -> list[Row]:
    """Return what makes the workers look at a cart, an order or a customer again."""
    try:
        adapter = adapter_of_key(key)
    except LookupError:
        return []
    instance = adapter.find(key)
    if instance is None:
        return [Row(key, key, priority=LOWEST)]
    found = marks.rows_for(adapter, key.split(":", 1)[0], instance)
    return [Row(row.lane, row.aggregate, row.kind, priority=LOWEST) for row in found]


def _application(environment: str) -> Application | None:
    return next((app for app in applications() if app.environment == environment), None)


def bounded(
    reconciler: Reconciler, run: progress.Run, limit: int, *, seconds: float | None = None
) -> bool:
    """Look at so many rows: first what changed, then where the last run stopped.

    Returns whether the walk through all rows came to its end; the next run then
    begins anew.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    report = reconciler.report

    def size() -> int:
        if (ends is not None and time.monotonic() > ends) or (seconds is not None and is_full()):
            return 0
        return max(min(PAGE, limit - report.looked_at), 0)

    _changed(reconciler, run, size)
    places = {target.name: target for target in scan.targets(*ROLES)}
    names = [*places, GONE]
    while number := size():
        name, after = run.position.setdefault("all", [names[0], ""])
        if name not in names:
            name, after = names[0], ""
        end = _step(reconciler, places.get(name), after, number)
        if end:
            run.position["all"] = [name, end]
        elif name != GONE:
            run.position["all"] = [names[names.index(name) + 1], ""]
        else:
            del run.position["all"]
        run.keep()
        if "all" not in run.position:
            return True
    return False


def _step(reconciler: Reconciler, target: Target | None, after: str, number: int) -> str:
    """Look at one page behind ``after``; return where it ends, or nothing at the end of a table."""
    if target is None:
        end = reconciler.orphans(int(after or 0))
        return str(end) if end else ""
    page = next(scan.pages(target, after=after, size=number), [])
    reconciler.look_at(target, page)
    return str(page[-1].pk) if len(page) == number else ""


def _changed(reconciler: Reconciler, run: progress.Run, size: Callable[[], int]) -> None:
    """Look at what changed since the last run, oldest first, where the shop has such a field."""
    began = clock.now()
    for target in (target for target in scan.targets(*ROLES) if target.updated):
        told, after = run.position.get(f"changed {target.name}", [None, ""])
        since = parse_datetime(told) if told else began - timedelta(days=1)
        assert since is not None  # noqa: S101  it was written by isoformat() below
        while rows_left := size():
            page = scan.changed(target, since, after, rows_left)
            reconciler.look_at(target, page)
            if len(page) < rows_left:
                since, after = began - OVERLAP, ""
                break
            since, after = getattr(page[-1], target.updated), str(page[-1].pk)
        run.position[f"changed {target.name}"] = [since.isoformat(), after]


def by_task() -> Report:
    """Make one run of the task: bounded, paced, and one at a time."""
    reconciler = Reconciler(Patience(), tell=_log)
    if not conf.ENABLED or is_full():
        return reconciler.report
    try:
        with progress.running(NAME, {}) as run:
            bounded(reconciler, run, TASK_ROWS, seconds=TASK_SECONDS)
    except (progress.Refused, progress.TakenOver) as error:
        logger.info("%s", error)
    return reconciler.report


def _log(finding: Finding) -> None:
    if isinstance(finding, Gap) and not finding.rows:
        logger.warning("%s %s. Sending again cannot mend that.", finding.key, finding.why)
    else:
        logger.info("Reconcile sends %s again.", finding.key)
