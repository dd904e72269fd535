"""What the workers would send if somebody told them: rows that differ from what was sent last.

Nothing is written and nobody is called here. The order of the questions matters:
what waits is read first, then what was sent, then the shop's rows. A change in
between makes a needless mark, never a missed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django_talon.conf import TalonConfigurationError, application, route
from django_talon.models import CustomerProfile, CustomerSession, DeadLetter, Erasure, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.models.outbox import TRANSITIONS, Kind
from django_talon.outbox import (
    clock,
    marks,
    outcomes,
    return_steps,
    session_steps,
    sessions,
    subjects,
)
from django_talon.outbox.repair.scan import PAGE, Target
from django_talon.outbox.rows import Row
from django_talon.outbox.subjects import Subject
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapters
from django_talon.shop.snapshots import ProfileSnapshot, SessionSnapshot

#: Behind everything else that waits.
LOWEST = 9


@dataclass(frozen=True)
class Gap:
    """A cart, order or customer that is not as it was sent last."""

    key: str
    why: str
    #: What goes into the outbox to put it right; empty where that cannot help.
    rows: tuple[Row, ...] = ()
    snapshot: SessionSnapshot | ProfileSnapshot | None = None


@dataclass(frozen=True)
class Sent:
    """What is known of one page of rows: what waits for them, and what was sent."""

    #: Keys with a change that waits, or with a dead letter that nobody has replayed.
    waiting: frozenset[str]
    dead: frozenset[str]
    #: The latest session of a cart and of an order, by key.
    sessions: dict[str, CustomerSession]
    #: Carts that have an order, by primary key as text.
    ordered: frozenset[str]


def gaps(target: Target, page: list[Any], *, history: bool = False) -> Iterator[Gap]:
    """Yield what differs among one page of rows; with ``history`` also what is no news.

    Rows that wait in the outbox or have become a dead letter are left out.
    """
    sent = _sent(target, page)
    for instance in page:
        key = target.key(instance.pk)
        if key in sent.waiting or key in sent.dead:
            continue
        try:
            gap = _gap(target, key, instance, sent, history)
        except TalonConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001  a row that cannot be rendered is a finding
            gap = Gap(key, f"cannot be sent: {outcomes.reason(error)}", _again(target, instance))
        if gap is not None:
            yield gap


def _gap(target: Target, key: str, instance: Any, sent: Sent, history: bool) -> Gap | None:
    if target.role == "customer":
        return _customer(target, key, instance, history)
    subject = Subject(target.adapter, key, instance)
    if target.role == "order" or subjects.is_past(subject):
        return _order(target, subject, sent, history)
    return _cart(target, subject, sent, history)


def _again(target: Target, instance: Any) -> tuple[Row, ...]:
    rows = marks.rows_for(target.adapter, target.role, instance)
    return tuple(replace(row, priority=LOWEST) for row in rows)


def _marked(target: Target, instance: Any, why: str, snapshot: Any = None) -> Gap:
    return Gap(target.key(instance.pk), why, _again(target, instance), snapshot)


# What was sent


def _sent(target: Target, page: list[Any]) -> Sent:
    keys = [target.key(instance.pk) for instance in page]
    lanes, carts = set(keys), []
    if target.role == "order":
        found = (target.adapter.cart_pk_of(order) for order in page)
        carts = [target.adapter.key("cart", pk) for pk in found if pk is not None]
        lanes.update(carts)
    waiting = OutboxRow.objects.filter(lane__in=lanes, kind__in=[Kind.MARK, *TRANSITIONS])
    dead = DeadLetter.objects.filter(aggregate__in=keys, replayed_at=None)
    return Sent(
        frozenset(waiting.values_list("aggregate", flat=True)),
        frozenset(dead.values_list("aggregate", flat=True)),
        _sessions(target, keys, carts),
        _ordered(target, page),
    )


def _sessions(target: Target, keys: list[str], carts: list[str]) -> dict[str, CustomerSession]:
    if target.role == "customer":
        return {}
    of_carts = CustomerSession.objects.filter(cart__in=[*keys, *carts]).order_by("pk")
    found = {session.cart: session for session in of_carts}
    of_orders = CustomerSession.objects.filter(order__in=keys).order_by("pk")
    return found | {session.order: session for session in of_orders}


def _ordered(target: Target, page: list[Any]) -> frozenset[str]:
    adapter, model = target.adapter, target.adapter.order_model
    if target.role != "cart" or model is None or adapter.is_one_model or not adapter.order_cart:
        return frozenset()
    if "." in adapter.order_cart or not hasattr(model, adapter.order_cart):
        return frozenset()
    chosen = {f"{adapter.order_cart}__in": [cart.pk for cart in page]}
    orders = model._base_manager.using(clock.outbox_alias()).filter(**chosen)
    return frozenset(str(adapter.cart_pk_of(order)) for order in orders)


# Carts


def _cart(target: Target, subject: Subject, sent: Sent, history: bool) -> Gap | None:
    cart, session = subject.instance, sent.sessions.get(subject.key)
    if not subject.adapter.is_active(cart):
        is_open = session is not None and not session.order and session.state == SessionState.OPEN
        return _marked(target, cart, "is no cart any more") if is_open else None
    if session_steps.is_ordered(subject, session):
        return None
    if session is not None and session_steps.is_spent(subject, session):
        if session.state == SessionState.CANCELLED and not _render(subject, session)[1]:
            return None  # it expired, and nobody has touched it since
        session = None
    elif session is None and (str(cart.pk) in sent.ordered or not _is_news(target, cart, history)):
        return None
    snapshot, is_news = _render(subject, session)
    if session is None and (not snapshot.items or subjects.is_unwanted_guest(subject)):
        return None
    why = "was never sent" if session is None else "differs from what was sent"
    return _marked(target, cart, why, snapshot) if is_news else None


def _render(subject: Subject, session: CustomerSession | None) -> tuple[SessionSnapshot, bool]:
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, cart=subject.key)
    rendered = sessions.render(subject.adapter, subject.instance, known, app)
    return rendered.snapshot, rendered.is_news


def _is_news(target: Target, instance: Any, history: bool) -> bool:
    """Whether a row without a session is to be sent: what is older than this app is history."""
    made_at = target.made_at(instance)
    return history or made_at is None or made_at >= sessions.since()


# Orders


def _order(target: Target, subject: Subject, sent: Sent, history: bool) -> Gap | None:
    adapter, order = subject.adapter, subject.instance
    session = sent.sessions.get(subject.key) or _free(adapter, order, sent)
    is_linked = session is not None and (session.order == subject.key or adapter.is_one_model)
    if not is_linked and not _is_news(target, order, history):
        return None
    if session is None:
        return _unsent_order(target, subject)
    if not is_linked:
        return _marked(target, order, "has not taken its cart's session over")
    if adapter.state(order) == "open" or _is_open_again(subject, session):
        return _open_order(target, subject, session)
    return _ended_order(target, subject, session)


def _is_open_again(subject: Subject, session: CustomerSession) -> bool:
    return subject.wanted() == "reopened" and not session.is_over


def _ended_order(target: Target, subject: Subject, session: CustomerSession) -> Gap | None:
    state = subject.adapter.state(subject.instance)
    if state == "closed" and return_steps.is_owed(subject, session):
        return _marked(target, subject.instance, "had items given back, which was not sent")
    if session.state == state:
        return _edited(target, subject, session)
    if state in sessions.TRANSITIONS[SessionState(session.state)] or state == "cancelled":
        return _marked(target, subject.instance, f"is {state}, which was not sent")
    if session.state == SessionState.PARTIALLY_RETURNED:
        return None
    return Gap(subject.key, f"is {state}, and its session {session.state}")


def _free(adapter: Any, order: Any, sent: Sent) -> CustomerSession | None:
    """Return the session of an order's cart that the order would take over."""
    pk = adapter.cart_pk_of(order)
    session = None if pk is None else sent.sessions.get(adapter.key("cart", pk))
    if adapter.is_one_model:
        return session
    return None if session is None or session.order or session.is_over else session


