"""Delivery of what became of an order: closed and cancelled sessions, as facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec

from django_talon.client import encode
from django_talon.conf import Application, conf
from django_talon.models import CustomerSession, Erasure, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.outbox import answers, sessions
from django_talon.outbox.session_steps import (
    UPDATE,
    Subject,
    cancel,
    cart_key_of,
    is_unwanted_guest,
    money_fingerprint,
    new_for_order,
    note_drift,
    send_open,
    subject_of,
)
from django_talon.outbox.trip import NotYet, Trip

#: Seconds for which an order's rows may still be on their way when its status is saved.
SETTLE = 5.0


class ImpossibleTransition(Exception):
    """The shop says one thing and the state at Talon.One forbids it."""


def deliver_transition(trip: Trip) -> None:
    """Send a close or a cancellation: rendered once, then the same bytes until it arrives."""
    row = trip.row
    subject = subject_of(row.aggregate)
    _wait_until_settled(trip)
    session = sessions.of_order(subject.key, cart_key_of(subject, row))
    if session is None:
        session = _first_seen(subject, row)
    if session is None:
        answers.forget(trip.ids)
    elif session.state == row.kind:
        note_drift(subject, session)
        answers.forget(trip.ids)
    elif row.kind == "cancelled" and session.state == SessionState.NEW:
        _cancel_the_unknown(trip, session)
    else:
        _check(session, row)
        _send_transition(trip, subject, session)


def _cancel_the_unknown(trip: Trip, session: CustomerSession) -> None:
    """Cancel a session of which no answer ever came: Talon.One may have it all the same."""
    app = sessions.application_of(session, None)
    with trip.customer(app, session.profile_id):
        cancel(trip, app, session)
    answers.forget(trip.ids)


def _wait_until_settled(trip: Trip) -> None:
    """An order's status is saved before its lines: wait a moment for the rest of it."""
    row = trip.row
    if row.payload is not None:
        return
    latest = max(other.created_at for other in [row, *trip.following])
    quiet = latest + timedelta(seconds=conf.DEBOUNCE)
    ready = min(quiet, row.created_at + timedelta(seconds=max(SETTLE, conf.DEBOUNCE)))
    if ready > trip.lease.now():
        raise NotYet(ready)


def _first_seen(subject: Subject, row: OutboxRow) -> CustomerSession | None:
    """Return a new session for an order that Talon.One should hear of only now."""
    if subject.instance is None or row.kind != "closed":
        return None
    if sessions.is_history(subject.adapter, subject.instance) or is_unwanted_guest(subject):
        return None
    app = sessions.application_of(None, subject.instance)
    session = new_for_order(app, subject, row)
    sessions.take_over(session, subject.key)
    return session


def _check(session: CustomerSession, row: OutboxRow) -> None:
    if row.kind not in sessions.TRANSITIONS[SessionState(session.state)]:
        raise ImpossibleTransition(
            f"The order is {row.kind}, but its customer session is"
            f" {session.state or 'not known to Talon.One'} and cannot become that."
        )


def _send_transition(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    app = sessions.application_of(session, subject.instance)
    payload = trip.row.payload
    if payload is None or _is_erased(app, payload["profile_id"]):
        session = _with_its_customer(trip, subject, session, app)
        payload = _freeze(trip, subject, session, app)
    body = _decimals(payload["request"])
    with trip.customer(app, payload["profile_id"]):
        state = trip.call(
            app, UPDATE, session.integration_id, body, idempotency_key=str(trip.row.uid)
        )
        answers.store(
            session,
            state.effects,
            state=trip.row.kind,
            row_ids=trip.ids,
            fingerprint=payload["fingerprint"] or None,
        )


def _with_its_customer(
    trip: Trip, subject: Subject, session: CustomerSession, app: Application
) -> CustomerSession:
    """Let an open session follow its order's customer, who may have logged in to pay."""
    if trip.row.kind != "closed" or subject.instance is None or session.state != SessionState.OPEN:
        return session
    rendered = sessions.render(subject.adapter, subject.instance, session, app)
    if not rendered.snapshot.items or rendered.snapshot.profile_id in {"", session.profile_id}:
        return session
    trip.app = app
    send_open(replace(trip, rows=[]), subject, rendered, app)
    return sessions.of_order(subject.key, "") or session


def _is_erased(app: Application, profile_id: str) -> bool:
    return bool(profile_id) and Erasure.standing(app.environment, profile_id)


def _freeze(
    trip: Trip, subject: Subject, session: CustomerSession, app: Application
) -> dict[str, Any]:
    """Write what will be sent into the row, before it is sent for the first time."""
    row = trip.row
    body, known, profile_id = sessions.bare(row.kind), "", session.profile_id
    if row.kind == "closed" and subject.instance is not None:
        rendered = sessions.render(subject.adapter, subject.instance, session, app)
        if rendered.snapshot.items and not _is_erased(app, profile_id):
            body = sessions.request(rendered.snapshot, row.kind)
            known, profile_id = rendered.fingerprint, rendered.snapshot.profile_id
        session.closed_fingerprint = money_fingerprint(subject, app)
        session.save(update_fields=["closed_fingerprint"])
    payload = {"request": encode(body).decode(), "fingerprint": known, "profile_id": profile_id}
    if row.claims or row.attempts:
        row.uid = uuid4()  # another body may have been sent with the old key
    row.payload = payload
    row.save(update_fields=["payload", "uid"])
    return payload


def _decimals(text: str) -> Any:
    return msgspec.json.Decoder(Any, float_hook=Decimal).decode(text)
