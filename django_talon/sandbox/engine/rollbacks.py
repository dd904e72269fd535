"""The effects that undo earlier ones when a session is cancelled."""

from __future__ import annotations

from dataclasses import replace

from .state import Effect, Json, Session

_DISCOUNTS = {"setDiscount", "setDiscountPerItem", "setDiscountPerAdditionalCost"}
_KEPT = {
    "name": "name",
    "value": "value",
    "position": "cartItemPosition",
    "subPosition": "cartItemSubPosition",
    "additionalCostId": "additionalCostId",
    "additionalCost": "additionalCost",
}


def of(session: Session) -> list[Effect]:
    """Return the rollbacks of a session's last evaluation, each in the envelope it undoes.

    A session that was never closed redeemed no code, so only its discounts are rolled back.
    """
    undone = [_undo(effect, session) for effect in session.effects]
    return [effect for effect in undone if effect is not None]


def net(session: Session) -> list[Effect]:
    """Return the effects in force: without those rolled back, and without the rollbacks."""
    if session.state != "cancelled":
        return session.effects
    return [e for e in session.effects if (e.effect_type, _key(e)) not in _undone(session)]


def _undone(session: Session) -> set[tuple[str, str]]:
    codes = {("acceptCoupon", e.props["value"]) for e in _of_type(session, "rollbackCoupon")}
    codes |= {("acceptReferral", e.props["value"]) for e in _of_type(session, "rollbackReferral")}
    return codes | {(kind, "") for kind in _DISCOUNTS}


def _of_type(session: Session, kind: str) -> list[Effect]:
    return [effect for effect in session.rollbacks if effect.effect_type == kind]


def _key(effect: Effect) -> str:
    return "" if effect.effect_type in _DISCOUNTS else str(effect.props.get("value", ""))


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
