"""Campaigns as answers mention them, and why rules did not apply."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, field

from django_talon.client.types.base import JSON, Model, Opt
from django_talon.client.types.coupons import LimitConfig


class CodeGeneratorSettings(Model, frozen=True, kw_only=True):
    """How a campaign makes codes."""

    valid_characters: Sequence[str]
    coupon_pattern: str


class CampaignBudget(Model, frozen=True, kw_only=True):
    """A budget of a campaign and how much of it is used."""

    action: str
    limit: Decimal
    counter: Decimal


class Campaign(Model, frozen=True, kw_only=True):
    """A campaign that had an effect."""

    id: int
    created: datetime
    application_id: int
    user_id: int
    name: str
    description: str
    state: str
    tags: Sequence[str]
    features: Sequence[str]
    limits: Sequence[LimitConfig]
    start_time: Opt[datetime] = UNSET
    end_time: Opt[datetime] = UNSET
    attributes: Opt[JSON] = UNSET
    active_ruleset_id: Opt[int] = UNSET
    reevaluate_on_return: Opt[bool] = UNSET
    coupon_settings: Opt[CodeGeneratorSettings] = UNSET
    referral_settings: Opt[CodeGeneratorSettings] = UNSET
    campaign_groups: Opt[Sequence[int]] = UNSET
    type: Opt[str] = UNSET
    linked_store_ids: Opt[Sequence[int]] = UNSET
    coupon_attributes: Opt[JSON] = UNSET
    budgets: Opt[Sequence[CampaignBudget]] = UNSET
    coupon_redemption_count: Opt[int] = UNSET
    referral_redemption_count: Opt[int] = UNSET
    discount_count: Opt[Decimal] = UNSET
    discount_effect_count: Opt[int] = UNSET
    coupon_creation_count: Opt[int] = UNSET
    custom_effect_count: Opt[int] = UNSET
    referral_creation_count: Opt[int] = UNSET
    add_free_item_effect_count: Opt[int] = UNSET
    awarded_giveaways_count: Opt[int] = UNSET
    created_loyalty_points_count: Opt[Decimal] = UNSET
    created_loyalty_points_effect_count: Opt[int] = UNSET
    redeemed_loyalty_points_count: Opt[Decimal] = UNSET
    redeemed_loyalty_points_effect_count: Opt[int] = UNSET
    call_api_effect_count: Opt[int] = UNSET
    reservecoupon_effect_count: Opt[int] = UNSET
    last_activity: Opt[datetime] = UNSET
    updated: Opt[datetime] = UNSET
    created_by: Opt[str] = UNSET
    updated_by: Opt[str] = UNSET
    template_id: Opt[int] = UNSET
    frontend_state: Opt[str] = UNSET
    stores_imported: Opt[bool] = UNSET
    value_maps_ids: Opt[Sequence[int]] = UNSET
    experiment_id: Opt[int] = UNSET
    revision_frontend_state: Opt[str] = UNSET
    active_revision_id: Opt[int] = UNSET
    active_revision_version_id: Opt[int] = UNSET
    current_revision_id: Opt[int] = UNSET
    current_revision_version_id: Opt[int] = UNSET
    stage_revision: Opt[bool] = UNSET
    version: Opt[int] = UNSET


class CampaignEligibility(Model, frozen=True, kw_only=True):
    """Whether a campaign would apply (dry requests). The details are plain data."""

    id: int
    application_id: int
    name: str
    state: str
    tags: Sequence[str]
    features: Sequence[str]
    eligibility: Sequence[JSON]
    rules: Sequence[JSON]
    description: Opt[str] = UNSET
    start_time: Opt[datetime] = UNSET
    end_time: Opt[datetime] = UNSET
    attributes: Opt[JSON] = UNSET
    experiment: Opt[JSON] = UNSET


class RuleFailureReason(Model, frozen=True, kw_only=True):
    """Why a rule did not apply."""

    campaign_id: int = field(name="campaignID")
    campaign_name: str
    ruleset_id: int = field(name="rulesetID")
    rule_index: int
    rule_name: str
    coupon_id: Opt[int] = field(default=UNSET, name="couponID")
    coupon_value: Opt[str] = UNSET
    referral_id: Opt[int] = field(default=UNSET, name="referralID")
    referral_value: Opt[str] = UNSET
    condition_index: Opt[int] = UNSET
    effect_index: Opt[int] = UNSET
    details: Opt[str] = UNSET
    evaluation_group_id: Opt[int] = field(default=UNSET, name="evaluationGroupID")
    evaluation_group_mode: Opt[str] = UNSET
