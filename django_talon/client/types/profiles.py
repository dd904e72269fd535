"""Customer profiles, their loyalty and achievements, and the customer inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, field

from django_talon.client.types.base import JSON, Model, Opt
from django_talon.client.types.coupons import Coupon, Giveaway, Referral


class NewCustomerProfile(Model, frozen=True, kw_only=True):
    """What the profile operations of 2020 send."""

    attributes: Opt[JSON] = UNSET


class ProfileAudiencesChanges(Model, frozen=True, kw_only=True):
    """Audience ids a customer joins and leaves."""

    adds: Sequence[int]
    deletes: Sequence[int]


class CustomerProfileRequest(Model, frozen=True, kw_only=True):
    """What `update_customer_profile_v2` sends today.

    `response_content` is possible only together with ``run_rule_engine=True``.
    """

    attributes: Opt[JSON] = UNSET
    audiences_changes: Opt[ProfileAudiencesChanges] = UNSET
    evaluable_campaign_ids: Opt[Sequence[int]] = UNSET
    response_content: Opt[Sequence[str]] = UNSET


class CustomerProfilesRequestItem(Model, frozen=True, kw_only=True):
    """One profile of a bulk update."""

    integration_id: str
    attributes: Opt[JSON] = UNSET


class CustomerProfilesRequest(Model, frozen=True, kw_only=True):
    """What `update_customer_profiles_v2` sends: up to 1,000 profiles."""

    customer_profiles: Sequence[CustomerProfilesRequestItem]


class LoyaltyMembership(Model, frozen=True, kw_only=True):
    """A loyalty program a customer belongs to (API of 2020)."""

    loyalty_program_id: int
    joined: Opt[datetime] = UNSET


class AudienceMembership(Model, frozen=True, kw_only=True):
    """An audience a customer belongs to."""

    id: int
    name: str


class CustomerProfile(Model, frozen=True, kw_only=True):
    """A customer. `total_sales` is before discounts."""

    integration_id: str
    created: datetime
    attributes: JSON
    account_id: int
    closed_sessions: int
    total_sales: Decimal
    last_activity: datetime
    id: Opt[int] = UNSET
    loyalty_memberships: Opt[Sequence[LoyaltyMembership]] = UNSET
    audience_memberships: Opt[Sequence[AudienceMembership]] = UNSET
    sandbox: Opt[bool] = UNSET


class CustomerProfileState(Model, frozen=True, kw_only=True):
    """One profile as a bulk update left it."""

    customer_profile: CustomerProfile


class CustomerProfilesUpdate(Model, frozen=True, kw_only=True):
    """What `update_customer_profiles_v2` answers; nothing if it was silent."""

    integration_states: Sequence[CustomerProfileState] = ()


class ReservedCustomers(Model, frozen=True, kw_only=True):
    """What `get_reserved_customers` answers."""

    data: Sequence[CustomerProfile]
    total_result_size: int


class Tier(Model, frozen=True, kw_only=True):
    """A loyalty tier."""

    id: int
    name: str
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    downgrade_policy: Opt[str] = UNSET


class Ledger(Model, frozen=True, kw_only=True):
    """The balances of one ledger, in points. In 2020 only the current one."""

    current_balance: Decimal
    pending_balance: Opt[Decimal] = UNSET
    negative_balance: Opt[Decimal] = UNSET
    expired_balance: Opt[Decimal] = UNSET
    spent_balance: Opt[Decimal] = UNSET
    tentative_current_balance: Opt[Decimal] = UNSET
    tentative_pending_balance: Opt[Decimal] = UNSET
    tentative_negative_balance: Opt[Decimal] = UNSET
    current_tier: Opt[Tier] = UNSET
    points_to_next_tier: Opt[Decimal] = UNSET
    next_tier_name: Opt[str] = UNSET


class LoyaltyProgram(Model, frozen=True, kw_only=True):
    """A customer's ledgers in one loyalty program."""

    title: str
    name: str
    ledger: Ledger
    id: Opt[int] = UNSET
    join_date: Opt[datetime] = UNSET
    sub_ledgers: Opt[Mapping[str, Ledger]] = UNSET


class LoyaltyCardProfile(Model, frozen=True, kw_only=True):
    """A customer a loyalty card is registered for."""

    integration_id: str
    timestamp: datetime


class LoyaltyCard(Model, frozen=True, kw_only=True):
    """A loyalty card and its ledgers."""

    id: int
    created: datetime
    program_id: int = field(name="programID")
    status: str
    identifier: str
    users_per_card_limit: int
    program_name: Opt[str] = UNSET
    program_title: Opt[str] = UNSET
    block_reason: Opt[str] = UNSET
    profiles: Opt[Sequence[LoyaltyCardProfile]] = UNSET
    ledger: Opt[Ledger] = UNSET
    subledgers: Opt[Mapping[str, Ledger]] = UNSET
    modified: Opt[datetime] = UNSET
    old_card_identifier: Opt[str] = UNSET
    new_card_identifier: Opt[str] = UNSET
    batch_id: Opt[str] = UNSET


class Loyalty(Model, frozen=True, kw_only=True):
    """A customer's loyalty programs, by program id, and cards."""

    programs: Mapping[str, LoyaltyProgram]
    cards: Opt[Sequence[LoyaltyCard]] = UNSET


class AchievementProgress(Model, frozen=True, kw_only=True):
    """How far a customer is in an achievement."""

    status: str
    progress: Decimal
    start_date: Opt[datetime] = UNSET
    completion_date: Opt[datetime] = UNSET
    end_date: Opt[datetime] = UNSET


class CustomerAchievement(Model, frozen=True, kw_only=True):
    """An achievement and the customer's progress in it."""

    id: int
    name: str
    title: str
    description: str
    target: Decimal
    recurrence_policy: str
    activation_policy: str
    allow_rollback_after_completion: bool
    fixed_start_date: Opt[datetime] = UNSET
    end_date: Opt[datetime] = UNSET
    current_progress: Opt[AchievementProgress] = UNSET


class InventoryAchievement(AchievementProgress, frozen=True, kw_only=True):
    """Progress in an achievement, with what the achievement is."""

    achievement_id: int
    name: str
    title: str
    description: str
    campaign_id: int
    achievement_recurrence_policy: str
    achievement_activation_policy: str
    target: Opt[Decimal] = UNSET
    achievement_fixed_start_date: Opt[datetime] = UNSET
    achievement_end_date: Opt[datetime] = UNSET
    achievement_allow_rollback_after_completion: Opt[bool] = UNSET


class CustomerInventory(Model, frozen=True, kw_only=True):
    """What Talon.One holds about a customer; only the parts asked for."""

    profile: Opt[CustomerProfile] = UNSET
    loyalty: Opt[Loyalty] = UNSET
    referrals: Opt[Sequence[Referral]] = UNSET
    coupons: Opt[Sequence[Coupon]] = UNSET
    giveaways: Opt[Sequence[Giveaway]] = UNSET
    achievements: Opt[Sequence[InventoryAchievement]] = UNSET
