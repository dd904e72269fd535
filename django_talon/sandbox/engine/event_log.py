"""The log of events that every stored update leaves behind."""

from __future__ import annotations

from .state import Application, Event, Json, Session, World


def record(
    world: World,
    application: Application,
    kind: str,
    *,
    profile_id: str = "",
    session: Session | None = None,
    attributes: Json | None = None,
) -> Event:
    """Append an event to the application's log and return it."""
    event = Event(
        world.ids.next("event"),
        world.clock(),
        application.id,
        kind,
        session.profile_id if session is not None else profile_id,
        session.integration_id if session is not None else "",
        attributes or {},
    )
    application.events.append(event)
    return event
