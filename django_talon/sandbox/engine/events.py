"""Events: the built-in ones every update leaves behind, and those shops track."""

from __future__ import annotations

from . import profiles, rules, sessions
from .errors import invalid, problem
from .event_log import record
from .state import Application, Event, Json, Session, World


def track(world: World, application: Application, request: Json, *, dry: bool) -> sessions.Outcome:
    """Run the rules that check this event; V1 events name a session, which is made if new."""
    session_id, sent = request.get("sessionId", ""), request.get("profileId") or ""
    stored = application.sessions.get(session_id)
    if stored is not None and "profileId" in request and stored.profile_id != sent:
        details = "the session belongs to another profile"
        raise invalid(problem("Invalid profile", details, pointer="/profileId"))
    if dry or (stored is None and not session_id):
        session = stored or _transient(world, application, session_id, sent)
    else:
        session = (
            stored or sessions.update(world, application, session_id, {"profile_id": sent}).session
        )
    return _assess(world, application, session, request, dry=dry)


def _transient(world: World, application: Application, session_id: str, profile_id: str) -> Session:
    now = world.clock()
    return Session(0, session_id, application.id, now, now, profile_id)


def _assess(
    world: World, application: Application, session: Session, request: Json, *, dry: bool
) -> sessions.Outcome:
    attributes = request.get("attributes") or {}
    if dry:
        event = Event(0, world.clock(), application.id, request["type"], session.profile_id)
        event.session_id, event.attributes = session.integration_id, attributes
    else:
        event = record(world, application, request["type"], session=session, attributes=attributes)
        _touch(world, session.profile_id)
    evaluation = assess(world, application, session, event)
    event.effects = evaluation.effects
    return sessions.Outcome(session, evaluation, event)


def _touch(world: World, profile_id: str) -> None:
    profile = profiles.ensure(world, profile_id)
    if profile is not None:
        profile.last_activity = world.clock()


def assess(
    world: World, application: Application, session: Session, event: Event
) -> rules.Evaluation:
    """Run the rules for an event; the codes of the session are not looked at."""
    profile = world.profiles.get(session.profile_id)
    scope = rules.Scope(application, session, profile, world.clock(), world.additional_costs, event)
    return rules.evaluate(scope, rules.Evaluation())
