"""One function per emulated operation: from a checked request to status and payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .engine import coupons, events, profiles, referrals, render, rollbacks, rules, sessions
from .engine.campaigns import moment
from .engine.errors import invalid, problem
from .engine.event_log import record
from .engine.state import Application, Event, Session, World
from .validation import bodies
from .wire import Json

Reply = tuple[int, Any]


@dataclass
class Call:
    """A checked request to one operation in one application of a world."""

    world: World
    application: Application
    ids: dict[str, str]
    query: dict[str, str]
    body: Json

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean query parameter, or raise the 400."""
        value = self.query.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false", "1", "0"}:
            raise invalid(problem("Invalid type", f"{name} must be a boolean", parameter=name))
        return value.lower() in {"true", "1"}


def update_session_v2(call: Call) -> Reply:
    """updateCustomerSessionV2."""
    changes = bodies.changes_v2(call.body["customerSession"])
    session_id, content = call.ids["sessionId"], call.body.get("responseContent", [])
    now, dry = _now(call), call.flag("dry")
    if dry:
        changes["now"] = now
        outcome = sessions.dry_run(call.world, call.application, session_id, changes)
    else:
        outcome = sessions.update(
            call.world, call.application, session_id, changes, pointer="/customerSession"
        )
    return 200, _state_v2(call, outcome, content)


def _now(call: Call) -> Any:
    if "now" not in call.query:
        return None
    source = {"parameter": "now"}
    try:
        now = moment(call.query["now"], "now")
    except ValueError as error:
        raise invalid(problem("Invalid type", "now must be RFC 3339", **source)) from error
    if not call.flag("dry") or (now is not None and now <= call.world.clock()):
        raise invalid(problem("Invalid value", "now needs dry=true and a future time", **source))
    return now


def _state_v2(call: Call, outcome: sessions.Outcome, content: list[str]) -> Json:
    effects = [render.effect_v2(effect) for effect in outcome.evaluation.effects]
    answer: Json = {"effects": effects, "createdCoupons": [], "createdReferrals": []}
    for name in content:
        section = _SECTIONS[name](call, outcome) if name in _SECTIONS else None
        if section is not None:
            answer[name] = section
    return answer


def _customer_session(call: Call, outcome: sessions.Outcome) -> Json | None:
    known = outcome.session.integration_id
    return render.session_v2(outcome.session) if known else None


def _customer_profile(call: Call, outcome: sessions.Outcome) -> Json | None:
    profile = call.world.profiles.get(outcome.session.profile_id)
    return render.profile(profile) if profile is not None else None


def _coupons(call: Call, outcome: sessions.Outcome) -> list[Json]:
    session = outcome.session
    known = (call.application.coupons.get(code) for code in dict.fromkeys(session.coupon_codes))
    return [render.session_coupon(c, session.profile_id) for c in known if c is not None]


def _referral(call: Call, outcome: sessions.Outcome) -> Json | None:
    referral = call.application.referrals.get(outcome.session.referral_code)
    return render.referral(referral) if referral is not None else None


def _triggered(call: Call, outcome: sessions.Outcome) -> list[Json]:
    now = call.world.clock()
    found = [call.application.campaigns[id_] for id_ in outcome.evaluation.triggered]
    return [render.campaign(campaign, call.application, now) for campaign in found]


_SECTIONS: dict[str, Callable[[Call, sessions.Outcome], Any]] = {
    "customerSession": _customer_session,
    "customerProfile": _customer_profile,
    "coupons": _coupons,
    "referral": _referral,
    "triggeredCampaigns": _triggered,
    "event": lambda call, outcome: render.event(outcome.event),
    "ruleFailureReasons": lambda call, outcome: outcome.evaluation.failures,
    "loyalty": lambda call, outcome: render.EMPTY_LOYALTY,
    "awardedGiveaways": lambda call, outcome: [],
    "previousReturns": lambda call, outcome: [],
    "achievements": lambda call, outcome: [],
}


def get_session(call: Call) -> Reply:
    """getCustomerSession."""
    session = sessions.find(call.application, call.ids["sessionId"])
    effects = [render.effect_v2(effect) for effect in rollbacks.net(session)]
    return 200, {"customerSession": render.session_v2(session), "effects": effects}


def update_session_v1(call: Call) -> Reply:
    """updateCustomerSession."""
    changes = bodies.changes_v1(call.body)
    session_id = call.ids["sessionId"]
    stored = call.application.sessions.get(session_id)
    if stored is None or stored.client_total is None or call.flag("dry"):
        changes.setdefault("client_total", Decimal(0))
    if call.flag("dry"):
        outcome = sessions.dry_run(call.world, call.application, session_id, changes)
        outcome.session.effects = outcome.evaluation.effects
    else:
        outcome = sessions.update(call.world, call.application, session_id, changes)
    return 200, _state_v1(call, outcome)


