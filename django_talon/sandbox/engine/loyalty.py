"""Points and achievements in rules: conditions, effects, and what a close makes of them.

An effect carries all that is needed to book it, so an evaluation of an open session has
nothing to undo: at a close its effects are booked, at a cancellation they are rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid5

from msgspec.structs import replace

from . import expressions, profiles
from .attempt import Attempt, EffectFailedError, runs
from .conditions import selected
from .errors import ConditionNotMetError
from .grants import recipient
from .ledgers import ZERO, Achievement, Lot, Program, Progress, Spending
from .operators import OPERATORS
from .state import Effect, Json, Profile, Selector, Session, World
from .times import moment
from .totals import Unit
from .values import item_getter
from .writing import time

ADD, DEDUCT, INCREASE = "addLoyaltyPoints", "deductLoyaltyPoints", "increaseAchievementProgress"
BACK = {
    ADD: "rollbackAddedLoyaltyPoints",
    DEDUCT: "rollbackDeductedLoyaltyPoints",
    INCREASE: "rollbackIncreasedAchievementProgress",
}
_NAMESPACE = UUID("6d1f7c1e-0000-4000-8000-000000000000")
_EVERYTHING = Selector()


@runs("checkLoyaltyBalance")
def check_balance(attempt: Attempt, block: Json) -> None:
    """Compare a balance of the customer's with a number."""
    profile, program = attempt.names.scope.profile, block["program"]["id"]
    found = _balance(attempt, profile, program, block["subledger"], block["balance"])
    if not OPERATORS[block["operator"]](found, block):
        told = "the {} balance is {}, wanted {} {}"
        raise ConditionNotMetError(told, block["balance"], found, block["operator"], block["value"])


def _balance(
    attempt: Attempt, profile: Profile | None, program: int, subledger: str, kind: str
) -> Decimal:
    if profile is None:
        return ZERO
    balances = profile.account.balances(program, subledger, attempt.names.scope.now)
    if kind != "tentativeCurrent":
        return balances[kind]
    effects = [*attempt.evaluation.effects, *attempt.effects]
    return balances["current"] + tentative(effects, profile.integration_id, program, subledger)


def tentative(effects: list[Effect], profile_id: str, program: int, subledger: str) -> Decimal:
    """Return what effects that are not booked yet would add to a balance."""
    found = ZERO
    for effect in effects:
        props = effect.props
        is_here = (props.get("programId"), props.get("subLedgerId")) == (program, subledger)
        if is_here and effect.effect_type == DEDUCT:
            found -= props["value"]
        if is_here and effect.effect_type == ADD and "startDate" not in props:
            found += props["value"] if props["recipientIntegrationId"] == profile_id else 0
    return found


@runs("awardLoyaltyPoints")
def award_points(attempt: Attempt, block: Json) -> None:
    """Add points, once or for each chosen piece of the cart."""
    target = block.get("target", {"type": "cart"})
    if target["type"] == "cart":
        _add(attempt, block, expressions.number(block["value"], attempt.value), None)
        return
    selectors = attempt.names.campaign.selectors
    selector = selectors[target["name"]] if target["type"] == "selector" else _EVERYTHING
    units = selected(attempt.names.scope, selector)
    if not units:
        raise EffectFailedError("no item of the cart is selected")
    for unit in units:
        _add(attempt, block, expressions.number(block["value"], _of_unit(attempt, unit)), unit)


def _of_unit(attempt: Attempt, unit: Unit) -> expressions.Resolve:
    def resolve(name: str) -> object:
        return item_getter(name)(unit.item) if name.startswith("$Item.") else attempt.value(name)

    return resolve


def _add(attempt: Attempt, block: Json, wanted: Decimal, unit: Unit | None) -> None:
    if wanted <= 0:
        return
    whose = recipient(attempt, block.get("profile", "Current"))
    attempt.spend("createLoyaltyPoints", wanted)
    attempt.spend("createLoyaltyPointsEffect")
    world, now = attempt.names.scope.world, attempt.names.scope.now
    program: Program = world.programs[block["program"]["id"]]
    props: Json = {"name": block["name"], "programId": program.id}
    props |= {"subLedgerId": block.get("subledger", ""), "value": wanted}
    props["recipientIntegrationId"] = whose
    begins = now
    if program.pending is not None:
        begins = now + program.pending
        props["startDate"] = time(begins)
    if program.validity is not None:
        props["expiryDate"] = time(begins + program.validity)
    if unit is not None:
        props |= {"cartItemPosition": unit.position, "cartItemSubPosition": unit.sub_position}
    attempt.add(ADD, {**props, "transactionUUID": _uuid(attempt)})


