"""What effects on the cart say, and the base of what all effects say.

There is one type for each type of effect of today's API and of 2020's. A field is
required only where both of them require it. All amounts are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from django_talon.client.types.base import JSON, Model, Opt


class EffectProps(Model, frozen=True, kw_only=True):
    """The base of all props."""


class AcceptCouponProps(EffectProps, frozen=True, kw_only=True):
    """The code is valid; it is redeemed when the session closes."""

    value: str


class AcceptReferralProps(EffectProps, frozen=True, kw_only=True):
    """The referral code is valid; it is redeemed when the session closes."""

    value: str


class AddFreeItemProps(EffectProps, frozen=True, kw_only=True):
    """Add this item at price zero, then send the cart again with it."""

    sku: str
    name: str
    desired_quantity: Opt[int] = UNSET


class CouponCreatedProps(EffectProps, frozen=True, kw_only=True):
    """A coupon was made for this customer; deliver the code once."""

    value: str
    profile_id: str


class CustomEffectProps(EffectProps, frozen=True, kw_only=True):
    """An effect defined by the shop's own campaign manager: act on `name`."""

    effect_id: int
    name: str
    payload: JSON
    cart_item_position: Opt[int] = UNSET
    cart_item_sub_position: Opt[int] = UNSET
    bundle_index: Opt[int] = UNSET
    bundle_name: Opt[str] = UNSET


class ErrorProps(EffectProps, frozen=True, kw_only=True):
    """A rule failed. For the log, not for the customer."""

    message: str


class RedeemReferralProps(EffectProps, frozen=True, kw_only=True):
    """The older form of `acceptReferral`."""

    id: int
    value: str


class ReferralCreatedProps(EffectProps, frozen=True, kw_only=True):
    """A referral code was made; deliver it once."""

    value: str


class RejectCouponProps(EffectProps, frozen=True, kw_only=True):
    """The code cannot be used; `rejection_reason` is Talon.One's own word."""

    value: str
    rejection_reason: str
    condition_index: Opt[int] = UNSET
    effect_index: Opt[int] = UNSET
    details: Opt[str] = UNSET
    campaign_exclusion_reason: Opt[str] = UNSET


class RejectReferralProps(EffectProps, frozen=True, kw_only=True):
    """The referral code cannot be used; see `rejection_reason`."""

    value: str
    rejection_reason: str
    condition_index: Opt[int] = UNSET
    effect_index: Opt[int] = UNSET
    details: Opt[str] = UNSET
    campaign_exclusion_reason: Opt[str] = UNSET


class ReserveCouponProps(EffectProps, frozen=True, kw_only=True):
    """A coupon was reserved for the customer."""

    coupon_value: str
    profile_integration_id: str
    is_new_reservation: bool


class RollbackCouponProps(EffectProps, frozen=True, kw_only=True):
    """The coupon can be used again."""

    value: str


class RollbackDiscountProps(EffectProps, frozen=True, kw_only=True):
    """A discount is undone: `value` is the amount, in the Application's currency."""

    name: str
    value: Decimal
    cart_item_position: Opt[int] = UNSET
    cart_item_sub_position: Opt[int] = UNSET
    additional_cost_id: Opt[int] = UNSET
    additional_cost: Opt[str] = UNSET
    scope: Opt[str] = UNSET


class RollbackReferralProps(EffectProps, frozen=True, kw_only=True):
    """The referral code can be used again."""

    value: str


class SetDiscountProps(EffectProps, frozen=True, kw_only=True):
    """A discount on the whole session, in the Application's currency."""

    name: str
    value: Decimal
    scope: Opt[str] = UNSET
    desired_value: Opt[Decimal] = UNSET


class SetDiscountPerAdditionalCostProps(EffectProps, frozen=True, kw_only=True):
    """A discount on a cost of the session, such as shipping."""

    name: str
    additional_cost_id: int
    additional_cost: str
    value: Decimal
    desired_value: Opt[Decimal] = UNSET


class SetDiscountPerAdditionalCostPerItemProps(EffectProps, frozen=True, kw_only=True):
    """A discount on a cost of one unit of an item."""

    name: str
    additional_cost_id: int
    value: Decimal
    position: int
    additional_cost: str
    sub_position: Opt[int] = UNSET
    desired_value: Opt[Decimal] = UNSET


class SetDiscountPerItemProps(EffectProps, frozen=True, kw_only=True):
    """A discount on one unit, in the Application's currency.

    Without `sub_position` (API of 2020) `value` is for the line at `position`.
    """

    name: str
    value: Decimal
    position: int
    sub_position: Opt[int] = UNSET
    desired_value: Opt[Decimal] = UNSET
    scope: Opt[str] = UNSET
    total_discount: Opt[Decimal] = UNSET
    desired_total_discount: Opt[Decimal] = UNSET
    bundle_index: Opt[int] = UNSET
    bundle_name: Opt[str] = UNSET
    targeted_item_position: Opt[int] = UNSET
    targeted_item_sub_position: Opt[int] = UNSET
    excluded_from_price_history: Opt[bool] = UNSET


class ShowBundleMetadataProps(EffectProps, frozen=True, kw_only=True):
    """Items form a bundle (deprecated by Talon.One)."""

    description: str
    bundle_attributes: Sequence[str]
    items_indices: Sequence[int]


class ShowNotificationProps(EffectProps, frozen=True, kw_only=True):
    """A message for the customer; `notification_type` is for example ``Info``."""

    notification_type: str
    title: str
    body: str


class TriggerWebhookProps(EffectProps, frozen=True, kw_only=True):
    """Talon.One calls a webhook; nothing to do for the shop."""

    webhook_id: int
    webhook_name: str


class UpdateAttributeProps(EffectProps, frozen=True, kw_only=True):
    """An attribute changed; `path` says of which entity, `value` is any JSON."""

    path: str
    value: Any
