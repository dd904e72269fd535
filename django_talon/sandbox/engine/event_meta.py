"""What an event tells beside its effects: why codes were refused, attributes of what took part."""

from __future__ import annotations

from collections.abc import Sequence

from .state import Application, Coupon, Effect, Json

_REJECTIONS = {"rejectCoupon": "coupon", "rejectReferral": "referral"}


def of(effects: Sequence[Effect], application: Application) -> Json:
    """Return a ``Meta``; campaigns and coupons without attributes are left out."""
    meta: Json = {}
    for effect in effects:
        kind = _REJECTIONS.get(effect.effect_type)
        if kind is not None:
            meta[f"{kind}RejectionReason"] = _rejection(kind, effect, application)
    campaigns = [application.campaigns.get(number) for number in _owners(effects)]
    coupons = [coupon for coupon in _coupons(effects, application) if coupon.attributes]
    attributes = {str(one.id): one.attributes for one in campaigns if one and one.attributes}
    meta |= {"campaigns": attributes} if attributes else {}
    meta |= {"coupons": {one.value: one.attributes for one in coupons}} if coupons else {}
    return meta


def _owners(effects: Sequence[Effect]) -> dict[int, None]:
    return dict.fromkeys(effect.campaign_id for effect in effects)


def _coupons(effects: Sequence[Effect], application: Application) -> list[Coupon]:
    named = (e.props["value"] for e in effects if e.effect_type in {"acceptCoupon", "rejectCoupon"})
    found = (application.coupons.get(code) for code in dict.fromkeys(named))
    return [coupon for coupon in found if coupon is not None]


def _rejection(kind: str, effect: Effect, application: Application) -> Json:
    codes = application.coupons if kind == "coupon" else application.referrals
    code = codes.get(effect.props["value"])
    return {
        "campaignId": effect.campaign_id,
        f"{kind}Id": code.id if code is not None else -1,
        "reason": effect.props["rejectionReason"],
    }
