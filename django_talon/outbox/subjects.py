"""The cart or order that a step is about, and what became of it after its close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django_talon.conf import Application, conf
from django_talon.models import CustomerSession, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.outbox import clock, sessions
from django_talon.shop.adapter import Adapter
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapter_of_key
from django_talon.shop.snapshots import ItemSnapshot, SessionSnapshot


class ImpossibleTransition(Exception):
    """The shop says one thing and the state at Talon.One forbids it."""


@dataclass(frozen=True)
class Subject:
    """The cart or order that a step is about, and its adapter."""

    adapter: Adapter
    key: str
    instance: Any

    @property
    def is_one_model(self) -> bool:
        return self.adapter.is_one_model

    def wanted(self) -> str:
        """Return the state that the shop wants; "open" where it does not say."""
        return self.adapter.state(self.instance) if self.instance is not None else "open"


def subject_of(key: str) -> Subject:
    adapter = adapter_of_key(key)
    return Subject(adapter, key, adapter.find(key))


def is_past(subject: Subject) -> bool:
    """Whether the cart, being the order too, is closed or cancelled: its fact tells that."""
    if subject.instance is None or not subject.is_one_model:
        return False
    return subject.wanted() in {"closed", "cancelled"}


def is_unwanted_guest(subject: Subject) -> bool:
    """Whether this is a guest's cart or order, and guests are not sent."""
    return conf.GUESTS == "off" and subject.adapter.known_customer_of(subject.instance) is None


def cart_key_of(subject: Subject, row: OutboxRow) -> str:
    """Return the key of the cart an order came from, even if the order has let it go."""
    if row.lane.startswith("cart:"):
        return row.lane
    pk = subject.adapter.cart_pk_of(subject.instance) if subject.instance is not None else None
    return "" if pk is None else subject.adapter.key("cart", pk)


def new_for_order(app: Application, subject: Subject, row: OutboxRow) -> CustomerSession:
    """Return an unsaved session for an order, and for the cart it came from."""
    cart_key = cart_key_of(subject, row)
    return sessions.new(app.alias, cart=cart_key, order=subject.key)


def check(session: CustomerSession, state: str) -> None:
    """Raise `ImpossibleTransition` if a session cannot become what the shop says."""
    if state not in sessions.TRANSITIONS[SessionState(session.state)]:
        raise ImpossibleTransition(
            f"The order is {state}, but its customer session is"
            f" {session.state or 'not known to Talon.One'} and cannot become that."
        )


def note_drift(subject: Subject, session: CustomerSession) -> None:
    """Record that an order was edited after Talon.One closed its session."""
    if subject.instance is None or session.state not in {
        SessionState.CLOSED,
        SessionState.PARTIALLY_RETURNED,
    }:
        return
    found = money(subject, sessions.application_of(session, subject.instance))
    print_ = fingerprint_of(found.items, found.additional_costs)
    if print_ in {"", session.closed_fingerprint, session.drift_fingerprint}:
        return
    session.drift_fingerprint, session.drift_at = print_, clock.now()
    session.drift_total = found.total
    session.save(update_fields=["drift_fingerprint", "drift_at", "drift_total"])


def money(subject: Subject, app: Application) -> SessionSnapshot:
    """Return lines and costs as the shop has them now, and nothing else."""
    return SessionSnapshot(
        items=tuple(subject.adapter.items(subject.instance, app.currency)),
        additional_costs=subject.adapter.costs(subject.instance, app.currency),
    )


def money_fingerprint(subject: Subject, app: Application) -> str:
    """Return a fingerprint of lines and costs; empty if there are no lines any more."""
    found = money(subject, app)
    return fingerprint_of(found.items, found.additional_costs)


def fingerprint_of(items: tuple[ItemSnapshot, ...], costs: Any) -> str:
    return fingerprint(SessionSnapshot(items=items, additional_costs=costs)) if items else ""
