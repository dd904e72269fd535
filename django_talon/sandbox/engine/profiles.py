"""Customer profiles: created on first mention, attributes merged, erased on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from .errors import not_found
from .state import Application, Giveaway, Json, Profile, World


def ensure(world: World, profile_id: str) -> Profile | None:
    """Return the profile, made now if unknown; the empty id is anonymous and has none."""
    if not profile_id:
        return None
    profile = world.profiles.get(profile_id)
    if profile is None:
        now = world.clock()
        profile = Profile(world.ids.next("profile"), profile_id, now, now)
        world.profiles[profile_id] = profile
    return profile


def known(world: World, profile_id: str) -> Profile | None:
    """Return the profile if there is one."""
    return world.profiles.get(profile_id)


def find(world: World, profile_id: str) -> Profile:
    """Return a known profile, or raise the 404."""
    profile = world.profiles.get(profile_id)
    if profile is None:
        raise not_found("Customer profile", profile_id)
    return profile


def update(world: World, profile_id: str, attributes: Json | None) -> Profile:
    """Create or update a profile; sent attributes replace stored ones one by one."""
    profile = ensure(world, profile_id)
    assert profile is not None, "ids in a path are not empty"  # noqa: S101
    profile.attributes = merged(profile.attributes, attributes)
    return profile


def imagined(
    world: World,
    profile_id: str,
    attributes: Json | None,
    audiences: tuple[Iterable[int], Iterable[int]],
) -> Profile:
    """Return the profile as an update would leave it, without storing it."""
    now = world.clock()
    stored = world.profiles.get(profile_id) or Profile(0, profile_id, now, now)
    news = merged(stored.attributes, attributes)
    profile = replace(stored, attributes=news, audiences=dict(stored.audiences))
    move(profile, *audiences)
    return profile


def merged(stored: Json, sent: Json | None) -> Json:
    """Return the attributes after an update; null means not sent."""
    news = {name: value for name, value in (sent or {}).items() if value is not None}
    return {**stored, **news}


def count_close(profile: Profile | None, total: Decimal) -> None:
    """Book a closed session of ``total`` before discounts."""
    if profile is not None:
        profile.closed_sessions += 1
        profile.total_sales += total


def count_cancel(profile: Profile | None, total: Decimal) -> None:
    """Take a closed session back out of the profile's counters."""
    if profile is not None:
        profile.closed_sessions -= 1
        profile.total_sales -= total


def count_return(profile: Profile | None, sales: Decimal) -> None:
    """Take items that were given back out of the profile's sales."""
    if profile is not None:
        profile.total_sales -= sales


def give(world: World, application: Application, giveaways: list[Giveaway]) -> None:
    """Take codes out of their pools and give them to their profiles; nothing brings them back."""
    for given in giveaways:
        application.pools[given.pool_id].codes.remove(given.code)
        if given.profile_id in world.profiles:
            world.profiles[given.profile_id].giveaways.append(given)


def move(profile: Profile, joins: Iterable[int], leaves: Iterable[int]) -> None:
    """Add the profile to audiences and take it out of others."""
    for number in joins:
        profile.audiences[number] = None
    for number in leaves:
        profile.audiences.pop(number, None)


def erase(world: World, profile_id: str) -> None:
    """Empty all attributes of a person, in every application; the entities stay."""
    profile = find(world, profile_id)
    if (
        profile_id in world.erased
        and not profile.attributes
        and world.decisions.second_erasure != 204
    ):
        raise not_found("Customer profile", profile_id)
    profile.attributes = {}
    for application in world.applications.values():
        for session in application.sessions.values():
            if session.profile_id == profile_id:
                session.attributes = {}
                session.cart_items = [_without_attributes(item) for item in session.cart_items]
                session.content = {}
        for event in application.events:
            if event.profile_id == profile_id:
                event.attributes = {}
    world.erased[profile_id] = world.clock()


def _without_attributes(item: Json) -> Json:
    return {name: value for name, value in item.items() if name != "attributes"}
