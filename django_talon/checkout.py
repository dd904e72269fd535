"""``talon.evaluate``: one answer now, within a budget, and never an error for the shopper."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connections

from django_talon.client import TalonError, decode_effects
from django_talon.conf import (
    DEFAULT_APPLICATION,
    Application,
    TalonConfigurationError,
    conf,
    currency_of,
    route,
)
from django_talon.effects import whole
from django_talon.effects.allocation import allocate
from django_talon.effects.answer import Answer, read_answer
from django_talon.models import CodeEntry, CustomerSession, Evaluation, OutboxRow
from django_talon.models.outbox import Kind
from django_talon.outbox import (
    backoff,
    calls,
    clock,
    dialects,
    endpoint,
    lanes,
    sessions,
    transactions,
)
from django_talon.outbox.marks import mark
from django_talon.outbox.session_steps import is_anothers, is_ordered, is_spent, send_open
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.subjects import Subject, is_past, is_unwanted_guest
from django_talon.outbox.trip import LeaseRanOut, LeaseTaken, NotYet, Trip
from django_talon.shop.registry import adapter_for
from django_talon.shop.values import text

logger = logging.getLogger("django_talon")


class PromotionsUnavailable(Exception):
    """No answer came, and ``ON_FAILURE`` is ``"closed"``: do not sell without one."""


def evaluate(
    cart: Any, *, fresh: bool = False, enter: Iterable[str] = (), remove: Iterable[str] = ()
) -> Answer:
    """Return what Talon.One says of a cart, as it is now.

    A stored answer is used while the cart is the same and the answer younger
    than ``EVALUATION_MAX_AGE``; ``fresh=True`` asks anew, as before a payment.
    ``enter`` and ``remove`` are codes that the shopper typed in or took out.

    Takes at most ``CHECKOUT_BUDGET`` seconds. Inside a transaction, or while a
    worker is busy with the same customer, the question is a dry one. If no
    answer comes, ``ON_FAILURE`` decides: ``"open"`` and ``"last_known"`` never
    raise, ``"closed"`` raises `PromotionsUnavailable`. Never an answer for
    another content of the cart. Raises `SnapshotError` for a line without a
    usable price or quantity: such a cart has no total that could be charged.
    """
    subject = _subject(cart)
    key = subject.key
    if _change_codes(key, list(enter), list(remove)):
        mark(cart)
    if not conf.ENABLED or is_past(subject) or is_unwanted_guest(subject):
        return _full_price(subject)
    try:
        found = _find(subject)
    except TalonConfigurationError as error:
        logger.warning("evaluate() went without promotions: %s", error)
        return _full_price(subject)
    return _evaluate(subject, found, fresh)


def _full_price(subject: Subject) -> Answer:
    """Return the shop's own prices, where there is nobody to ask or nothing to ask about."""
    try:
        currency = currency_of(route(subject.instance))
    except TalonConfigurationError:
        currency = currency_of(DEFAULT_APPLICATION)
    items = subject.adapter.items(subject.instance, currency)
    costs = subject.adapter.costs(subject.instance, currency)
    return Answer(currency=currency, allocation=allocate(items, costs, [], currency))


def _subject(cart: Any) -> Subject:
    adapter = adapter_for(cart)
    return Subject(adapter, adapter.key("cart", cart.pk), cart)


@dataclass(frozen=True)
class _Found:
    app: Application
    rendered: Rendered
    #: Whether a session in another Application has to be cancelled first: the worker's to do.
    has_moved: bool = False


def _find(subject: Subject) -> _Found:
    session = sessions.of_cart(subject.key)
    if session is not None and not _is_still_the_carts(subject, session):
        session = None
    has_moved = session is not None and sessions.is_elsewhere(session, subject.instance)
    if has_moved:
        session = None
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, cart=subject.key)
    rendered = sessions.render(subject.adapter, subject.instance, known, app)
    return _Found(app, rendered, has_moved)


def _is_still_the_carts(subject: Subject, session: CustomerSession) -> bool:
    """Whether the cart is in this session: as a cart, or unchanged since it was ordered."""
    return not is_spent(subject, session) or is_ordered(subject, session)


def _evaluate(subject: Subject, found: _Found, fresh: bool) -> Answer:
    if not found.rendered.snapshot.items:
        return _answer(found, subject.key, [])
    if found.rendered.session.is_over:
        return _answer(found, subject.key, _stored(found, max_age=None) or [])
    stored = _stored(found, max_age=conf.EVALUATION_MAX_AGE)
    if stored is not None and not fresh:
        return _answer(found, subject.key, stored)
    try:
        asked, effects = _ask(subject, found)
    except (TalonError, TalonConfigurationError) as error:
        logger.warning("evaluate() got no answer: %s.", type(error).__name__)
        return _without_answer(found, subject.key)
    return _answer(asked, subject.key, effects)


