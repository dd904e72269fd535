"""The effects that undo earlier ones when a session is cancelled, reopened or given back."""

from __future__ import annotations

from .decisions import Decisions
from .state import Effect, Json, Session

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


def of(session: Session, decisions: Decisions) -> list[Effect]:
    """Undo what is in force; return the rollbacks, each in the envelope it undoes.

    A session that was never closed redeemed no code, so only its discounts are rolled back.
    """
    return _undone(session, net(session), decisions)


def of_units(
    session: Session, units: list[tuple[int, int]], decisions: Decisions
) -> tuple[list[Effect], list[Effect]]:
    """Undo the discounts of these pieces; return them and their rollbacks."""
    chosen = [
        effect
        for effect in net(session)
        if effect.effect_type in _PER_UNIT
        and (effect.props["position"], effect.props["subPosition"]) in units
    ]
    return chosen, _undone(session, chosen, decisions)


def net(session: Session) -> list[Effect]:
    """Return the effects in force: without those rolled back, and without the rollbacks."""
    undone = {id(effect) for effect in session.undone}
    return [effect for effect in session.effects if id(effect) not in undone]


def _undone(session: Session, effects: list[Effect], decisions: Decisions) -> list[Effect]:
    rollbacks = []
    for effect in effects:
        rollback = _undo(effect, session)
        if rollback is not None:
            session.undone = [*session.undone, effect]
            rollbacks.append(_bare(rollback) if decisions.bare_rollbacks else rollback)
    return rollbacks


def _bare(effect: Effect) -> Effect:
    return Effect(effect.effect_type, effect.props)


def _undo(effect: Effect, session: Session) -> Effect | None:
    if effect.effect_type in _DISCOUNTS:
        return effect._replace(effect_type="rollbackDiscount", props=_discount(effect.props))
    value = effect.props.get("value")
    if effect.effect_type == "acceptCoupon" and value in session.redeemed_coupons:
        return effect._replace(effect_type="rollbackCoupon", props={"value": value})
    if effect.effect_type == "acceptReferral" and value == session.redeemed_referral:
        return effect._replace(effect_type="rollbackReferral", props={"value": value})
    return None


def _discount(props: Json) -> Json:
    return {new: props[old] for old, new in _KEPT.items() if old in props}