def _state_v1(call: Call, outcome: sessions.Outcome) -> Json:
    session = outcome.session
    profile = call.world.profiles.get(session.profile_id)
    answer: Json = {
        "session": render.session_v1(session),
        "profile": render.profile(profile)
        if profile is not None
        else render.anonymous_profile(call.world.clock()),
        "event": render.event(outcome.event),
        "loyalty": render.EMPTY_LOYALTY,
    }
    coupon = call.application.coupons.get(next(iter(session.coupon_codes), ""))
    if coupon is not None:
        answer["coupon"] = render.coupon(coupon)
    return answer


def update_profile_v1(call: Call) -> Reply:
    """updateCustomerProfile; the session in the answer is a placeholder."""
    return 200, _state_v1(call, _update_profile(call, run_rules=True))


def update_profile_v2(call: Call) -> Reply:
    """updateCustomerProfileV2; the answer holds the fields of both dialects."""
    run_rules = call.flag("runRuleEngine")
    outcome = _update_profile(call, run_rules=run_rules)
    content = call.body.get("responseContent", []) if run_rules else []
    return 200, _state_v2(call, outcome, ["customerProfile", *content])


def _update_profile(call: Call, *, run_rules: bool) -> sessions.Outcome:
    profile_id, attributes = call.ids["profileId"], call.body.get("attributes")
    world, application = call.world, call.application
    now, is_new = world.clock(), profile_id not in world.profiles
    kind = "talon_profile_created" if is_new else "talon_profile_updated"
    session = Session(0, "", application.id, now, now, profile_id)
    if not call.flag("dry"):
        profiles.update(world, profile_id, attributes)
    if not run_rules or call.flag("dry"):
        event = Event(0, now, application.id, kind, profile_id)
        return sessions.Outcome(session, rules.Evaluation(), event)
    world.profiles[profile_id].last_activity = now
    event = record(world, application, kind, profile_id=profile_id)
    evaluation = events.assess(world, application, session, event)
    event.effects = evaluation.effects
    return sessions.Outcome(session, evaluation, event)


def track_event_v1(call: Call) -> Reply:
    """trackEvent; effects are only in the event of the answer."""
    outcome = events.track(call.world, call.application, call.body, dry=call.flag("dry"))
    return 201, _state_v1(call, outcome)


def track_event_v2(call: Call) -> Reply:
    """trackEventV2; silent (the default) answers 204."""
    silent = call.query.get("silent", "yes")
    if silent not in {"yes", "no"}:
        raise invalid(problem("enum", "silent must be yes or no", parameter="silent"))
    outcome = events.track(call.world, call.application, call.body, dry=call.flag("dry"))
    if silent == "yes" and not call.flag("dry"):
        return 204, None
    return 200, _state_v2(call, outcome, call.body.get("responseContent", []))


def create_reservation(call: Call) -> Reply:
    """createCouponReservation."""
    coupon = coupons.reserve(
        call.world, call.application, call.ids["couponValue"], call.body["integrationIDs"]
    )
    return 201, render.coupon(coupon)


def delete_reservation(call: Call) -> Reply:
    """deleteCouponReservation."""
    coupons.release(call.application, call.ids["couponValue"], call.body["integrationIDs"])
    return 204, None


def get_reserved(call: Call) -> Reply:
    """getReservedCustomers."""
    coupon = coupons.find(call.application, call.ids["couponValue"])
    holders = [render.profile(call.world.profiles[holder]) for holder in coupon.reserved_for]
    return 200, {"totalResultSize": len(holders), "data": holders}


def create_referral(call: Call) -> Reply:
    """createReferral."""
    return 201, render.referral(referrals.create(call.world, call.application, call.body))


def get_inventory(call: Call) -> Reply:
    """getCustomerInventory; a section is there only if its query parameter is true."""
    profile_id, application = call.ids["profileId"], call.application
    profile, now = profiles.find(call.world, profile_id), call.world.clock()
    wallet = coupons.wallet(application, profile_id)
    own = (code for code in application.referrals.values() if code.advocate == profile_id)
    sections: Json = {
        "profile": render.profile(profile),
        "loyalty": render.EMPTY_LOYALTY,
        "referrals": [render.inventory_referral(code) for code in own],
        "coupons": [render.inventory_coupon(application, c, profile_id, now) for c in wallet],
        "giveaways": [],
        "achievements": [],
    }
    return 200, {name: section for name, section in sections.items() if call.flag(name)}


def delete_customer_data(call: Call) -> Reply:
    """deleteCustomerData."""
    profiles.erase(call.world, call.ids["profileId"])
    return 204, None


HANDLERS: dict[str, Callable[[Call], Reply]] = {
    "updateCustomerSessionV2": update_session_v2,
    "getCustomerSession": get_session,
    "updateCustomerSession": update_session_v1,
    "updateCustomerProfileV2": update_profile_v2,
    "updateCustomerProfile": update_profile_v1,
    "trackEvent": track_event_v1,
    "trackEventV2": track_event_v2,
    "createCouponReservation": create_reservation,
    "deleteCouponReservation": delete_reservation,
    "getReservedCustomers": get_reserved,
    "createReferral": create_referral,
    "getCustomerInventory": get_inventory,
    "deleteCustomerData": delete_customer_data,
}
