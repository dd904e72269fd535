"""What a session is after an update: what was sent, laid over what is stored."""

from __future__ import annotations

from dataclasses import replace

from . import profiles
from .state import Application, Json, Session, World

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


def spelled(application: Application, changes: Json) -> Json:
    """Return what was sent with its codes as the application spells them."""
    if application.settings.case_sensitivity == "sensitive":
        return changes
    spell, changes = application.settings.code, dict(changes)
    if changes.get("coupon_codes"):
        changes["coupon_codes"] = [spell(code) for code in changes["coupon_codes"]]
    if changes.get("referral_code"):
        changes["referral_code"] = spell(changes["referral_code"])
    return changes


def as_sent(stored: Session | None) -> Session | None:
    """Return a stored session without what rules changed in it."""
    return replace(stored, **stored.content) if stored is not None else None


def content(session: Session) -> Json:
    """Return the fields that clients send."""
    return {name: getattr(session, name) for name in _CONTENT}


def merged(session: Session, changes: Json) -> Session:
    """Return a copy with what was sent; attributes merge by key, all else is replaced."""
    news = {n: v for n, v in changes.items() if v is not None or n == "client_total"}
    if "attributes" in news:
        news["attributes"] = profiles.merged(session.attributes, news["attributes"])
    if "cart_items" in news:
        news["cart_items"] = list(news["cart_items"])
    if "extras" in news:
        news["extras"] = {**session.extras, **news["extras"]}
    return replace(session, **news)


def blank(world: World, application: Application, session_id: str) -> Session:
    """Return a session of which nothing is known yet."""
    now = world.clock()
    return Session(0, session_id, application.id, now, now)


def edited(stored: Session, sent: Session) -> list[str]:
    """Return the names of the content fields in which two states of a session differ."""
    before = as_sent(stored)
    return [name for name in _CONTENT if getattr(before, name) != getattr(sent, name)]
