"""The effects that undo earlier ones when a session is cancelled, reopened or given back."""

from __future__ import annotations

from msgspec.structs import replace

from . import loyalty
from .state import Effect, Json, Session, World

_PER_UNIT = {"setDiscountPerItem", "setDiscountPerAdditionalCostPerItem"}
_DISCOUNTS = {"setDiscount", "setDiscountPerAdditionalCost", *_PER_UNIT}
_KEPT = {
    "name": "name",
    "value": "value",
    "position": "cartItemPosition",
    "subPosition": "cartItemSubPosition",
    "additionalCostId": "additionalCostId",
    "additionalCost": "additionalCost",
    "scope": "scope",
}


def of(world: World, session: Session, *, full: bool = True) -> list[Effect]:
    """Undo what is in force; return the rollbacks, each in the envelope it undoes.

    A session that was never closed redeemed no code, so only its discounts are rolled back.
    Not ``full``, points that are active already stay, unless their program says otherwise.
    """
    return _undone(world, session, net(session), full=full)


def of_units(
    world: World, session: Session, units: list[tuple[int, int]]
) -> tuple[list[Effect], list[Effect]]:
    """Undo the discounts and points of these pieces; return what was undone, and the rollbacks."""
    before = len(session.undone)
    chosen = [effect for effect in net(session) if _unit(effect) in units]
    rollbacks = _undone(world, session, chosen, full=False)
    return [*session.undone[before:]], rollbacks


def _unit(effect: Effect) -> tuple[int, int] | None:
    props = effect.props
    if effect.effect_type in _PER_UNIT:
        return props["position"], props["subPosition"]
    if effect.effect_type == loyalty.ADD and "cartItemPosition" in props:
        return props["cartItemPosition"], props["cartItemSubPosition"]
    return None


def net(session: Session) -> list[Effect]:
    """Return the effects in force: without those rolled back, and without the rollbacks."""
    undone = {id(effect) for effect in session.undone}
    return [effect for effect in session.effects if id(effect) not in undone]


def _undone(world: World, session: Session, effects: list[Effect], *, full: bool) -> list[Effect]:
    rollbacks, bare = [], world.decisions.bare_rollbacks
    for effect in effects:
        if effect.effect_type in loyalty.BACK:
            rollback = loyalty.undone(world, session, effect, full=full)
        else:
            rollback = _undo(effect, session)
        if rollback is not None:
            session.undone = (*session.undone, effect)
            rollbacks.append(_bare(rollback) if bare else rollback)
    return rollbacks


def _bare(effect: Effect) -> Effect:
    return Effect(effect.effect_type, effect.props)


def _undo(effect: Effect, session: Session) -> Effect | None:
    if effect.effect_type in _DISCOUNTS:
        return replace(effect, effect_type="rollbackDiscount", props=_discount(effect.props))
    value = effect.props.get("value")
    if effect.effect_type == "acceptCoupon" and value in session.redeemed_coupons:
        return replace(effect, effect_type="rollbackCoupon", props={"value": value})
    if effect.effect_type == "acceptReferral" and value == session.redeemed_referral:
        return replace(effect, effect_type="rollbackReferral", props={"value": value})
    return None


def _discount(props: Json) -> Json:
    return {new: props[old] for old, new in _KEPT.items() if old in props}
