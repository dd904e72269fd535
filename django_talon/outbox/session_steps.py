"""Delivery of carts and open orders: customer sessions as state."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from django_talon.client import TalonRejected
from django_talon.conf import Application, conf
from django_talon.models import CustomerSession, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import answers, clock, marks, profile_steps, rows, sessions
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.trip import Trip
from django_talon.shop.adapter import Adapter
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.registry import adapter_of_key
from django_talon.shop.snapshots import SessionSnapshot

UPDATE = "update_customer_session_v2"


@dataclass(frozen=True)
class Subject:
    """The cart or order that a step is about, and its adapter."""

    adapter: Adapter
    key: str
    instance: Any


def subject_of(key: str) -> Subject:
    adapter = adapter_of_key(key)
    return Subject(adapter, key, adapter.find(key))


def deliver_cart(trip: Trip) -> None:
    """Bring the open session of a cart up to date."""
    subject = subject_of(trip.row.aggregate)
    session = sessions.of_cart(subject.key)
    if is_past(subject):
        if session is not None:
            note_drift(subject, session)
        answers.forget(trip.ids)
    elif subject.instance is None or not subject.adapter.is_active(subject.instance):
        _let_go(trip, session)
    elif _order_follows(trip, {Kind.CLOSED}) or is_ordered(subject, session):
        answers.forget(trip.ids)
    else:
        if session is not None and (session.is_over or session.order):
            session = None
        _deliver_open(trip, subject, session)


def is_past(subject: Subject) -> bool:
    """Whether the cart, being the order too, is closed or cancelled: its fact tells that."""
    if subject.instance is None or not subject.adapter.is_one_model:
        return False
    return subject.adapter.state(subject.instance) != "open"


def _let_go(trip: Trip, session: CustomerSession | None) -> None:
    """The cart is gone: cancel its session, unless an order has it or is about to."""
    is_free = session is not None and not session.order and session.state == SessionState.OPEN
    if session is None or not is_free or _order_follows(trip, {Kind.CLOSED, Kind.MARK, Kind.LINK}):
        answers.forget(trip.ids)
        return
    app = sessions.application_of(session, None)
    with trip.customer(app, session.profile_id):
        cancel(trip, app, session)
    answers.forget(trip.ids)


def cancel(trip: Trip, app: Application, session: CustomerSession) -> None:
    """Cancel an open session, or note that Talon.One has ended it already."""
    try:
        answer = trip.call(app, UPDATE, session.integration_id, sessions.bare("cancelled"))
        effects = answer.effects
    except TalonRejected as error:
        if error.status != 400:
            raise
        effects = []
    answers.store(session, effects, state="cancelled", row_ids=())


def _order_follows(trip: Trip, kinds: Collection[str]) -> bool:
    """Whether a later row of the same lane will send this cart's content, as ordered."""
    return any(
        row.kind in kinds
        and row.aggregate.startswith("order:")
        and not CustomerSession.objects.filter(order=row.aggregate).exists()
        and _will_be_sent(row)
        for row in trip.following
    )


def _will_be_sent(row: OutboxRow) -> bool:
    subject = subject_of(row.aggregate)
    return subject.instance is not None and not sessions.is_history(
        subject.adapter, subject.instance
    )


def is_ordered(subject: Subject, session: CustomerSession | None) -> bool:
    """Whether the cart is as it was when its order took the session over."""
    if session is None or not session.order or subject.adapter.is_one_model:
        return False
    now = sessions.lines_fingerprint(subject.key)
    nothing = fingerprint(SessionSnapshot(items=()))
    return now in {session.cart_fingerprint, nothing}


def _deliver_open(trip: Trip, subject: Subject, session: CustomerSession | None) -> None:
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, cart=subject.key)
    rendered = sessions.render(subject.adapter, subject.instance, known, app)
    if (session is None and not _is_worth_a_session(subject, rendered)) or not rendered.is_news:
        answers.forget(trip.ids)
    else:
        send_open(trip, subject, rendered, app)


def _is_worth_a_session(subject: Subject, rendered: Rendered) -> bool:
    """Bots and page views make empty carts; nobody needs to hear of them."""
    return bool(rendered.snapshot.items) and not is_unwanted_guest(subject)


def is_unwanted_guest(subject: Subject) -> bool:
    """Whether this is a guest's cart or order, and guests are not sent."""
    return conf.GUESTS == "off" and subject.adapter.customer_of(subject.instance) is None


def send_open(trip: Trip, subject: Subject, rendered: Rendered, app: Application) -> None:
    """Send an open session; give it a new id where it cannot follow its customer."""
    with trip.customer(app, rendered.snapshot.profile_id):
        profile_steps.introduce(trip, app, subject, rendered)
        if is_anothers(rendered):
            _start_again(trip, subject, rendered, app)
            return
        try:
            _put(trip, app, rendered)
        except TalonRejected as error:
            if not _is_about_the_customer(error, rendered) and not _is_about_the_state(error):
                raise
            _start_again(trip, subject, rendered, app)