def _stored(found: _Found, max_age: float | None) -> Sequence[Any] | None:
    """Return the stored effects if they belong to this very content."""
    stored = Evaluation.objects.filter(
        session__integration_id=found.rendered.session.integration_id,
        fingerprint=found.rendered.fingerprint,
    )
    if max_age is not None:
        stored = stored.filter(evaluated_at__gt=clock.now() - timedelta(seconds=max_age))
    row = stored.first()
    return None if row is None else decode_effects(row.effects.encode())


def _ask(subject: Subject, found: _Found) -> tuple[_Found, Sequence[Any]]:
    """Ask Talon.One within the budget; for real if both leases are free, else dry.

    Returns the effects and the content they are for.
    """
    if not endpoint.is_usable(found.app):
        raise TalonError(f"The endpoint of {found.app.alias} is resting after failures.")
    ends = time.monotonic() + conf.CHECKOUT_BUDGET
    # An order's session is the worker's to change.
    is_ours = not found.rendered.session.order and not found.has_moved
    if is_ours and not transactions.is_open(connections[clock.outbox_alias()]):
        with _trip(subject, ends) as trip:
            if trip is not None and (answer := _ask_for_real(trip, subject)) is not None:
                return answer
    return found, _ask_dry(subject, found, ends)


@contextmanager
def _trip(subject: Subject, ends: float) -> Iterator[Trip | None]:
    """Hold the cart's lane, with the marks that the answer will retire."""
    lease = lanes.acquire(subject.key, clock.now())
    if lease is None:
        yield None
        return
    try:
        rows = list(OutboxRow.objects.filter(lane=lease.key).order_by("id"))
        marks = [row for row in rows if row.kind == Kind.MARK and row.aggregate == subject.key]
        # Facts keep their turn: with one waiting, nothing may be sent before it.
        is_free = len(marks) == len(rows)
        yield Trip(lease, subject.key, marks, ends=ends) if is_free else None
    finally:
        lanes.release(lease)


def _ask_for_real(trip: Trip, subject: Subject) -> tuple[_Found, Sequence[Any]] | None:
    # Rendered again: what was read before the lease may be old.
    found = _find(subject)
    if found.has_moved:
        return None
    try:
        send_open(trip, subject, found.rendered, found.app)
    except LeaseTaken:
        trip.repair()
        return None
    except (NotYet, LeaseRanOut):
        return None
    except TalonError as error:
        _note_failure(trip, found.app, error)
        raise
    return found, _stored(_find_again(found, subject), max_age=None) or []


def _find_again(found: _Found, subject: Subject) -> _Found:
    """Return the session that was sent: it may be a new one, and codes may be refused by now."""
    session = sessions.of_cart(subject.key) or found.rendered.session
    return _Found(found.app, Rendered(session, found.rendered.snapshot, session.fingerprint))


def _note_failure(trip: Trip, app: Application, error: TalonError) -> None:
    verdict = backoff.judge(error, attempts=0)
    endpoint.note(app, verdict, error, trip.began)
    if verdict.lane_delay and error.ambiguous:
        lanes.block([trip.lease.key, *trip.held], verdict.lane_delay, verdict.why)


def _ask_dry(subject: Subject, found: _Found, ends: float) -> Sequence[Any]:
    """Ask without changing anything at Talon.One; the marks stay for the worker."""
    session = found.rendered.session
    if is_anothers(found.rendered):
        session = sessions.new(found.app.alias)  # an id that nobody else's session has

    def call(app: Application, method: str, *args: Any, **options: Any) -> Any:
        return calls.call(app, subject.key, method, *args, **options)

    body = sessions.request(found.rendered.snapshot, "open")
    deadline = max(ends - time.monotonic(), 0.001)
    return whole(
        dialects.update_session(
            call, found.app, session.integration_id, body, dry=True, deadline=deadline
        )
    )


def _without_answer(found: _Found, key: str) -> Answer:
    """Do what ``ON_FAILURE`` says."""
    if conf.ON_FAILURE == "closed":
        raise PromotionsUnavailable(
            "Talon.One gave no answer within CHECKOUT_BUDGET, and ON_FAILURE is 'closed'."
        )
    known = _stored(found, max_age=None) if conf.ON_FAILURE == "last_known" else None
    return _answer(found, key, known or [], answered=known is not None)


def _answer(found: _Found, key: str, effects: Sequence[Any], *, answered: bool = True) -> Answer:
    entries = CodeEntry.objects.filter(cart=key, status=CodeEntry.Status.REJECTED)
    return read_answer(
        found.rendered.snapshot,
        effects,
        found.app.currency,
        refused=dict(entries.order_by("pk").values_list("code", "reason")),
        answered=answered,
    )


def _change_codes(key: str, enter: Collection[str], remove: Collection[str]) -> bool:
    """Keep what the shopper typed in or took out; return whether anything changed."""
    changed = False
    entries = CodeEntry.objects.filter(cart=key)
    for code in _clean([*enter, *remove]):
        changed |= bool(entries.filter(code__iexact=code).delete()[0])
    for code in _clean(enter):
        CodeEntry.objects.create(cart=key, code=code)
        changed = True
    return changed


def _clean(codes: Iterable[str]) -> list[str]:
    return [code for code in (text(code).strip()[:100] for code in codes) if code]
