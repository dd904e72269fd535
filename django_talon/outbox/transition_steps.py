"""Delivery of what became of an order: closed and cancelled sessions, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec

from django_talon.client import encode
from django_talon.conf import Application, conf
from django_talon.models import CustomerSession, Erasure
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import answers, dialects, sessions, tombstones
from django_talon.outbox.return_steps import after_close, deliver_return, given_back, reopen
from django_talon.outbox.session_steps import (
    cancel,
    deliver_cart,
    deliver_order,
    is_edited,
    send_open,
    session_of_order,
)
from django_talon.outbox.subjects import (
    Subject,
    cart_key_of,
    check,
    fingerprint_of,
    is_unwanted_guest,
    new_for_order,
    subject_of,
)
from django_talon.outbox.trip import SETTLE, NotYet, Trip
from django_talon.shop import values
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.snapshots import ItemSnapshot, SessionSnapshot


def deliver_transition(trip: Trip) -> None:
    """Send what became of an order: rendered once, then the same bytes until it arrives."""
    row = trip.row
    subject = subject_of(row.aggregate)
    _wait_until_settled(trip)
    session = session_of_order(trip, subject, cart_key_of(subject, row))
    if session is None:
        session = _first_seen(trip, subject)
    if row.kind == Kind.REOPENED:
        _reopened(trip, subject, session)
    elif session is None:
        answers.forget(trip.ids)
    elif row.kind == Kind.RETURNED:
        deliver_return(trip, subject, session)
    elif _is_so(session, row.kind):
        after_close(trip, subject, session)
    elif row.kind == Kind.CANCELLED and session.state == SessionState.NEW:
        _cancel_the_unknown(trip, session)
    else:
        check(session, row.kind)
        _send_transition(trip, subject, session)


def _is_so(session: CustomerSession, kind: str) -> bool:
    """Whether Talon.One knows of this already; a return leaves a closed order closed."""
    if kind == Kind.CLOSED and session.state == SessionState.PARTIALLY_RETURNED:
        return True
    return session.state == kind


def _reopened(trip: Trip, subject: Subject, session: CustomerSession | None) -> None:
    """Open a closed session again, then bring it up to date as any open one."""
    if session is not None and session.is_over and subject.instance is not None:
        reopen(trip, subject, session)
    if subject.is_one_model:
        deliver_cart(trip)
    else:
        deliver_order(trip)


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


def _first_seen(trip: Trip, subject: Subject) -> CustomerSession | None:
    """Return a new session for an order that Talon.One should hear of only now."""
    row = trip.row
    if subject.instance is None or row.kind != Kind.CLOSED:
        return None
    if sessions.is_history(subject.adapter, subject.instance) or is_unwanted_guest(subject):
        return None
    app = sessions.application_of(None, subject.instance)
    session = new_for_order(app, subject, row)
    sessions.take_over(session, subject.key, is_edited=is_edited(trip, subject, session.cart))
    return session


def _send_transition(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    app = sessions.application_of(session, subject.instance)
    payload = trip.row.payload
    if payload is None or _is_erased(app, payload["profile_id"]):
        session = _with_its_customer(trip, subject, session, app)
        payload = _freeze(trip, subject, session, app)
    body = _decimals(payload["request"])
    with _customer(trip, app, payload):
        effects = dialects.update_session(
            trip.call, app, session.integration_id, body, key=str(trip.row.uid)
        )
        # Units may have been given back before the close was sent: its row tells that, too.
        goes_on = trip.row.kind == Kind.CLOSED and bool(given_back(subject))
        answers.store(
            trip,
            session,
            effects,
            state=trip.row.kind,
            row_ids=() if goes_on else trip.ids,
            fingerprint=payload["fingerprint"] or None,
            profile_id=payload["profile_id"] if payload["fingerprint"] else None,
        )
    if goes_on:
        after_close(trip, subject, session)


def _with_its_customer(
    trip: Trip, subject: Subject, session: CustomerSession, app: Application
) -> CustomerSession:
    """Let an open session follow its order's customer, who may have logged in to pay."""
    is_open = trip.row.kind == Kind.CLOSED and session.state == SessionState.OPEN
    if not is_open or subject.instance is None:
        return session
    rendered = sessions.render(subject.adapter, subject.instance, session, app)
    profile_id = _with_profile(subject, session, rendered.snapshot).profile_id
    if not rendered.snapshot.items or profile_id in {"", session.profile_id}:
        return session
    trip.app = app
    send_open(replace(trip, rows=[]), subject, rendered, app)
    return sessions.of_order(subject.key, "") or session


def _with_profile(
    subject: Subject, session: CustomerSession, snapshot: SessionSnapshot
) -> SessionSnapshot:
    """Keep the session's customer where the order has lost its own, as when a user is deleted."""
    known = session.profile_id
    if not known or known.startswith(sessions.GUEST):
        return snapshot
    if subject.adapter.customer_of(subject.instance) is not None:
        return snapshot
    return replace(snapshot, profile_id=known)


def _customer(
    trip: Trip, app: Application, payload: Mapping[str, Any]
) -> AbstractContextManager[None]:
    """Hold the lane of a session's customer, whom a body without content does not name."""
    if payload["fingerprint"]:
        return tombstones.named_customer(trip, app, payload["profile_id"])
    return trip.customer(app, payload["profile_id"])


def _is_erased(app: Application, profile_id: str) -> bool:
    return bool(profile_id) and Erasure.standing(app.environment, profile_id)


def _freeze(
    trip: Trip, subject: Subject, session: CustomerSession, app: Application
) -> dict[str, Any]:
    """Write what will be sent into the row, before it is sent for the first time."""
    row = trip.row
    body, known, profile_id = sessions.bare(row.kind), "", session.profile_id
    if row.kind == Kind.CLOSED:
        items: tuple[ItemSnapshot, ...] = ()
        if subject.instance is not None:
            rendered = sessions.render(subject.adapter, subject.instance, session, app)
            snapshot = _with_profile(subject, session, rendered.snapshot)
            if snapshot.items and not _is_erased(app, profile_id):
                items = snapshot.items
                body = sessions.request(snapshot, row.kind, session.attribute_kinds)
                known, profile_id = fingerprint(snapshot), snapshot.profile_id
                session.attribute_kinds = values.kinds(snapshot.attributes)
            session.closed_fingerprint = fingerprint_of(snapshot.items, snapshot.additional_costs)
            session.closed_total = snapshot.total if snapshot.items else None
        _keep_lines(session, items)
    payload = {"request": encode(body).decode(), "fingerprint": known, "profile_id": profile_id}
    if row.claims or row.attempts:
        row.uid = uuid4()  # another body may have been sent with the old key
    row.payload = payload
    row.save(update_fields=["payload", "uid"])
    return payload


def _keep_lines(session: CustomerSession, items: tuple[ItemSnapshot, ...]) -> None:
    """Keep which line is at which position: returns are told by position."""
    session.closed_lines = [[item.key, item.quantity] for item in items]
    session.returned = session.refused_return = session.drift_at = session.drift_total = None
    session.drift_fingerprint = ""
    kept = ["closed_lines", "closed_fingerprint", "closed_total", "attribute_kinds"]
    news = ["returned", "refused_return", "drift_at", "drift_fingerprint", "drift_total"]
    session.save(update_fields=[*kept, *news])


def _decimals(text: str) -> Any:
    return msgspec.json.Decoder(Any, float_hook=Decimal).decode(text)
