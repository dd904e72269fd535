"""Events: the built-in ones every update leaves behind, and those shops track."""

from __future__ import annotations

from . import budgets, loyalty, profiles, rules, sessions
from .errors import RefusedError, invalid, not_found, problem
from .event_log import record
from .state import Application, Event, Json, Profile, Session, World


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


def track_advanced(
    world: World, application: Application, request: Json, *, dry: bool
) -> sessions.Outcome:
    """Track a V3 event: its id is used once, its connected session must be closed."""
    if request["integrationId"] in application.advanced_events:
        raise RefusedError(409, f'Event "{request["integrationId"]}" exists already')
    connected = request.get("connectedSessionId", "")
    if connected:
        found = application.sessions.get(connected)
        if found is None or found.state != "closed":
            details = "the connected session must be closed"
            raise invalid(problem("Invalid session", details, pointer="/connectedSessionId"))
    session = _transient(world, application, "", request["profileId"])
    outcome = _assess(world, application, session, request, dry=dry)
    outcome.event.integration_id = request["integrationId"]
    outcome.event.connected_session_id = connected
    if not dry:
        application.advanced_events[request["integrationId"]] = outcome.event
    return outcome


def find_advanced(application: Application, event_id: str) -> Event:
    """Return a V3 event, or raise the 404."""
    event = application.advanced_events.get(event_id)
    if event is None:
        raise not_found("Event", event_id)
    return event


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
    event.store_integration_id = request.get("storeIntegrationId", "")
    chosen = request.get("evaluableCampaignIds")
    evaluation = assess(world, application, session, event, dry=dry, campaign_ids=chosen)
    event.effects = tuple(evaluation.effects)
    return sessions.Outcome(session, evaluation, event)


def _touch(world: World, profile_id: str) -> None:
    profile = profiles.ensure(world, profile_id)
    if profile is not None:
        profile.last_activity = world.clock()


def assess(
    world: World,
    application: Application,
    session: Session,
    event: Event,
    *,
    dry: bool = False,
    campaign_ids: list[int] | None = None,
    audiences: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset()),
    profile: Profile | None = None,
) -> rules.Evaluation:
    """Run the rules for an event; the codes of the session are not looked at.

    No close follows an event, so its changes and budgets count at once. ``profile`` stands in
    for the stored one.
    """
    scope = rules.Scope(
        world,
        application,
        session,
        profile or world.profiles.get(session.profile_id),
        world.clock(),
        event,
        campaign_ids=campaign_ids,
        dry=dry,
        audiences=audiences,
    )
    evaluation = rules.evaluate(scope, rules.Evaluation())
    if not dry:
        for change in evaluation.changes:
            change()
        budgets.book(application, evaluation.spending.amounts)
        loyalty.book(world, session.profile_id, evaluation.effects, scope.now)
    return evaluation
