"""The life of a customer session: merge, transitions, evaluation, close, cancel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from . import budgets, coupons, loyalty, merging, profiles, referrals, rollbacks, rules, totals
from .errors import RefusedError, invalid, not_found, problem
from .event_log import record
from .state import Application, Effect, Event, Json, Profile, Session, World

_TRANSITIONS = {
    None: {"open", "closed"},
    "open": {"open", "closed", "cancelled"},
    "closed": {"cancelled"},
    "partially_returned": {"cancelled"},
    "cancelled": set[str](),
}
_DONE = ("closed", "partially_returned")


@dataclass
class Outcome:
    """What an update came to."""

    session: Session
    evaluation: rules.Evaluation
    event: Event


def find(world: World, application: Application, session_id: str) -> Session:
    """Return a stored session, or raise the 404 (declared nowhere: a guess)."""
    session = application.sessions.get(session_id)
    if session is None:
        refused = not_found("Customer session", session_id)
        refused.status = world.decisions.unknown_session
        raise refused
    return session


def update(
    world: World,
    application: Application,
    session_id: str,
    changes: Json,
    *,
    pointer: str = "",
    told: Json | None = None,
) -> Outcome:
    """Store an update and what the rules answer to it; raise the 400 of an illegal one.

    ``changes`` holds only what was sent, under our field names; ``pointer`` prefixes the
    JSON pointers of errors (V2 bodies nest the session). ``told`` are the parameters that the
    event of a V1 update repeats.
    """
    changes = merging.spelled(application, changes)
    stored = application.sessions.get(session_id)
    before = merging.as_sent(stored) or merging.blank(world, application, session_id)
    sent = merging.merged(before, changes)
    _check_owner(world, stored, sent, pointer)
    if stored is not None and _is_replay(world, stored, sent):
        return _replayed(stored)
    _check_transition(world, stored, sent, pointer)
    session = merging.merged(stored, changes) if stored is not None else sent
    session.content = merging.content(sent)
    session.first_session = _is_first(application, session)
    return _store(world, application, stored, session, told)


def _store(
    world: World,
    application: Application,
    stored: Session | None,
    session: Session,
    told: Json | None,
) -> Outcome:
    now = world.clock()
    profile = _profile(world, application, session)
    session.id = session.id or world.ids.next("session")
    session.updated = now
    session.update_count += 1
    if profile is not None:
        profile.last_activity = now
        application.first_sessions.setdefault(session.profile_id, session.integration_id)
    if stored is None:
        record(world, application, "talon_session_created", session=session)
    kind = _event_type(stored, session)
    event = record(world, application, kind, session=session, attributes=_told(stored, told))
    if session.state == "cancelled":
        evaluation = _cancel(world, application, session, was=stored)
    else:
        evaluation = assess(world, application, session, event)
        _keep(session, evaluation)
    event.effects = session.rollbacks if session.state == "cancelled" else session.effects
    session.last_event = event
    if session.state == "closed":
        _close(world, application, session, evaluation)
    application.sessions[session.integration_id] = session
    return Outcome(session, evaluation, event)


def _profile(world: World, application: Application, session: Session) -> Profile | None:
    is_new = session.profile_id not in world.profiles
    profile = profiles.ensure(world, session.profile_id)
    if profile is not None and is_new:
        record(world, application, "talon_profile_created", profile_id=session.profile_id)
    return profile


def _keep(session: Session, evaluation: rules.Evaluation) -> None:
    for change in evaluation.changes:
        change()
    session.effects, session.undone = tuple(evaluation.effects), ()
    session.failures = evaluation.failures


def dry_run(
    world: World,
    application: Application,
    session_id: str,
    changes: Json,
    *,
    told: Json | None = None,
) -> Outcome:
    """Evaluate only what was sent, as if it were to be closed; store nothing."""
    changes = merging.spelled(application, changes)
    now = changes.pop("now", None) or world.clock()
    session = merging.merged(merging.blank(world, application, session_id), changes)
    session.first_session = _is_first(application, session)
    stored = application.sessions.get(session_id)
    kind = _event_type(stored, session)
    event = Event(0, now, application.id, kind, session.profile_id, session_id)
    event.attributes = _told(stored, told)
    if session.state == "cancelled":
        evaluation = rules.Evaluation(effects=_dry_cancel(world, stored))
    else:
        evaluation = assess(world, application, session, event, now=now, dry=True)
    event.effects = tuple(evaluation.effects)
    return Outcome(session, evaluation, event)


def _dry_cancel(world: World, stored: Session | None) -> list[Effect]:
    if stored is None or stored.state == "cancelled":
        return []
    if stored.state == "open" and world.decisions.cancel_open == "nothing":
        return []
    return rollbacks.of(world, replace(stored))


def assess(
    world: World,
    application: Application,
    session: Session,
    event: Event,
    *,
    now: datetime | None = None,
    dry: bool = False,
) -> rules.Evaluation:
    """Check the codes of a session and run the rules over it; change nothing."""
    now = now or world.clock()
    evaluation, valid = rules.Evaluation(), []
    for code in dict.fromkeys(session.coupon_codes):
        refused = coupons.rejection(world, application, code, session, now)
        if refused is None:
            valid.append(application.coupons[code])
        else:
            evaluation.effects.append(refused)
    scope = rules.Scope(
        world,
        application,
        session,
        world.profiles.get(session.profile_id),
        now,
        event,
        valid,
        campaign_ids=session.extras.get("evaluableCampaignIds"),
        dry=dry,
    )
    if session.referral_code:
        refused = referrals.rejection(world, application, session, now)
        if refused is None:
            scope.referral = application.referrals[session.referral_code]
        else:
            evaluation.effects.append(refused)
    return rules.evaluate(scope, evaluation)


def _is_replay(world: World, stored: Session, sent: Session) -> bool:
    settled = stored.state != "open" and stored.state == sent.state
    replays = world.decisions.repeated_close == "replay"
    return settled and replays and not merging.edited(stored, sent)


def _replayed(stored: Session) -> Outcome:
    """Answer a repeated close or cancellation as the first time; nothing is counted twice."""
    effects = stored.rollbacks if stored.state == "cancelled" else stored.effects
    evaluation = rules.Evaluation(effects=list(effects), failures=stored.failures)
    evaluation.triggered = list(dict.fromkeys(e.campaign_id for e in effects if e.campaign_id > 0))
    assert stored.last_event is not None, "stored sessions have an event"  # noqa: S101
    return Outcome(stored, evaluation, stored.last_event)


def _check_owner(world: World, stored: Session | None, sent: Session, pointer: str) -> None:
    if stored is None or stored.profile_id in ("", sent.profile_id):
        return
    if world.decisions.profile_can_change and stored.state == "open":
        return
    details = "the session belongs to another profile; a known profile cannot be replaced"
    raise invalid(problem("Invalid profile", details, pointer=f"{pointer}/profileId"))


def illegal(world: World, details: str, pointer: str) -> RefusedError:
    """Return the answer to an illegal transition, a 400 unless decided otherwise."""
    entry = problem("Invalid state transition", details, pointer=f"{pointer}/state")
    refused = invalid(entry)
    refused.status = world.decisions.illegal_transition
    return refused


def _check_transition(world: World, stored: Session | None, sent: Session, pointer: str) -> None:
    before = stored.state if stored is not None else None
    if sent.state not in _TRANSITIONS[before]:
        details = f"a session cannot go from {before or 'new'} to {sent.state}"
        if before == sent.state:
            details = f"a {before} session cannot be edited"
        raise illegal(world, details, pointer)
    if stored is not None and before in _DONE and merging.edited(stored, sent):
        raise illegal(world, f"a {before} session cannot be edited", pointer)


def _is_first(application: Application, session: Session) -> bool:
    if not session.profile_id:
        return True
    first = application.first_sessions.get(session.profile_id, session.integration_id)
    return first == session.integration_id


def _event_type(stored: Session | None, session: Session) -> str:
    if session.state == "closed":
        return "talon_session_closed"
    if session.state == "cancelled":
        revoked = stored is not None and stored.state in _DONE
        return "talon_session_revoked" if revoked else "talon_session_cancelled"
    return "talon_session_updated"


def _told(stored: Session | None, params: Json | None) -> Json:
    return {"isNew": stored is None} | ({} if params is None else {"params": params})


def _close(
    world: World, application: Application, session: Session, evaluation: rules.Evaluation
) -> None:
    coupons.redeem(application, session, evaluation.redeemed_coupons)
    referrals.redeem(application, session, evaluation.redeemed_referral)
    budgets.commit(application, session, evaluation.spending.amounts)
    profiles.give(world, application, evaluation.giveaways)
    loyalty.book(world, session.profile_id, evaluation.effects, world.clock())
    profiles.count_close(world.profiles.get(session.profile_id), totals.total(session))


def _cancel(
    world: World, application: Application, session: Session, was: Session | None
) -> rules.Evaluation:
    was_done = was is not None and was.state in _DONE
    silent = not was_done and world.decisions.cancel_open == "nothing"
    session.rollbacks = () if silent else tuple(rollbacks.of(world, session))
    if was_done:
        undo_close(world, application, session)
    return rules.Evaluation(effects=list(session.rollbacks))


def undo_close(world: World, application: Application, session: Session) -> None:
    """Give back what a close consumed and counted."""
    coupons.restore(application, session)
    referrals.restore(application, session)
    budgets.revert(application, session)
    loyalty.take_back(world, session.profile_id, session.rollbacks)
    sales = totals.total(session) - totals.returned(session)
    profiles.count_cancel(world.profiles.get(session.profile_id), sales)
