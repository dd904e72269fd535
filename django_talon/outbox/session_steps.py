"""Delivery of carts and open orders: customer sessions as state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from django.db import transaction

from django_talon.client import TalonRejected
from django_talon.conf import Application
from django_talon.models import CustomerSession, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import (
    answers,
    clock,
    dialects,
    marks,
    profile_steps,
    rows,
    sessions,
    tombstones,
)
from django_talon.outbox.plan import settled
from django_talon.outbox.return_steps import after_close
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.subjects import (
    Subject,
    cart_key_of,
    is_past,
    is_unwanted_guest,
    new_for_order,
    subject_of,
)
from django_talon.outbox.trip import Trip
from django_talon.shop import values
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.snapshots import SessionSnapshot, SnapshotError


def deliver_cart(trip: Trip) -> None:
    """Bring the open session of a cart up to date."""
    subject = subject_of(trip.row.aggregate)
    session = sessions.of_cart(subject.key)
    if session is not None and session.is_over and _goes_on(subject):
        _after_the_end(trip, subject, session)
    elif is_past(subject):
        answers.forget(trip.ids)
    elif subject.instance is None or not subject.adapter.is_active(subject.instance):
        _let_go(trip, session)
    elif _order_follows(trip, {Kind.CLOSED}) or is_ordered(subject, session):
        answers.forget(trip.ids)
    else:
        _deliver_open(trip, subject, None if is_spent(subject, session) else session)


def _goes_on(subject: Subject) -> bool:
    """Whether this is an order, too, whose status says something of its closed session."""
    return subject.is_one_model and subject.wanted() != "open"


def is_spent(subject: Subject, session: CustomerSession | None) -> bool:
    """Whether a cart's session is over, or an order's: what comes now needs a new one."""
    if session is None:
        return False
    return session.is_over or (bool(session.order) and not subject.is_one_model)


def _let_go(trip: Trip, session: CustomerSession | None) -> None:
    """The cart is gone: cancel its session, unless an order has it or is about to."""
    is_free = session is not None and not session.order and not session.is_over
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
        effects = dialects.update_session(
            trip.call, app, session.integration_id, sessions.bare("cancelled")
        )
    except TalonRejected as error:
        if error.status != 400:
            raise
        effects = []
    answers.store(trip, session, effects, state="cancelled", row_ids=())


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
    if session is not None and sessions.is_elsewhere(session, subject.instance):
        _leave(trip, session)
        session = None
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, cart=subject.key)
    rendered = sessions.render(subject.adapter, subject.instance, known, app)
    if (session is None and not _is_worth_a_session(subject, rendered)) or not rendered.is_news:
        answers.forget(trip.ids)
    else:
        send_open(trip, subject, rendered, app)


def _leave(trip: Trip, session: CustomerSession) -> None:
    """Cancel the session of a cart that is another Application's now: its amounts differ there."""
    app = sessions.application_of(session, None)
    with trip.customer(app, session.profile_id):
        cancel(trip, app, session)


def _is_worth_a_session(subject: Subject, rendered: Rendered) -> bool:
    """Bots and page views make empty carts; nobody needs to hear of them."""
    return bool(rendered.snapshot.items) and not is_unwanted_guest(subject)


def send_open(trip: Trip, subject: Subject, rendered: Rendered, app: Application) -> None:
    """Send an open session; give it a new id where it cannot follow its customer."""
    is_known = rendered.session.pk is not None
    before, now = rendered.session.profile_id, rendered.snapshot.profile_id
    # The one whose session it was, too: an erasure of theirs may be about to cancel it.
    with (
        trip.customer(app, before if before != now else ""),
        tombstones.named_customer(trip, app, now),
    ):
        profile_steps.introduce(trip, app, subject, rendered)
        if is_anothers(rendered):
            _start_again(trip, subject, rendered, app)
            return
        try:
            _put(trip, app, rendered)
        except TalonRejected as error:
            moved = is_known and _is_about_the_customer(error)
            if not moved and not _is_about_the_state(error):
                raise
            _start_again(trip, subject, rendered, app)


def _is_about_the_state(error: TalonRejected) -> bool:
    """Whether the session is over at Talon.One, of which the answer got lost."""
    return any(detail.pointer.endswith("/state") for detail in error.errors)