def _unsent_order(target: Target, subject: Subject) -> Gap | None:
    order = subject.instance
    if subject.adapter.state(order) == "cancelled":
        return None
    snapshot, _is_new = _render(subject, None)
    if not snapshot.items or subjects.is_unwanted_guest(subject):
        return None
    return _marked(target, order, "was never sent", snapshot)


def _open_order(target: Target, subject: Subject, session: CustomerSession) -> Gap | None:
    if session.is_over:
        return Gap(subject.key, f"is open, and its session {session.state}")
    snapshot, is_news = _render(subject, session)
    if not snapshot.items or not is_news:
        return None
    return _marked(target, subject.instance, "differs from what was sent", snapshot)


def _edited(target: Target, subject: Subject, session: CustomerSession) -> Gap | None:
    """Let the worker record an order that was edited after the close, once."""
    if session.state != SessionState.CLOSED:
        return None
    app = sessions.application_of(session, subject.instance)
    found = subjects.money_fingerprint(subject, app)
    if found in {"", session.closed_fingerprint, session.drift_fingerprint}:
        return None
    return _marked(target, subject.instance, "was edited after its session was closed")


# Customers


def _customer(target: Target, key: str, customer: Any, history: bool) -> Gap | None:
    environment = application(route(customer)).environment
    profile_id = sessions.checked_profile_id(target.adapter, customer)
    known = CustomerProfile.objects.filter(environment=environment, profile_id=profile_id).first()
    is_news = target.adapter.may_be_sent(customer) and (history or _joined_since(target, customer))
    if known is None and not is_news:
        return None
    snapshot = ProfileSnapshot(profile_id, target.adapter.attributes(customer))
    if known is not None and known.fingerprint == fingerprint(snapshot):
        return None
    if Erasure.standing(environment, profile_id):
        return None
    why = "was never sent" if known is None else "differs from what was sent"
    return _marked(target, customer, why, snapshot)


