"""One function per emulated operation: from a checked request to status and payload."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from .answers import Call, Reply, Shapes
from .engine import coupons, events, profiles, referrals, returns, rollbacks, rules, sessions
from .engine.errors import SeedError, invalid, problem
from .engine.event_log import record
from .engine.state import Event, Session
from .engine.times import moment
from .validation import bodies
from .wire import Json

__all__ = ["HANDLERS", "Call"]


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
    if call.world.decisions.session_always:
        content = [*content, "customerSession"]
    return 200, Shapes(call).state_v2(outcome, content)


def _now(call: Call) -> datetime | None:
    if "now" not in call.query or call.world.decisions.is_2020:
        return None
    source = {"parameter": "now"}
    try:
        now = moment(call.query["now"], "now")
    except SeedError as error:
        raise invalid(problem("Invalid type", "now must be RFC 3339", **source)) from error
    if not call.flag("dry") or (now is not None and now <= call.world.clock()):
        raise invalid(problem("Invalid value", "now needs dry=true and a future time", **source))
    return now


def get_session(call: Call) -> Reply:
    """getCustomerSession."""
    session = sessions.find(call.world, call.application, call.ids["sessionId"])
    shapes = Shapes(call)
    effects = shapes.effects(rollbacks.net(session))
    return 200, {"customerSession": shapes.session(session), "effects": effects}


def return_items(call: Call) -> Reply:
    """returnCartItems; no campaign re-evaluates on return, so runRuleEngine changes nothing."""
    call.flag("runRuleEngine")
    rows = call.body["return"]["returnedCartItems"]
    outcome = returns.give_back(
        call.world, call.application, call.ids["sessionId"], rows, dry=call.flag("dry")
    )
    shapes, content = Shapes(call), call.body.get("responseContent", [])
    answer = shapes.state_v2(outcome, [name for name in content if name != "previousReturns"])
    *earlier, new = shapes.returns(outcome.session)
    if "previousReturns" in content:
        answer["previousReturns"] = earlier
    return 200, {**answer, "return": new}


def reopen_session(call: Call) -> Reply:
    """reopenCustomerSession."""
    effects = returns.reopen(call.world, call.application, call.ids["sessionId"])
    return 200, {"effects": Shapes(call).effects(effects)}


def update_session_v1(call: Call) -> Reply:
    """updateCustomerSession."""
    changes = bodies.changes_v1(call.body)
    session_id = call.ids["sessionId"]
    stored = call.application.sessions.get(session_id)
    if stored is None or stored.client_total is None or call.flag("dry"):
        changes.setdefault("client_total", Decimal(0))
    told: Json = {n: call.body[n] for n in ("coupon", "referral") if n in call.body}
    act = sessions.dry_run if call.flag("dry") else sessions.update
    outcome = act(call.world, call.application, session_id, changes, told=told)
    if call.flag("dry"):
        outcome.session.effects = tuple(outcome.evaluation.effects)
    return 200, Shapes(call).state_v1(outcome)


def update_profile_v1(call: Call) -> Reply:
    """updateCustomerProfile; the session in the answer is a placeholder."""
    outcome = _update_profile(call, run_rules=True, dry=call.flag("dry"))
    return 200, Shapes(call).state_v1(outcome)


def update_profile_v2(call: Call) -> Reply:
    """updateCustomerProfileV2; in 2020 it ran no rules and answered the profile alone.

    Without rules there are no dry runs.
    """
    shapes, is_2020 = Shapes(call), call.world.decisions.is_2020
    run_rules = not is_2020 and call.flag("runRuleEngine")
    outcome = _update_profile(call, run_rules=run_rules, dry=call.flag("dry") and run_rules)
    asked = call.body.get("responseContent", []) if run_rules else []
    content = [name for name in asked if name != "achievements"]
    answer = shapes.state_v2(outcome, ["customerProfile", *content])
    return 200, {"customerProfile": answer["customerProfile"]} if is_2020 else answer


def _update_profile(call: Call, *, run_rules: bool, dry: bool) -> sessions.Outcome:
    profile_id, attributes = call.ids["profileId"], call.body.get("attributes")
    world, application = call.world, call.application
    now, is_new = world.clock(), profile_id not in world.profiles
    kind = "talon_profile_created" if is_new else "talon_profile_updated"
    session = Session(0, "", application.id, now, now, profile_id)
    audiences = _audiences(call)
    if not dry:
        profiles.update(world, profile_id, attributes)
        profiles.move(world.profiles[profile_id], *audiences)
    if not run_rules:
        event = Event(0, now, application.id, kind, profile_id)
        return sessions.Outcome(session, rules.Evaluation(), event)
    if dry:
        event = Event(0, now, application.id, kind, profile_id)
    else:
        world.profiles[profile_id].last_activity = now
        event = record(world, application, kind, profile_id=profile_id)
    chosen = call.body.get("evaluableCampaignIds")
    evaluation = events.assess(
        world,
        application,
        session,
        event,
        dry=dry,
        campaign_ids=chosen,
        audiences=audiences,
        profile=profiles.imagined(world, profile_id, attributes, audiences) if dry else None,
    )
    event.effects = tuple(evaluation.effects)
    return sessions.Outcome(session, evaluation, event)


def _audiences(call: Call) -> tuple[frozenset[int], frozenset[int]]:
    """Return the audiences a profile really joins and leaves."""
    changes = call.body.get("audiencesChanges", {"adds": [], "deletes": []})
    for name in ("adds", "deletes"):
        for place, number in enumerate(changes[name]):
            if number not in call.world.audiences:
                pointer = f"/audiencesChanges/{name}/{place}"
                details = f"there is no audience {number}"
                raise invalid(problem("Invalid audience", details, pointer=pointer))
    profile = call.world.profiles.get(call.ids["profileId"])
    held = frozenset(profile.audiences) if profile is not None else frozenset[int]()
    return frozenset(changes["adds"]) - held, frozenset(changes["deletes"]) & held


def update_profiles_v2(call: Call) -> Reply:
    """updateCustomerProfilesV2; runs no rules, silent (the default) answers 204."""
    silent = _is_silent(call)
    states = []
    for row in call.body["customerProfiles"]:
        profile = profiles.update(call.world, row["integrationId"], row.get("attributes"))
        states.append({"customerProfile": Shapes(call).profile(profile)})
    return (204, None) if silent else (200, {"integrationStates": states})


def track_event_v1(call: Call) -> Reply:
    """trackEvent; effects are only in the event of the answer."""
    outcome = events.track(call.world, call.application, call.body, dry=call.flag("dry"))
    return 201, Shapes(call).state_v1(outcome)


def _is_silent(call: Call) -> bool:
    silent = call.query.get("silent", "yes")
    if silent not in {"yes", "no"}:
        raise invalid(problem("enum", "silent must be yes or no", parameter="silent"))
    return silent == "yes"


def track_event_v2(call: Call) -> Reply:
    """trackEventV2; silent (the default) answers 204."""
    silent, dry = _is_silent(call), call.flag("dry")
    call.flag("forceCompleteEvaluation")
    outcome = events.track(call.world, call.application, call.body, dry=dry)
    if silent and not dry:
        return 204, None
    return 200, Shapes(call).state_v2(outcome, call.body.get("responseContent", []))


def track_event_v3(call: Call) -> Reply:
    """trackEventV3; an id is used once, silent (the default) answers 204 unless decided else."""
    silent, dry = _is_silent(call), call.flag("dry")
    call.flag("forceCompleteEvaluation")
    outcome = events.track_advanced(call.world, call.application, call.body, dry=dry)
    if silent and not dry and call.world.decisions.silent_v3 == 204:
        return 204, None
    content = call.body.get("responseContent", [])
    answer = Shapes(call).state_v2(outcome, content)
    if "advancedEvent" in content:
        answer["advancedEvent"] = Shapes(call).advanced_event(outcome.event)
    return 200, answer


def get_event_v3(call: Call) -> Reply:
    """getEventV3."""
    event = events.find_advanced(call.application, call.ids["eventId"])
    return 200, Shapes(call).advanced_event(event)


def create_reservation(call: Call) -> Reply:
    """createCouponReservation."""
    coupon = coupons.reserve(
        call.world, call.application, call.ids["couponValue"], call.body["integrationIDs"]
    )
    return 201, Shapes(call).coupon(coupon)


def delete_reservation(call: Call) -> Reply:
    """deleteCouponReservation."""
    coupons.release(call.application, call.ids["couponValue"], call.body["integrationIDs"])
    return 204, None


def get_reserved(call: Call) -> Reply:
    """getReservedCustomers."""
    coupon = coupons.find(call.application, call.ids["couponValue"])
    known = call.world.profiles
    holders = [Shapes(call).profile(known[name]) for name in coupon.reserved_for]
    return 200, {"totalResultSize": len(holders), "data": holders}


def create_referral(call: Call) -> Reply:
    """createReferral."""
    return 201, Shapes(call).referral(referrals.create(call.world, call.application, call.body))


def get_inventory(call: Call) -> Reply:
    """getCustomerInventory; a section is there only if its query parameter is true."""
    profile_id, application = call.ids["profileId"], call.application
    profile, shapes = profiles.find(call.world, profile_id), Shapes(call)
    wallet = coupons.wallet(application, profile_id)
    own = (code for code in application.referrals.values() if code.advocate == profile_id)
    sections: Json = {
        "profile": shapes.profile(profile),
        "loyalty": shapes.loyalty(profile),
        "referrals": [shapes.inventory_referral(code) for code in own],
        "coupons": [shapes.inventory_coupon(coupon, profile_id) for coupon in wallet],
        "giveaways": shapes.giveaways(profile),
        "achievements": shapes.achievements(profile),
    }
    known = ("profile", "referrals", "coupons") if call.world.decisions.is_2020 else sections
    return 200, {name: sections[name] for name in known if call.flag(name)}


def delete_customer_data(call: Call) -> Reply:
    """deleteCustomerData."""
    profiles.erase(call.world, call.ids["profileId"])
    return 204, None


HANDLERS: dict[str, Callable[[Call], Reply]] = {
    "updateCustomerSessionV2": update_session_v2,
    "getCustomerSession": get_session,
    "returnCartItems": return_items,
    "reopenCustomerSession": reopen_session,
    "updateCustomerSession": update_session_v1,
    "updateCustomerProfileV2": update_profile_v2,
    "updateCustomerProfilesV2": update_profiles_v2,
    "updateCustomerProfile": update_profile_v1,
    "trackEvent": track_event_v1,
    "trackEventV2": track_event_v2,
    "trackEventV3": track_event_v3,
    "getEventV3": get_event_v3,
    "createCouponReservation": create_reservation,
    "deleteCouponReservation": delete_reservation,
    "getReservedCustomers": get_reserved,
    "createReferral": create_referral,
    "getCustomerInventory": get_inventory,
    "deleteCustomerData": delete_customer_data,
}