@runs("deductLoyaltyPoints")
def deduct_points(attempt: Attempt, block: Json) -> None:
    """Deduct points; the rule fails if the customer has fewer."""
    program, subledger = block["program"]["id"], block.get("subledger", "")
    recipient(attempt, "Current")
    wanted = expressions.number(block["value"], attempt.value)
    profile = attempt.names.scope.profile
    has = _balance(attempt, profile, program, subledger, "tentativeCurrent")
    if wanted <= 0 or has < wanted:
        raise EffectFailedError("{} points are to be deducted, there are {}", wanted, has)
    attempt.spend("redeemLoyaltyPoints", wanted)
    attempt.spend("redeemLoyaltyPointsEffect")
    props: Json = {"ruleTitle": attempt.rule.title, "name": block["name"], "programId": program}
    props |= {"subLedgerId": subledger, "value": wanted, "transactionUUID": _uuid(attempt)}
    attempt.add(DEDUCT, props)


def _uuid(attempt: Attempt) -> str:
    """Return the transaction's id: the same for the same place of the same session or event."""
    names, event = attempt.names, attempt.names.scope.event
    place = len(attempt.effects)
    code = names.coupon.value if names.coupon else ""
    whose = names.scope.session.integration_id or (event.id if event else 0)
    told = (names.scope.application.id, whose, names.campaign.id, attempt.index, code, place)
    reopened = names.scope.session.update_count if names.scope.session.state == "closed" else 0
    return str(uuid5(_NAMESPACE, repr((*told, reopened))))


@runs("checkAchievement")
def check_achievement(attempt: Attempt, block: Json) -> None:
    """The customer has started, completed or just completed an achievement."""
    number, operator = block["achievement"]["id"], block["operator"]
    news = [e.props for e in _increases(attempt) if e.props["achievementId"] == number]
    profile = attempt.names.scope.profile
    held = profile.progress.get(str(number)) if profile is not None else None
    completed = (held is not None and held.completed is not None) or any(
        props["isJustCompleted"] for props in news
    )
    started = held is not None or bool(news)
    holds = {
        "justCompleted": any(props["isJustCompleted"] for props in news),
        "started": started,
        "inProgress": started and not completed,
        "completed": completed,
    }
    name = operator.removeprefix("not(").removesuffix(")")
    if holds[name] == operator.startswith("not("):
        raise ConditionNotMetError("achievement {}: not {}", number, operator)


def _increases(attempt: Attempt) -> list[Effect]:
    effects = [*attempt.evaluation.effects, *attempt.effects]
    return [effect for effect in effects if effect.effect_type == INCREASE]


@runs("updateAchievementProgress")
def update_progress(attempt: Attempt, block: Json) -> None:
    """Bring the customer further in an achievement that they have not completed."""
    scope = attempt.names.scope
    profile = profiles.known(scope.world, recipient(attempt, "Current"))
    achievement: Achievement = scope.world.achievements[block["achievement"]["id"]]
    delta = expressions.number(block["value"], attempt.value)
    held = profile.progress.get(str(achievement.id)) if profile is not None else None
    news = [e for e in _increases(attempt) if e.props["achievementId"] == achievement.id]
    before = news[-1].props["value"] if news else held.value if held is not None else ZERO
    if delta <= 0 or before >= achievement.target:
        raise EffectFailedError("achievement {} is at {}", achievement.name, before)
    owner = profile.id if profile is not None else 0
    props: Json = {"achievementId": achievement.id, "achievementName": achievement.name}
    props["progressTrackerId"] = held.id if held is not None else owner * 10_000 + achievement.id
    props |= {"delta": delta, "value": before + delta, "target": achievement.target}
    attempt.add(INCREASE, {**props, "isJustCompleted": before + delta >= achievement.target})