def _joined_since(target: Target, customer: Any) -> bool:
    """Whether a customer is newer than this app; the others are a backfill's, or come with a cart.

    In doubt a customer is not news, other than an order: there may be a million.
    """
    made_at = target.made_at(customer)
    return made_at is not None and made_at >= sessions.since()


# Carts that are gone


def orphans(after: int) -> tuple[list[Gap], int]:
    """Return what is gone among one page of open sessions of carts, and where the page ends.

    The position is 0 once all have been looked at.
    """
    found = CustomerSession.objects.filter(state=SessionState.OPEN, order="", pk__gt=after)
    page = list(found.exclude(cart="").order_by("pk")[:PAGE])
    gone = sorted({session.cart for session in page} - _existing(page))
    waiting = OutboxRow.objects.filter(lane__in=gone).values_list("lane", flat=True)
    rest = [key for key in gone if key not in set(waiting)]
    made = [Gap(key, "is gone", (Row(key, key, priority=LOWEST),)) for key in rest]
    return made, page[-1].pk if len(page) == PAGE else 0


def _existing(page: Iterable[CustomerSession]) -> set[str]:
    """Return the keys of the carts that are there, or that no adapter names any more."""
    by_label: dict[str, list[str]] = {}
    for session in page:
        by_label.setdefault(session.cart.split(":", 2)[1], []).append(session.cart)
    models = {adapter.label("cart"): adapter for adapter in adapters()}
    found: set[str] = set()
    for label, keys in by_label.items():
        adapter = models.get(label)
        if adapter is None:
            found.update(keys)
            continue
        pks = [key.split(":", 2)[2] for key in keys]
        there = adapter.cart_model._base_manager.using(clock.outbox_alias()).filter(pk__in=pks)
        found.update(adapter.key("cart", pk) for pk in there.values_list("pk", flat=True))
    return found
