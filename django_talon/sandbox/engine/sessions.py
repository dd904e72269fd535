"""The life of a customer session: merge, transitions, evaluation, close, cancel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from . import coupons, profiles, referrals, rollbacks, rules, totals
from .errors import invalid, not_found, problem
from .event_log import record
from .state import Application, Event, Json, Session, World

_CONTENT = (
    "profile_id",
    "coupon_codes",
    "referral_code",
    "cart_items",
    "additional_costs",
    "identifiers",
    "attributes",
    "client_total",
)
_TRANSITIONS = {
    None: {"open", "closed"},
    "open": {"open", "closed", "cancelled"},
    "closed": {"cancelled"},
    "cancelled": set[str](),
}


@dataclass
class Outcome:
    """What an update came to; ``event`` is None for a replay or a dry run of nothing new."""

    session: Session
    evaluation: rules.Evaluation
    event: Event


def find(application: Application, session_id: str) -> Session:
    """Return a stored session, or raise the 404 (declared nowhere: a guess)."""
    session = application.sessions.get(session_id)
    if session is None:
        raise not_found("Customer session", session_id)
    return session


def update(
    world: World,
    application: Application,
    session_id: str,
    changes: Json,
    *,
    pointer: str = "",
) -> Outcome:
    """Store an update and what the rules answer to it; raise the 400 of an illegal one.

    ``changes`` holds only what was sent, under our field names; ``pointer`` prefixes the
    JSON pointers of errors (V2 bodies nest the session).
    """
    stored = application.sessions.get(session_id)
    session = merged(stored or _blank(world, application, session_id), changes)
    _check_owner(stored, session, pointer)
    if stored is not None and _is_replay(stored, session):
        return _replayed(stored)
    _check_transition(stored, session, pointer)
    session.first_session = _is_first(application, session)
    return _store(world, application, stored, session)


def _store(
    world: World, application: Application, stored: Session | None, session: Session
) -> Outcome:
    now = world.clock()
    profile = profiles.ensure(world, session.profile_id)
    session.id = session.id or world.ids.next("session")
    session.updated = now
    session.update_count += 1
    if profile is not None:
        profile.last_activity = now
    kind = _event_type(stored, session)
    event = record(world, application, kind, session=session, attributes=_told(stored))
    if session.state == "cancelled":
        evaluation = _cancel(world, application, session, was=stored)
    else:
        evaluation = assess(world, application, session, event)
        session.effects = evaluation.effects
        session.failures = evaluation.failures
    event.effects = evaluation.effects
    session.last_event = event
    if session.state == "closed":
        _close(world, application, session, evaluation)
    application.sessions[session.integration_id] = session
    return Outcome(session, evaluation, event)


def dry_run(world: World, application: Application, session_id: str, changes: Json) -> Outcome:
    """Evaluate only what was sent, as if it were to be closed; store nothing."""
    now = changes.pop("now", None) or world.clock()
    session = merged(_blank(world, application, session_id), changes)
    session.first_session = _is_first(application, session)
    event = Event(0, now, application.id, "talon_session_updated", session.profile_id, session_id)
    stored = application.sessions.get(session_id)
    if session.state == "cancelled":
        effects = rollbacks.of(stored) if stored is not None else []
        return Outcome(session, rules.Evaluation(effects=effects), event)
    evaluation = assess(world, application, session, event, now=now)
    return Outcome(session, evaluation, event)


def assess(
    world: World, application: Application, session: Session, event: Event, now: Any = None
) -> rules.Evaluation:
    """Check the codes of a session and run the rules over it; change nothing."""
    now = now or world.clock()
    evaluation = rules.Evaluation()
    valid = []
    for code in dict.fromkeys(session.coupon_codes):
        refused = coupons.rejection(application, code, session.profile_id, now)
        if refused is None:
            valid.append(application.coupons[code])
        else:
            evaluation.effects.append(refused)
    scope = rules.Scope(
        application,
        session,
        world.profiles.get(session.profile_id),
        now,
        world.additional_costs,
        event,
        valid,
        campaign_ids=session.extras.get("evaluableCampaignIds"),
    )
    if session.referral_code:
        refused = referrals.rejection(application, session.referral_code, session.profile_id, now)
        if refused is None:
            scope.referral = application.referrals[session.referral_code]
        else:
            evaluation.effects.append(refused)
    return rules.evaluate(scope, evaluation)


def merged(session: Session, changes: Json) -> Session:
    """Return a copy with what was sent; attributes merge by key, all else is replaced."""
    news = {n: v for n, v in changes.items() if v is not None or n == "client_total"}
    if "attributes" in news:
        news["attributes"] = profiles.merged(session.attributes, news["attributes"])
    return replace(session, **news)


def _blank(world: World, application: Application, session_id: str) -> Session:
    now = world.clock()
    return Session(0, session_id, application.id, now, now)


def _is_replay(stored: Session, session: Session) -> bool:
    settled = stored.state != "open" and stored.state == session.state
    return settled and not edited(stored, session)


def edited(stored: Session, session: Session) -> list[str]:
    """Return the names of the content fields in which two states of a session differ."""
    return [name for name in _CONTENT if getattr(stored, name) != getattr(session, name)]


def _replayed(stored: Session) -> Outcome:
    """Answer a repeated close or cancellation as the first time; nothing is counted twice."""
    effects = stored.rollbacks if stored.state == "cancelled" else stored.effects
    evaluation = rules.Evaluation(effects=list(effects), failures=list(stored.failures))
    evaluation.triggered = dict.fromkeys(e.campaign_id for e in effects if e.campaign_id > 0)
    assert stored.last_event is not None, "stored sessions have an event"  # noqa: S101
    return Outcome(stored, evaluation, stored.last_event)


def _check_owner(stored: Session | None, session: Session, pointer: str) -> None:
    if stored is None or stored.profile_id in ("", session.profile_id):
        return
    details = "the session belongs to another profile; a known profile cannot be replaced"
    raise invalid(problem("Invalid profile", details, pointer=f"{pointer}/profileId"))


def _check_transition(stored: Session | None, session: Session, pointer: str) -> None:
    before = stored.state if stored is not None else None
    title, where = "Invalid state transition", f"{pointer}/state"
    if session.state not in _TRANSITIONS[before]:
        details = f"a session cannot go from {before or 'new'} to {session.state}"
        if before == session.state:
            details = f"a {before} session cannot be edited"
        raise invalid(problem(title, details, pointer=where))
    if before == "closed" and stored is not None and edited(stored, session):
        raise invalid(problem(title, "a closed session cannot be edited", pointer=where))


def _is_first(application: Application, session: Session) -> bool:
    if not session.profile_id:
        return True
    known = application.sessions.get(session.integration_id)
    if known is not None and known.profile_id == session.profile_id:
        return known.first_session
    sessions = application.sessions.values()
    return all(other.profile_id != session.profile_id for other in sessions)


def _event_type(stored: Session | None, session: Session) -> str:
    if session.state == "closed":
        return "talon_session_closed"
    if session.state == "cancelled":
        revoked = stored is not None and stored.state == "closed"
        return "talon_session_revoked" if revoked else "talon_session_cancelled"
    return "talon_session_updated"


def _told(stored: Session | None) -> Json:
    return {"isNew": stored is None}


def _close(
    world: World, application: Application, session: Session, evaluation: rules.Evaluation
) -> None:
    coupons.redeem(application, session, list(evaluation.redeemed_coupons))
    referrals.redeem(application, session, evaluation.redeemed_referral)
    profiles.count_close(world.profiles.get(session.profile_id), totals.total(session))


def _cancel(
    world: World, application: Application, session: Session, was: Session | None
) -> rules.Evaluation:
    session.rollbacks = rollbacks.of(session)
    if was is not None and was.state == "closed":
        coupons.restore(application, session)
        referrals.restore(application, session)
        profiles.count_cancel(world.profiles.get(session.profile_id), totals.total(session))
    return rules.Evaluation(effects=session.rollbacks)