def _put(trip: Trip, app: Application, rendered: Rendered) -> None:
    session, snapshot = rendered.session, rendered.snapshot
    # Until there is an answer nobody knows what Talon.One has, nor of whom: an erasure asks.
    session.fingerprint, session.profile_id = "", snapshot.profile_id
    if session.pk:
        session.save(update_fields=["fingerprint", "profile_id"])
    else:
        with transaction.atomic(using=clock.outbox_alias()):
            trip.confirm()
            session.save()
    body = sessions.request(snapshot, "open", session.attribute_kinds)
    effects = dialects.update_session(trip.call, app, session.integration_id, body)
    session.attribute_kinds = values.kinds(snapshot.attributes)
    answers.store(
        trip,
        session,
        effects,
        state="open",
        row_ids=trip.ids,
        fingerprint=rendered.fingerprint,
        profile_id=snapshot.profile_id,
    )


def is_anothers(rendered: Rendered) -> bool:
    """Whether the session was sent for a known customer who is not the cart's any more."""
    before, now = rendered.session.profile_id, rendered.snapshot.profile_id
    return bool(before) and before != now and not before.startswith(sessions.GUEST)


def _is_about_the_customer(error: TalonRejected) -> bool:
    """Whether Talon.One refused to give a session to another customer, or to nobody."""
    return any(detail.pointer.endswith("/profileId") for detail in error.errors)


def _start_again(trip: Trip, subject: Subject, rendered: Rendered, app: Application) -> None:
    """Cancel the session and open a new one; a failure in between is made good by a retry."""
    old = rendered.session
    if not old.is_over:
        cancel(trip, app, old)
    fresh = sessions.new(app.alias, cart=old.cart, order=old.order)
    _put(trip, app, sessions.render(subject.adapter, subject.instance, fresh, app))


def deliver_order(trip: Trip) -> None:
    """Bring the session of an order that is neither closed nor cancelled up to date."""
    subject = subject_of(trip.row.aggregate)
    if subject.instance is None:
        _let_go_of_order(trip, subject)
        return
    session = session_of_order(trip, subject, cart_key_of(subject, trip.row))
    if session is not None and session.is_over:
        _after_the_end(trip, subject, session)
    elif session is None and sessions.is_history(subject.adapter, subject.instance):
        answers.forget(trip.ids)
    elif subject.wanted() in {"closed", "cancelled"}:
        _tell_the_state(trip, subject)
    else:
        _deliver_open_order(trip, subject, session)


def session_of_order(trip: Trip, subject: Subject, cart_key: str) -> CustomerSession | None:
    """Return the session of a step's order; one of its cart is taken over."""
    return sessions.of_order(
        subject.key, cart_key, is_edited=lambda: is_edited(trip, subject, cart_key)
    )


def is_edited(trip: Trip, subject: Subject, cart_key: str) -> bool:
    """Whether the shopper went on with a cart before the step with its order was made.

    What placed the order may save the cart once more, even late, and leave the lines as they are.
    """
    marks = OutboxRow.objects.filter(lane=trip.lease.key, aggregate=cart_key)
    if subject.instance is None or not marks.filter(created_at__gt=settled(trip.row)).exists():
        return False
    cart = subject_of(cart_key)
    with suppress(SnapshotError):  # told by the steps that send them
        return cart.instance is not None and _quantities(cart) != _quantities(subject)
    return False


def _quantities(subject: Subject) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in sessions.lines(subject.adapter, subject.instance):
        found[item.sku] += item.quantity
    return found


def _let_go_of_order(trip: Trip, subject: Subject) -> None:
    """The order is gone: cancel its session, unless it was closed or is about to be."""
    session = CustomerSession.objects.filter(order=subject.key).order_by("-pk").first()
    facts = [row for row in trip.following if row.aggregate == subject.key]
    if session is not None and not session.is_over and not facts:
        app = sessions.application_of(session, None)
        with trip.customer(app, session.profile_id):
            cancel(trip, app, session)
    answers.forget(trip.ids)


def _after_the_end(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    """Look what became of an order whose session is over."""
    if subject.wanted() in sessions.TRANSITIONS[SessionState(session.state)]:
        _tell_the_state(trip, subject)
    else:
        after_close(trip, subject, session)


def deliver_link(trip: Trip) -> None:
    """Let an order have the session of the cart that ``talon.link`` named."""
    session_of_order(trip, subject_of(trip.aggregate), (trip.row.payload or {})["cart"])
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
