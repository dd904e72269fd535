"""The effects that create codes or reserve them, once per session and rule."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from . import codes, coupons, expressions, times
from .attempt import Attempt, EffectFailedError, runs
from .blocks import flat
from .grants import recipient
from .state import CodeSettings, Coupon, Json, Referral


def _minted(attempt: Attempt, block: Json, kind: str) -> str | None:
    """Return the code this session's rule made before."""
    return attempt.names.scope.session.minted.get(_mint_key(attempt, block, kind))


def _mint_key(attempt: Attempt, block: Json, kind: str) -> tuple[Any, ...]:
    names = attempt.names
    blocks = [id(entry) for entry in flat(attempt.rule.blocks)]
    place = blocks.index(id(block))
    coupon = names.coupon.value if names.coupon else ""
    return (kind, names.campaign.id, attempt.index, place, coupon)


@runs("createCoupon")
def create_coupon(attempt: Attempt, block: Json) -> None:
    """Create a coupon code for a customer, once per session and rule; dry runs create none."""
    scope = attempt.names.scope
    code = _minted(attempt, block, "coupon")
    coupon = scope.application.coupons.get(code or "")
    if coupon is None:
        attempt.spend("createCoupon")
        if scope.dry:
            return
        coupon = _new_coupon(attempt, block)
        _store(attempt, block, coupon)
    attempt.coupons.append(coupon)
    props = {"value": coupon.value, "profileId": coupon.recipient_integration_id}
    attempt.add("couponCreated", props)


def _new_coupon(attempt: Attempt, block: Json) -> Coupon:
    scope, campaign_id = attempt.names.scope, _campaign_id(attempt, block)
    settings = _settings(block, scope.application.campaigns[campaign_id].coupon_codes)
    limit = expressions.number(block.get("discountLimit") or 0, attempt.value)
    return Coupon(
        id=scope.world.ids.next("coupon"),
        created=scope.now,
        campaign_id=campaign_id,
        value=_fresh(attempt, scope.application.coupons, settings),
        usage_limit=int(expressions.number(block.get("usageLimit", 1), attempt.value)),
        discount_limit=limit or None,
        start_date=times.moment(block.get("startDate"), ""),
        expiry_date=times.moment(block.get("expiryDate"), ""),
        recipient_integration_id=expressions.text(block["recipientId"], attempt.value),
        attributes=dict(block.get("attributes") or {}),
    )


def _campaign_id(attempt: Attempt, block: Json) -> int:
    number = int(expressions.number(block["campaignId"], attempt.value))
    if number not in attempt.names.scope.application.campaigns:
        raise EffectFailedError("there is no campaign {}", number)
    return number


def _settings(block: Json, usual: CodeSettings) -> CodeSettings:
    characters = block.get("validCharacters") or usual.characters
    return CodeSettings(block.get("pattern") or usual.pattern, characters)


def _fresh(attempt: Attempt, taken: Container[str], settings: CodeSettings) -> str:
    scope = attempt.names.scope
    code = codes.fresh(scope.world, scope.application, taken, settings)
    if code is None:
        raise EffectFailedError("the pattern {} has no free code left", settings.pattern)
    return code


def _store(attempt: Attempt, block: Json, made: Coupon | Referral) -> None:
    scope, is_coupon = attempt.names.scope, isinstance(made, Coupon)
    kind, code = ("coupon", made.value) if isinstance(made, Coupon) else ("referral", made.code)
    key = _mint_key(attempt, block, kind)

    def store() -> None:
        if isinstance(made, Coupon):
            scope.application.coupons[code] = made
        else:
            scope.application.referrals[code] = made
        scope.session.minted[key] = code
        if is_coupon and block["storeInSession"] and code not in scope.session.coupon_codes:
            scope.session.coupon_codes = [*scope.session.coupon_codes, code]
        elif not is_coupon and block["storeInSession"] and not scope.session.referral_code:
            scope.session.referral_code = code

    attempt.changes.append(store)


@runs("createReferral")
def create_referral(attempt: Attempt, block: Json) -> None:
    """Create a referral code of the customer, once per session and rule."""
    scope = attempt.names.scope
    code = _minted(attempt, block, "referral")
    referral = scope.application.referrals.get(code or "")
    if referral is None:
        attempt.spend("createReferral")
        if scope.dry:
            return
        referral = _new_referral(attempt, block)
        _store(attempt, block, referral)
    attempt.referrals.append(referral)
    attempt.add("referralCreated", {"value": referral.code})


def _new_referral(attempt: Attempt, block: Json) -> Referral:
    scope, campaign_id = attempt.names.scope, _campaign_id(attempt, block)
    settings = _settings(block, scope.application.campaigns[campaign_id].referral_codes)
    return Referral(
        id=scope.world.ids.next("referral"),
        created=scope.now,
        campaign_id=campaign_id,
        code=_fresh(attempt, scope.application.referrals, settings),
        advocate=recipient(attempt, "Current"),
        friend=expressions.text(block["friendId"], attempt.value),
        usage_limit=int(expressions.number(block.get("usageLimit", 0), attempt.value)),
        start_date=times.moment(block.get("startDate"), ""),
        expiry_date=times.moment(block.get("expiryDate"), ""),
        attributes=dict(block.get("attributes") or {}),
    )


@runs("reserveCoupon")
def reserve_coupon(attempt: Attempt, block: Json) -> None:
    """Reserve a coupon for the customer, within its reservation limit."""
    scope = attempt.names.scope
    profile_id = recipient(attempt, block.get("profile", "Current"))
    code = expressions.text(block["couponValue"], attempt.value)
    coupon = scope.application.coupons.get(scope.application.settings.code(code))
    if coupon is None:
        raise EffectFailedError("there is no coupon {}", code)
    is_new = profile_id not in coupon.reserved_for
    if is_new and coupons.is_full(coupon):
        raise EffectFailedError("the reservations of {} are used up", code)
    attempt.changes.append(lambda: coupons.hold(coupon, profile_id, scope.now))
    props = {"couponValue": coupon.value, "profileIntegrationId": profile_id}
    attempt.add("reserveCoupon", {**props, "isNewReservation": is_new})
