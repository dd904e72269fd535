"""What a world holds, as the ``state`` of a campaign file, and back.

Campaigns, settings and declarations stand elsewhere in the file; what is left out of an entity
has its default, so that a fixture by hand needs no more than the ids:
``{"profiles": [{"integrationId": "ada"}]}``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import plain
from .errors import SeedError, Told
from .fresh import add_application, new_world
from .seed_fields import fields, many, text
from .state import (
    Application,
    Clock,
    Coupon,
    Event,
    Failure,
    Failures,
    Group,
    Json,
    Profile,
    Referral,
    Session,
    World,
)

if TYPE_CHECKING:
    from .campaigns import Seed

_LINKED = frozenset({"failures", "last_event", "undone"})


def dumped(world: World) -> Json:
    """Return the state of a world as JSON."""
    return {
        "ids": world.ids.counts(),
        "profiles": [plain.out(profile) for profile in world.profiles.values()],
        "erased": {name: plain.written(at) for name, at in world.erased.items()},
        "applications": {name: _application(one) for name, one in world.applications.items()},
    }


def _application(application: Application) -> Json:
    return {
        "id": application.id,
        "created": plain.written(application.created),
        "sessions": [_session(session) for session in application.sessions.values()],
        "coupons": [plain.out(coupon) for coupon in application.coupons.values()],
        "referrals": [plain.out(referral) for referral in application.referrals.values()],
        "events": [plain.out(event) for event in application.events],
        "advancedEvents": {name: one.id for name, one in application.advanced_events.items()},
        "spent": [[plain.out(key), value] for key, value in application.spent.items()],
        "pools": {str(pool.id): pool.codes for pool in application.pools.values()},
        "firstSessions": dict(application.first_sessions),
    }


def _session(session: Session) -> Json:
    shown: Json = plain.out(session, _LINKED)
    if session.last_event is not None:
        shown["lastEvent"] = session.last_event.id
    if session.undone:
        places = {id(effect): place for place, effect in enumerate(session.effects)}
        shown["undone"] = [places[id(effect)] for effect in session.undone]
    if len(session.failures):
        shown["failures"] = [_failure(one) for one in session.failures]
    return shown


def _failure(failure: Failure) -> Json:
    coupon, referral = failure.coupon, failure.referral
    told = {
        "campaign": failure.campaign.id,
        "rule": failure.place,
        "title": failure.title,
        "coupon": coupon.value if coupon else None,
        "referral": referral.code if referral else None,
        "details": str(failure.error),
        "condition": failure.condition,
        "effect": failure.effect,
        "group": plain.out(failure.group) if failure.group else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def world_of(seed: Seed, clock: Clock) -> World:
    """Return a new world as a seed describes it; raise SeedError where its state is wrong."""
    world = new_world(seed, clock)
    if seed.state:
        _Loader(world, seed).load(seed.state)
    return world


class _Loader:
    def __init__(self, world: World, seed: Seed) -> None:
        self._world, self._seed = world, seed
        self._now = world.clock()

    def load(self, content: Any) -> None:
        known = {"ids", "profiles", "erased", "applications", "sessions"}
        given = fields(content, "state", set(), known)
        if "sessions" in given and "applications" in given:
            raise SeedError("state.sessions", "stands in an application of applications")
        for path, row in many(given.get("profiles", []), "state.profiles"):
            profile = self._made(Profile, "profile", row, path)
            if profile.integration_id in self._world.profiles:
                raise SeedError(path, f"{profile.integration_id!r} occurs twice")
            self._world.profiles[profile.integration_id] = profile
        default = {"default": {"sessions": given["sessions"]}} if "sessions" in given else {}
        applications = given.get("applications", default)
        for name, row in fields(applications, "state.applications", set(), {*applications}).items():
            self._application(name, row, f"state.applications.{name}")
        for name, at in fields(
            given.get("erased", {}), "state.erased", set(), {*given.get("erased", {})}
        ).items():
            self._world.erased[name] = plain.read(at, datetime, "state.erased")
        self._world.ids.count(given.get("ids", {}), "state.ids")

    def _made(self, cls: type, kind: str, row: Any, path: str, **given: Any) -> Any:
        """Return an entity; an id and times that it lacks are new ones."""
        now = self._now
        usual = {"id": 0, "created": now, "updated": now, "last_activity": now, **given}
        made = plain.into(cls, row, path, usual)
        made.id = made.id or self._world.ids.next(kind)
        return made

    def _application(self, name: str, row: Any, path: str) -> None:
        known = {"id", "created", "sessions", "coupons", "referrals", "events", "spent", "pools"}
        fields(row, path, set(), {*known, "advancedEvents", "firstSessions"})
        text(name, path)
        made = add_application(self._world, self._seed, name)
        made.id = row.get("id", made.id)
        if "created" in row:
            made.created = plain.read(row["created"], datetime, f"{path}.created")
        self._codes(made, row, path)
        for where, event in many(row.get("events", []), f"{path}.events"):
            given = {"application_id": made.id}
            made.events.append(self._made(Event, "event", event, where, **given))
        events = {event.id: event for event in made.events}
        for key, number in row.get("advancedEvents", {}).items():
            made.advanced_events[key] = _found(events, number, f"{path}.advancedEvents.{key}")
        for key, value in row.get("spent", []):
            made.spent[plain.key(key)] = plain.read(value, Decimal, f"{path}.spent")
        for key, codes in row.get("pools", {}).items():
            _found(made.pools, int(key), f"{path}.pools.{key}").codes = list(codes)
        for where, session in many(row.get("sessions", []), f"{path}.sessions"):
            self._session(made, session, where, events)
        made.first_sessions |= row.get("firstSessions", {})

    def _codes(self, made: Application, row: Json, path: str) -> None:
        kinds: tuple[tuple[str, type, str, Callable[[Any], str], dict[str, Any]], ...] = (
            ("coupons", Coupon, "coupon", lambda one: one.value, made.coupons),
            ("referrals", Referral, "referral", lambda one: one.code, made.referrals),
        )
        for name, cls, kind, code, held in kinds:
            if name not in row:
                continue
            held.clear()
            for where, entry in many(row[name], f"{path}.{name}"):
                entity = self._made(cls, kind, entry, where)
                _found(made.campaigns, entity.campaign_id, f"{where}.campaignId")
                held[code(entity)] = entity

    def _session(self, made: Application, row: Any, path: str, events: dict[int, Event]) -> None:
        row = dict(fields(row, path, {"integrationId"}, set(row)))
        failures, last = row.pop("failures", []), row.pop("lastEvent", None)
        undone = row.pop("undone", [])
        session = self._made(Session, "session", row, path, application_id=made.id)
        effects = dict(enumerate(session.effects))
        session.undone = tuple(_found(effects, place, f"{path}.undone") for place in undone)
        profile = session.profile_id
        if profile and profile not in self._world.profiles:
            raise SeedError(f"{path}.profileId", f"there is no profile {profile!r} in the file")
        if profile:
            made.first_sessions.setdefault(profile, session.integration_id)
        if last is not None:
            session.last_event = _found(events, last, f"{path}.lastEvent")
        else:
            session.last_event = Event(0, self._now, made.id, "talon_session_updated", profile)
        session.failures = _failures(made, failures, f"{path}.failures")
        made.sessions[session.integration_id] = session


def _failures(made: Application, rows: Any, path: str) -> Failures:
    failures = Failures()
    for where, row in many(rows, path):
        group = plain.into(Group, row["group"], where, {}) if "group" in row else None
        failures.add(
            Failure(
                _found(made.campaigns, row.get("campaign"), where),
                row["rule"],
                row["title"],
                made.coupons.get(row.get("coupon")),
                made.referrals.get(row.get("referral")),
                Told(("{}", row["details"])),
                row.get("condition"),
                row.get("effect"),
                group,
            )
        )
    return failures


def _found(held: dict[Any, Any], key: Any, path: str) -> Any:
    if key not in held:
        raise SeedError(path, f"there is no {key!r} in the file")
    return held[key]
