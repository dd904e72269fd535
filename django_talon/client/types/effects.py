"""
Effects: what a rule told the shop to do, typed by effect type.

``PROPS`` is the one table from an effect type to the type of its props.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType, field

from django_talon.client.types import gains, props
from django_talon.client.types.base import JSON, Model, Opt, decode_plain, decoder, encode, salvage

if TYPE_CHECKING:
    Props = props.EffectProps | JSON
else:
    Props = msgspec.Raw

PROPS: Mapping[str, type[props.EffectProps]] = {
    "acceptCoupon": props.AcceptCouponProps,
    "acceptReferral": props.AcceptReferralProps,
    "addFreeItem": props.AddFreeItemProps,
    "addLoyaltyPoints": gains.AddLoyaltyPointsProps,
    "addToAudience": gains.AddToAudienceProps,
    "awardGiveaway": gains.AwardGiveawayProps,
    "changeLoyaltyTierLevel": gains.ChangeLoyaltyTierLevelProps,
    "couponCreated": props.CouponCreatedProps,
    "customEffect": props.CustomEffectProps,
    "deductLoyaltyPoints": gains.DeductLoyaltyPointsProps,
    "error": props.ErrorProps,
    "extendLoyaltyPointsExpiryDate": gains.ExtendLoyaltyPointsExpiryDateProps,
    "increaseAchievementProgress": gains.IncreaseAchievementProgressProps,
    "redeemReferral": props.RedeemReferralProps,
    "referralCreated": props.ReferralCreatedProps,
    "rejectCoupon": props.RejectCouponProps,
    "rejectReferral": props.RejectReferralProps,
    "removeFromAudience": gains.RemoveFromAudienceProps,
    "reserveCoupon": props.ReserveCouponProps,
    "rollbackAddedLoyaltyPoints": gains.RollbackAddedLoyaltyPointsProps,
    "rollbackCoupon": props.RollbackCouponProps,
    "rollbackDeductedLoyaltyPoints": gains.RollbackDeductedLoyaltyPointsProps,
    "rollbackDiscount": props.RollbackDiscountProps,
    "rollbackIncreasedAchievementProgress": gains.RollbackIncreasedAchievementProgressProps,
    "rollbackReferral": props.RollbackReferralProps,
    "setDiscount": props.SetDiscountProps,
    "setDiscountPerAdditionalCost": props.SetDiscountPerAdditionalCostProps,
    "setDiscountPerAdditionalCostPerItem": props.SetDiscountPerAdditionalCostPerItemProps,
    "setDiscountPerItem": props.SetDiscountPerItemProps,
    "setLoyaltyPointsExpiryDate": gains.SetLoyaltyPointsExpiryDateProps,
    "showBundleMetadata": props.ShowBundleMetadataProps,
    "showNotification": props.ShowNotificationProps,
    "startAchievementProgress": gains.StartAchievementProgressProps,
    "triggerWebhook": props.TriggerWebhookProps,
    "updateAttribute": props.UpdateAttributeProps,
    "willAwardGiveaway": gains.WillAwardGiveawayProps,
}


class Effect(Model, frozen=True, kw_only=True):
    """One effect of an answer. Each answer holds the full set; order says nothing.

    `props` is an instance of the type `PROPS` has for `effect_type`. For an
    effect type that is not in the table, or props that do not fit their type, it
    is plain data. `campaign_id` is -1 where no campaign is behind the effect;
    `triggered_by_coupon` is the id of a coupon, not its code.
    """

    campaign_id: int
    ruleset_id: int
    rule_index: int
    rule_name: str
    effect_type: str
    props: Props
    triggered_by_coupon: Opt[int] = UNSET
    triggered_for_catalog_item: Opt[int] = UNSET
    condition_index: Opt[int] = UNSET
    evaluation_group_id: Opt[int] = field(default=UNSET, name="evaluationGroupID")
    evaluation_group_mode: Opt[str] = UNSET
    experiment_id: Opt[int] = UNSET
    campaign_revision_id: Opt[int] = UNSET
    campaign_revision_version_id: Opt[int] = UNSET
    selected_price_type: Opt[str] = UNSET
    selected_price: Opt[Decimal] = UNSET
    adjustment_reference_id: Opt[str] = UNSET

    def __post_init__(self) -> None:
        if not isinstance(self.props, (props.EffectProps, UnsetType)):
            typed = _typed(self.effect_type, self.props)
            msgspec.structs.force_setattr(self, "props", typed)

    def __repr__(self) -> str:
        return f"<Effect {self.effect_type} of campaign {self.campaign_id}>"


def decode_effects(data: bytes) -> list[Effect]:
    """Return the effects `encode` made JSON of. Raises `msgspec.MsgspecError`."""
    return list(decoder(list[Effect]).decode(data))


def effects_of_2020(entries: Sequence[Any], reasons: Mapping[str, Any]) -> list[Effect]:
    """Return the effects inside a V1 event.

    There an effect is ``[campaign, ruleset, rule index, [function, argument, ...]]``.
    `reasons`: for ``rejectCoupon`` and ``rejectReferral`` why, which the event
    tells elsewhere. What has another form becomes an effect of type ``""``.
    """
    return [_effect_of_2020(entry, reasons) for entry in entries]


#: The names of the arguments of those V1 functions that are published.
_ARGUMENTS = {
    "setDiscount": ("name", "value"),
    "acceptCoupon": ("value",),
    "rejectCoupon": ("value",),
    "acceptReferral": ("value",),
    "rejectReferral": ("value",),
    "addFreeItem": ("profileId", "sku", "name"),
}


def _effect_of_2020(entry: Any, reasons: Mapping[str, Any]) -> Effect:
    match entry:
        case Effect():
            return entry
        case dict() if "effectType" in entry:
            return _salvaged(entry)
        case [int(campaign), int(ruleset), int(rule), [str(function), *arguments]]:
            values = _named(function, arguments)
            if function in reasons:
                values["rejectionReason"] = reasons[function]
        case _:
            campaign = ruleset = rule = -1
            function, values = "", {"arguments": [entry]}
    return Effect(
        campaign_id=campaign,
        ruleset_id=ruleset,
        rule_index=rule,
        rule_name="",
        effect_type=function,
        props=values,
    )


def _salvaged(entry: dict[str, Any]) -> Effect:
    effect: Effect = salvage(encode(entry), Effect)
    return effect


def _named(function: str, arguments: list[Any]) -> dict[str, Any]:
    names = _ARGUMENTS.get(function, ())
    if len(names) != len(arguments):
        return {"arguments": arguments}
    return dict(zip(names, arguments, strict=True))


def _typed(effect_type: Any, value: Any) -> Any:
    data = value if isinstance(value, msgspec.Raw) else encode(value)
    kind = PROPS.get(effect_type) if isinstance(effect_type, str) else None
    if kind is None:
        return decode_plain(data)
    try:
        return decoder(kind).decode(data)
    except msgspec.ValidationError:
        found = salvage(data, kind)
    return found if _fits(found, kind) else decode_plain(data)


def _fits(value: Any, kind: type[props.EffectProps]) -> bool:
    try:
        return bool(decoder(kind).decode(encode(value)) == value)
    except msgspec.ValidationError:
        return False
