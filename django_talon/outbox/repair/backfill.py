"""How a shop that exists already begins: its customers, carts and orders, from a cursor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from django_talon.conf import Application, conf, route
from django_talon.models import CustomerSession
from django_talon.outbox import clock, lanes, rows, sessions
from django_talon.outbox.repair import scan
from django_talon.outbox.repair.bulk import BulkSender
from django_talon.outbox.repair.gaps import Gap, gaps
from django_talon.outbox.repair.patience import Patience
from django_talon.outbox.repair.progress import Run
from django_talon.outbox.repair.scan import Target, Window
from django_talon.shop.adapter import Adapter

ROLES = {"customers": "customer", "carts": "cart", "orders": "order"}
#: Payloads that a dry run shows.
SAMPLES = 3

MARKED, UNCHANGED, REFUSED = "put into the outbox", "unchanged", "refused"


class NoMoment(Exception):
    """The shop does not say when its rows were made, so a window cannot choose among them."""


@dataclass(frozen=True)
class Choice:
    """What is to be sent."""

    what: str
    app: Application
    window: Window = field(default_factory=Window)
    batch: int = 1000
    limit: int | None = None
    #: Send customers who are as they were sent last, too.
    resend: bool = False

    @property
    def name(self) -> str:
        """Name the run: one at a time for each kind and Application."""
        return f"backfill {self.what} {self.app.alias}"

    @property
    def is_bulk(self) -> bool:
        """Whether customers go by the bulk call, which the API of 2020 does not have."""
        return self.what == "customers" and self.app.dialect != "2020"

    def targets(self) -> list[Target]:
        """Return the models to walk through. Raises `NoMoment` for a window without a field."""
        found = scan.targets(ROLES[self.what])
        if self.what == "orders":
            found += [one for one in scan.targets("cart") if one.adapter.is_one_model]
        for target in found if self.window != Window() else []:
            if not (target.updated or target.created) and scan.rows(target).exists():
                label = target.model._meta.label
                raise NoMoment(
                    f"Nothing says when a row of {label} was made. Set {target.role}_updated in"
                    " its adapter, or leave out --since and --until."
                )
        return found

    def total(self) -> int:
        """Return how many rows there are to look at."""
        found = sum(scan.count(target, self.window) for target in self.targets())
        return found if self.limit is None else min(found, self.limit)


@dataclass
class Preview:
    """What a dry run found."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)


class Backfill:
    """Walks through the shop's rows and sends them, or says what it would send."""

    def __init__(
        self,
        choice: Choice,
        patience: Patience,
        *,
        most_refused: int = 100,
        report: Callable[[str], None] = lambda _text: None,
        step: Callable[[int], None] = lambda _rows: None,
    ) -> None:
        self._choice = choice
        self._patience = patience
        self._step = step
        self._bulk = BulkSender(
            choice.app,
            patience,
            resend=choice.resend,
            most_refused=most_refused,
            report=report,
        )

    def send(self, run: Run) -> None:
        """Send everything from the run's position on; the position is kept after each page.

        Raises `Stopped`, `CannotGoOn` and `TakenOver`.
        """
        self._patience.run = run
        for target, page in self._pages(run.position, will_read_again=self._choice.is_bulk):
            self._patience.pace(len(page))
            counts = (
                self._bulk.send(run, target, page)
                if self._choice.is_bulk
                else self._mark(target, page)
            )
            run.counts.update(counts)
            run.position |= {"target": target.name, "pk": str(page[-1].pk)}
            run.position["looked_at"] = run.position.get("looked_at", 0) + len(page)
            run.keep()
            self._step(len(page))
            self._patience.check()

    def preview(self) -> Preview:
        """Render everything and send nothing."""
        found = Preview()
        for target, page in self._pages({}):
            if self._choice.is_bulk:
                counts, entries = self._bulk.preview(target, page)
                bodies: Sequence[dict[str, Any]] = [entry.body for entry in entries[:SAMPLES]]
            else:
                made = self._gaps(target, page)
                counts = self._counted(page, made)
                bodies = [_body(target, gap) for gap in made if gap.snapshot][:SAMPLES]
            found.counts.update(counts)
            found.samples += bodies[: SAMPLES - len(found.samples)]
            self._step(len(page))
            self._patience.check()
        return found

    def _pages(
        self, position: dict[str, Any], *, will_read_again: bool = False
    ) -> Iterator[tuple[Target, list[Any]]]:
        left = self._choice.limit
        reached = position.get("target")
        for target in self._choice.targets():
            if reached not in (None, target.name):
                continue
            after = position.get("pk", "") if reached else ""
            reached = None
            size = self._choice.batch if self._choice.is_bulk else scan.PAGE
            pages = scan.pages(
                target,
                after=after,
                window=self._choice.window,
                size=size,
                only_keys=will_read_again and _ids_are_keys(target),
            )
            for page in pages:
                chosen = page if left is None else page[:left]
                yield target, chosen
                left = None if left is None else left - len(chosen)
                if left == 0:
                    return

    # Carts and orders: marks, of which the workers make the calls

    def _gaps(self, target: Target, page: list[Any]) -> list[Gap]:
        alias = self._choice.app.alias
        return list(gaps(target, [one for one in page if route(one) == alias], history=True))

    def _counted(self, page: list[Any], made: list[Gap]) -> Counter[str]:
        refused = sum(gap.why.startswith("cannot be sent") for gap in made)
        marked = len(made) - refused
        counts = {MARKED: marked, REFUSED: refused, UNCHANGED: len(page) - marked - refused}
        return +Counter(counts)  # without the zeros

    def _mark(self, target: Target, page: list[Any]) -> Counter[str]:
        self._patience.room()
        made = self._gaps(target, page)
        for gap in made:
            if self._choice.what == "orders" and gap.why == "was never sent":
                self._let_be_sent(gap)
            else:
                rows.enqueue(gap.rows)
        return self._counted(page, made)

    def _let_be_sent(self, gap: Gap) -> None:
        """Give an order a session: what has one is sent, however old it is."""
        [row] = gap.rows
        while (lease := lanes.acquire(row.lane, clock.now())) is None:
            self._patience.wait(0.5)
        try:
            with transaction.atomic(using=clock.outbox_alias()):
                if not CustomerSession.objects.filter(order=row.aggregate).exists():
                    cart = row.lane if row.lane.startswith("cart:") else ""
                    session = sessions.new(self._choice.app.alias, cart=cart)
                    sessions.take_over(session, row.aggregate)
                rows.enqueue([replace(row, application=self._choice.app.alias)])
        finally:
            lanes.release(lease)


def _ids_are_keys(target: Target) -> bool:
    """Whether a customer's id and Application can be told from the primary key alone."""
    return conf.ROUTER is None and type(target.adapter).profile_id is Adapter.profile_id


def _body(target: Target, gap: Gap) -> dict[str, Any]:
    snapshot: Any = gap.snapshot
    if target.role == "customer":
        return {"integrationId": snapshot.profile_id, "attributes": dict(snapshot.attributes)}
    state = next((str(row.kind) for row in gap.rows if row.kind != "mark"), "open")
    return sessions.request(snapshot, state)


def fixed_window(run: Run, window: Window) -> Window:
    """Return the window of a run: an age given as ``7d`` means what it meant at its start."""
    kept = run.position.setdefault(
        "window", [moment.isoformat() if moment else "" for moment in (window.since, window.until)]
    )
    since, until = (_moment(text) for text in kept)
    return Window(since, until)


def _moment(text: str) -> datetime | None:
    return parse_datetime(text) if text else None
