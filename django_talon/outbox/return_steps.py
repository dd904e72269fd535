"""Delivery of what follows a close: items given back, and orders opened again.

A return is found by comparing the units that the shop says were given back with
those that Talon.One has heard of. The row that found them becomes the fact, in
its place in the lane, and what is sent is written into it before the first send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django_talon.client import TalonRejected
from django_talon.models import CustomerSession
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import answers, dialects, sessions
from django_talon.outbox.subjects import ImpossibleTransition, Subject, check, note_drift
from django_talon.outbox.trip import Trip

#: States in which units can be given back.
RETURNABLE = frozenset({SessionState.CLOSED, SessionState.PARTIALLY_RETURNED})


@dataclass(frozen=True)
class Returns:
    """What was given back since Talon.One heard of it last, and what it cannot hear of."""

    #: Position in the closed cart -> units.
    units: Mapping[int, int]
    #: Line key -> units in all, once those have been told.
    totals: Mapping[str, int]
    problems: tuple[str, ...]


def after_close(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    """Send what was given back since the close; note what else was edited as drift."""
    note_drift(subject, session)
    if is_owed(subject, session):
        become_return(trip)
        deliver_return(trip, subject, session)
    else:
        answers.forget(trip.ids)


def is_owed(subject: Subject, session: CustomerSession) -> bool:
    """Whether units were given back of which Talon.One has not heard, nor cannot hear."""
    if subject.instance is None or session.state not in RETURNABLE:
        return False
    now = given_back(subject)
    return now not in (session.returned or {}, session.refused_return)


def given_back(subject: Subject) -> dict[str, int]:
    """Return line key -> units given back in all, as the shop says it now."""
    if subject.instance is None:
        return {}
    return subject.adapter.returned(subject.instance)


def become_return(trip: Trip) -> None:
    """Turn the step's first row into a return, in its place in the lane."""
    row = trip.row
    row.kind, row.payload, row.uid = Kind.RETURNED, None, uuid4()
    row.save(update_fields=["kind", "payload", "uid"])


def deliver_return(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    """Send a return; what cannot be told of it becomes a dead letter, once."""
    if trip.row.payload is None:
        if subject.instance is None:
            answers.forget(trip.ids)
            return
        check(session, Kind.RETURNED)
        found = _compare(session, given_back(subject))
        if found.problems and not found.units:
            _refuse(subject, session, found.problems)
        if not found.units:
            answers.forget(trip.ids)
            return
        _freeze(trip, found)
    _send(trip, subject, session)


def _compare(session: CustomerSession, now: Mapping[str, int]) -> Returns:
    told = dict(session.returned or {})
    lines = {key: (at, most) for at, (key, most) in enumerate(session.closed_lines or [])}
    units: dict[int, int] = {}
    problems = []
    for key in sorted({*now, *told}):
        more = now.get(key, 0) - told.get(key, 0)
        if problem := _problem(key, now.get(key, 0), more, lines):
            problems.append(problem)
        elif more:
            units[lines[key][0]] = more
            told[key] = now[key]
    return Returns(units, told, tuple(problems))


def _problem(key: str, total: int, more: int, lines: Mapping[str, tuple[int, int]]) -> str:
    """Say why Talon.One cannot be told of a line's return; an empty string if it can."""
    if not more:
        return ""
    if key not in lines:
        return f"line {key} was not in the cart that closed the session"
    if more < 0:
        return f"{-more} fewer of line {key} are given back than before, and a return stands"
    if total > lines[key][1]:
        return f"{total} of line {key} are given back, but {lines[key][1]} were bought"
    return ""


def _refuse(subject: Subject, session: CustomerSession, problems: tuple[str, ...]) -> None:
    """Raise `ImpossibleTransition`; the same quantities are not complained about again."""
    _remember_refusal(subject, session)
    raise ImpossibleTransition(
        f"Talon.One cannot be told what was given back: {'; '.join(problems)}."
    )


def _remember_refusal(subject: Subject, session: CustomerSession) -> None:
    session.refused_return = given_back(subject)
    session.save(update_fields=["refused_return"])


def _freeze(trip: Trip, found: Returns) -> None:
    rows = [{"position": at, "quantity": units} for at, units in sorted(found.units.items())]
    trip.row.payload = {
        "request": {"return": {"returnedCartItems": rows}},
        "returned": dict(found.totals),
        "problems": list(found.problems),
    }
    trip.row.save(update_fields=["payload"])


def _send(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    payload = trip.row.payload or {}
    problems = tuple(payload["problems"])
    if session.returned != payload["returned"]:  # else the answer was stored already
        _call(trip, subject, session, payload)
    if problems:
        trip.row.payload = None  # a replay looks again
        _refuse(subject, session, problems)
    answers.forget(trip.ids)


def _call(
    trip: Trip, subject: Subject, session: CustomerSession, payload: Mapping[str, Any]
) -> None:
    app = sessions.application_of(session, subject.instance)
    with trip.customer(app, session.profile_id):
        try:
            effects = dialects.return_items(
                trip.call, app, session.integration_id, payload["request"], key=str(trip.row.uid)
            )
        except (TalonRejected, dialects.NotIn2020) as error:
            if error.status in {None, 400, 422}:
                _remember_refusal(subject, session)
            raise
        session.returned = payload["returned"]
        kept = trip.ids if not payload["problems"] else ()
        answers.store(trip, session, effects, state=SessionState.PARTIALLY_RETURNED, row_ids=kept)


def reopen(trip: Trip, subject: Subject, session: CustomerSession) -> None:
    """Open a closed session again; its content is sent anew by the caller."""
    check(session, Kind.REOPENED)
    app = sessions.application_of(session, subject.instance)
    with trip.customer(app, session.profile_id):
        effects = dialects.reopen(trip.call, app, session.integration_id, key=str(trip.row.uid))
        # What Talon.One makes of the open session is known after the next update.
        session.fingerprint = ""
        session.returned = session.refused_return = None
        answers.store(trip, session, effects, state=SessionState.OPEN, row_ids=())
