"""What effects for the customer say: points, tiers, achievements, audiences, giveaways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, field

from django_talon.client.types.base import Model, Opt
from django_talon.client.types.props import EffectProps


class ExpiryDateChange(Model, frozen=True, kw_only=True):
    """One ledger entry whose points expire at another date now."""

    transaction_uuid: str = field(name="transactionUUID")
    new_expiry_date: datetime
    previous_expiry_date: Opt[datetime] = UNSET


class AddLoyaltyPointsProps(EffectProps, frozen=True, kw_only=True):
    """Points were or will be given. An empty `sub_ledger_id` is the main ledger."""

    name: str
    program_id: int
    sub_ledger_id: str
    value: Decimal
    recipient_integration_id: str
    desired_value: Opt[Decimal] = UNSET
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    transaction_uuid: Opt[str] = field(default=UNSET, name="transactionUUID")
    cart_item_position: Opt[int] = UNSET
    cart_item_sub_position: Opt[int] = UNSET
    card_identifier: Opt[str] = UNSET
    bundle_index: Opt[int] = UNSET
    bundle_name: Opt[str] = UNSET
    awaits_activation: Opt[bool] = UNSET
    validity_duration: Opt[str] = UNSET
    expiry_condition: Opt[str] = UNSET


class AddToAudienceProps(EffectProps, frozen=True, kw_only=True):
    """The customer joined an audience."""

    audience_id: Opt[int] = UNSET
    audience_name: Opt[str] = UNSET
    profile_integration_id: Opt[str] = UNSET
    profile_id: Opt[int] = UNSET


class AwardGiveawayProps(EffectProps, frozen=True, kw_only=True):
    """A giveaway code was handed out (only on a closed session)."""

    pool_id: int
    pool_name: str
    recipient_integration_id: str
    giveaway_id: int
    code: str


class ChangeLoyaltyTierLevelProps(EffectProps, frozen=True, kw_only=True):
    """The customer reached another tier."""

    rule_title: str
    program_id: int
    sub_ledger_id: str
    new_tier_name: str
    previous_tier_name: Opt[str] = UNSET
    expiry_date: Opt[datetime] = UNSET


class DeductLoyaltyPointsProps(EffectProps, frozen=True, kw_only=True):
    """Points were or will be spent. An empty `sub_ledger_id` is the main ledger."""

    rule_title: str
    program_id: int
    sub_ledger_id: str
    value: Decimal
    transaction_uuid: Opt[str] = field(default=UNSET, name="transactionUUID")
    name: Opt[str] = UNSET
    card_identifier: Opt[str] = UNSET


class ExtendLoyaltyPointsExpiryDateProps(EffectProps, frozen=True, kw_only=True):
    """Points live longer, by a duration such as ``30D``."""

    program_id: int
    sub_ledger_id: str
    extension_duration: str
    affected_transactions: Opt[Sequence[ExpiryDateChange]] = UNSET


class IncreaseAchievementProgressProps(EffectProps, frozen=True, kw_only=True):
    """The customer came closer to an achievement."""

    achievement_id: int
    achievement_name: str
    delta: Decimal
    value: Decimal
    target: Decimal
    is_just_completed: bool
    progress_tracker_id: Opt[int] = UNSET


class RemoveFromAudienceProps(EffectProps, frozen=True, kw_only=True):
    """The customer left an audience."""

    audience_id: Opt[int] = UNSET
    audience_name: Opt[str] = UNSET
    profile_integration_id: Opt[str] = UNSET
    profile_id: Opt[int] = UNSET


class RollbackAddedLoyaltyPointsProps(EffectProps, frozen=True, kw_only=True):
    """Points given earlier were taken back."""

    program_id: int
    sub_ledger_id: str
    value: Decimal
    recipient_integration_id: str
    transaction_uuid: str = field(name="transactionUUID")
    cart_item_position: Opt[int] = UNSET
    cart_item_sub_position: Opt[int] = UNSET
    card_identifier: Opt[str] = UNSET


class RollbackDeductedLoyaltyPointsProps(EffectProps, frozen=True, kw_only=True):
    """Points spent earlier were given back."""

    program_id: int
    sub_ledger_id: str
    value: Decimal
    recipient_integration_id: str
    transaction_uuid: str = field(name="transactionUUID")
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    card_identifier: Opt[str] = UNSET


class RollbackIncreasedAchievementProgressProps(EffectProps, frozen=True, kw_only=True):
    """Progress of an achievement was taken back."""

    achievement_id: int
    achievement_name: str
    progress_tracker_id: int
    decrease_progress_by: Decimal
    current_progress: Decimal
    target: Decimal


class SetLoyaltyPointsExpiryDateProps(EffectProps, frozen=True, kw_only=True):
    """Points expire at a new date."""

    program_id: int
    sub_ledger_id: str
    new_expiry_date: datetime
    affected_transactions: Opt[Sequence[ExpiryDateChange]] = UNSET


class StartAchievementProgressProps(EffectProps, frozen=True, kw_only=True):
    """The customer started an achievement."""

    achievement_id: int
    achievement_name: str
    progress_tracker_id: int
    target: Decimal
    start_date: datetime
    end_date: Opt[datetime] = UNSET


class WillAwardGiveawayProps(EffectProps, frozen=True, kw_only=True):
    """A giveaway would be handed out if the session were closed now."""

    pool_id: int
    pool_name: str
    recipient_integration_id: str