def _is_about_the_state(error: TalonRejected) -> bool:
    """Whether the session is over at Talon.One, of which the answer got lost."""
    return any(detail.pointer.endswith("/state") for detail in error.errors)


def _put(trip: Trip, app: Application, rendered: Rendered) -> None:
    session, snapshot = rendered.session, rendered.snapshot
    # Until there is an answer nobody knows what Talon.One has.
    session.fingerprint = ""
    session.save()
    state = trip.call(app, UPDATE, session.integration_id, sessions.request(snapshot, "open"))
    answers.store(
        session,
        state.effects,
        state="open",
        row_ids=trip.ids,
        fingerprint=rendered.fingerprint,
        profile_id=snapshot.profile_id,
    )


def is_anothers(rendered: Rendered) -> bool:
    """Whether the session was sent for a known customer who is not the cart's any more."""
    before, now = rendered.session.profile_id, rendered.snapshot.profile_id
    return bool(before) and before != now and not before.startswith(sessions.GUEST)


def _is_about_the_customer(error: TalonRejected, rendered: Rendered) -> bool:
    """Whether Talon.One refused to give a guest's session to a customer."""
    moved = rendered.session.profile_id not in {"", rendered.snapshot.profile_id}
    return moved and any(detail.pointer.endswith("/profileId") for detail in error.errors)


def _start_again(trip: Trip, subject: Subject, rendered: Rendered, app: Application) -> None:
    """Cancel the session and open a new one; a failure in between is made good by a retry."""
    old = rendered.session
    if old.state == SessionState.OPEN:
        cancel(trip, app, old)
    fresh = sessions.new(app.alias, cart=old.cart, order=old.order)
    _put(trip, app, sessions.render(subject.adapter, subject.instance, fresh, app))


def deliver_order(trip: Trip) -> None:
    """Bring the session of an order that is neither closed nor cancelled up to date."""
    subject = subject_of(trip.row.aggregate)
    if subject.instance is None:
        answers.forget(trip.ids)
        return
    session = sessions.of_order(subject.key, cart_key_of(subject, trip.row))
    if session is not None and session.is_over:
        note_drift(subject, session)
        answers.forget(trip.ids)
    elif session is None and sessions.is_history(subject.adapter, subject.instance):
        answers.forget(trip.ids)
    elif subject.adapter.state(subject.instance) != "open":
        _tell_the_state(trip, subject)
    else:
        _deliver_open_order(trip, subject, session)


def deliver_link(trip: Trip) -> None:
    """Let an order have the session of the cart that ``talon.link`` named."""
    sessions.of_order(trip.aggregate, (trip.row.payload or {})["cart"])
    answers.forget(trip.ids)


def _tell_the_state(trip: Trip, subject: Subject) -> None:
    """Make good a change of status that no signal told: it has to be a fact."""
    facts = [row for row in trip.following if row.aggregate == subject.key]
    if not facts:
        [row] = marks.order_rows(subject.adapter, subject.instance)
        rows.enqueue([replace(row, lane=trip.row.lane, application=trip.row.application)])
    answers.forget(trip.ids)


def _deliver_open_order(trip: Trip, subject: Subject, session: CustomerSession | None) -> None:
    app = sessions.application_of(session, subject.instance)
    known = session or new_for_order(app, subject, trip.row)
    rendered = sessions.render(subject.adapter, subject.instance, known, app)
    is_wanted = session is not None or _is_worth_a_session(subject, rendered)
    if is_wanted and rendered.snapshot.items and rendered.is_news:
        send_open(trip, subject, rendered, app)
    else:
        answers.forget(trip.ids)


def new_for_order(app: Application, subject: Subject, row: OutboxRow) -> CustomerSession:
    """Return an unsaved session for an order, and for the cart it came from."""
    cart_key = cart_key_of(subject, row)
    return sessions.new(app.alias, cart=cart_key, order=subject.key)


def cart_key_of(subject: Subject, row: OutboxRow) -> str:
    """Return the key of the cart an order came from, even if the order has let it go."""
    if row.lane.startswith("cart:"):
        return row.lane
    pk = subject.adapter.cart_pk_of(subject.instance) if subject.instance is not None else None
    return "" if pk is None else subject.adapter.key("cart", pk)


def note_drift(subject: Subject, session: CustomerSession) -> None:
    """Record that an order was edited after Talon.One closed its session."""
    if subject.instance is None or session.state != SessionState.CLOSED:
        return
    app = sessions.application_of(session, subject.instance)
    found = money_fingerprint(subject, app)
    if found in {"", session.closed_fingerprint, session.drift_fingerprint}:
        return
    session.drift_fingerprint, session.drift_at = found, clock.now()
    session.save(update_fields=["drift_fingerprint", "drift_at"])


def money_fingerprint(subject: Subject, app: Application) -> str:
    """Return a fingerprint of lines and costs; empty if there are no lines any more."""
    items = tuple(subject.adapter.items(subject.instance, app.currency))
    costs = subject.adapter.costs(subject.instance, app.currency)
    return fingerprint(SessionSnapshot(items=items, additional_costs=costs)) if items else ""
