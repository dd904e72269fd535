"""What a world holds, as ``GET /_sandbox/state`` and the inspector show it."""

from __future__ import annotations

from .engine import render, render_codes, rollbacks, writing
from .rooms import Room
from .wire import Json


def state(room: Room, name: str) -> Json:
    """Return profiles, sessions, coupons, referrals and events of an application."""
    application = room.application(name)
    sessions = {
        key: {
            **render.session_v2(session),
            "effects": [render.effect_v2(effect) for effect in rollbacks.net(session)],
            "ruleFailureReasons": [render.failure(failure) for failure in session.failures],
        }
        for key, session in application.sessions.items()
    }
    coupons = {
        key: {**render_codes.coupon(coupon), "reservedFor": list(coupon.reserved_for)}
        for key, coupon in application.coupons.items()
    }
    return {
        "world": room.name,
        "application": name,
        "profiles": {key: render.profile(p) for key, p in room.world.profiles.items()},
        "erased": {key: writing.time(at) for key, at in room.world.erased.items()},
        "sessions": sessions,
        "coupons": coupons,
        "referrals": {
            k: render_codes.inventory_referral(r) for k, r in application.referrals.items()
        },
        "events": [render.event(event, application) for event in application.events],
    }