def book(world: World, profile_id: str, effects: list[Effect], now: datetime) -> None:
    """Book the points and the progress of effects that count from now on."""
    for effect in effects:
        props = effect.props
        if effect.effect_type == ADD:
            owner = profiles.ensure(world, props["recipientIntegrationId"])
            if owner is not None:
                owner.account.lots.setdefault(props["transactionUUID"], _lot(props))
        profile = world.profiles.get(profile_id)
        if profile is not None and effect.effect_type == DEDUCT:
            place = props["programId"], props["subLedgerId"]
            profile.account.spend(Spending(props["transactionUUID"], *place, props["value"]), now)
        if profile is not None and effect.effect_type == INCREASE:
            _progress(profile, props, now)


def _lot(props: Json) -> Lot:
    return Lot(
        props["transactionUUID"],
        props["programId"],
        props["subLedgerId"],
        props["name"],
        props["value"],
        props["value"],
        moment(props.get("startDate"), "startDate"),
        moment(props.get("expiryDate"), "expiryDate"),
    )


def _progress(profile: Profile, props: Json, now: datetime) -> None:
    fresh = Progress(props["progressTrackerId"], ZERO, now)
    held = profile.progress.setdefault(str(props["achievementId"]), fresh)
    held.value += props["delta"]
    held.completed = now if props["isJustCompleted"] else held.completed


def undone(world: World, session: Session, effect: Effect, *, full: bool) -> Effect | None:
    """Return the rollback of an effect that was booked, None if nothing can be taken back.

    Not ``full``, as for items given back and sessions reopened, leaves active points where
    they are unless the program says otherwise.
    """
    if effect.effect_type == ADD:
        return _without_points(world, effect, full=full)
    profile = world.profiles.get(session.profile_id)
    if profile is None:
        return None
    if effect.effect_type == DEDUCT:
        return _with_points(profile, effect)
    return _without_progress(world, profile, effect)


def _without_points(world: World, effect: Effect, *, full: bool) -> Effect | None:
    props = effect.props
    owner, now = world.profiles.get(props["recipientIntegrationId"]), world.clock()
    lot = owner.account.lots.get(props["transactionUUID"]) if owner is not None else None
    program = world.programs.get(props["programId"])
    if lot is None or program is None or lot.is_expired(now):
        return None
    if not (lot.is_pending(now) or full or program.takes_back):
        return None
    value = lot.amount if program.goes_negative else min(lot.left, lot.amount)
    if value <= 0:
        return None
    kept = ("programId", "subLedgerId", "recipientIntegrationId", "transactionUUID")
    places = ("cartItemPosition", "cartItemSubPosition")
    told = {name: props[name] for name in (*kept, *places) if name in props}
    return replace(effect, effect_type=BACK[ADD], props={**told, "value": value})


def _with_points(profile: Profile, effect: Effect) -> Effect | None:
    props = effect.props
    if props["transactionUUID"] not in profile.account.spendings:
        return None
    kept = ("programId", "subLedgerId", "value", "transactionUUID")
    told = {name: props[name] for name in kept}
    told["recipientIntegrationId"] = profile.integration_id
    return replace(effect, effect_type=BACK[DEDUCT], props=told)


def _without_progress(world: World, profile: Profile, effect: Effect) -> Effect | None:
    props = effect.props
    held = profile.progress.get(str(props["achievementId"]))
    achievement = world.achievements.get(props["achievementId"])
    if held is None or achievement is None:
        return None
    if held.completed is not None and not achievement.rolls_back:
        return None
    kept = ("achievementId", "achievementName", "progressTrackerId", "target")
    told = {name: props[name] for name in kept} | {"decreaseProgressBy": props["delta"]}
    told["currentProgress"] = held.value - props["delta"]
    return replace(effect, effect_type=BACK[INCREASE], props=told)


def take_back(world: World, profile_id: str, rollbacks: Iterable[Effect]) -> None:
    """Book rollbacks of points and progress."""
    for effect in rollbacks:
        props = effect.props
        if effect.effect_type == BACK[ADD]:
            owner = world.profiles[props["recipientIntegrationId"]]
            owner.account.lots[props["transactionUUID"]].left -= props["value"]
        elif effect.effect_type == BACK[DEDUCT]:
            world.profiles[profile_id].account.unspend(props["transactionUUID"])
        elif effect.effect_type == BACK[INCREASE]:
            held = world.profiles[profile_id].progress[str(props["achievementId"])]
            held.value -= props["decreaseProgressBy"]
            held.completed = None
