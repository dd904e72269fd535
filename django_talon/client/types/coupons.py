"""Coupons, reservations, referrals and giveaways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, field

from django_talon.client.types.base import JSON, Model, Opt


class LimitConfig(Model, frozen=True, kw_only=True):
    """How often something may happen, and counted for what."""

    action: str
    limit: Decimal
    entities: Sequence[str]
    period: Opt[str] = UNSET


class Coupon(Model, frozen=True, kw_only=True):
    """A coupon. The last two fields come only where a profile is asked about."""

    id: int
    created: datetime
    campaign_id: int
    value: str
    usage_limit: int
    usage_counter: int
    discount_limit: Opt[Decimal] = UNSET
    discount_counter: Opt[Decimal] = UNSET
    discount_remainder: Opt[Decimal] = UNSET
    reservation_limit: Opt[int] = UNSET
    reservation_counter: Opt[Decimal] = UNSET
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    limits: Opt[Sequence[LimitConfig]] = UNSET
    attributes: Opt[JSON] = UNSET
    referral_id: Opt[int] = UNSET
    recipient_integration_id: Opt[str] = UNSET
    import_id: Opt[int] = UNSET
    reservation: Opt[bool] = UNSET
    batch_id: Opt[str] = UNSET
    is_reservation_mandatory: Opt[bool] = UNSET
    implicitly_reserved: Opt[bool] = UNSET
    profile_redemption_count: Opt[int] = UNSET
    state: Opt[str] = UNSET


class CouponReservations(Model, frozen=True, kw_only=True):
    """The customer profiles a coupon is (or is no longer) reserved for."""

    integration_ids: Sequence[str] = field(name="integrationIDs")


class NewReferral(Model, frozen=True, kw_only=True):
    """What `create_referral` sends."""

    campaign_id: int
    advocate_profile_integration_id: str
    friend_profile_integration_id: Opt[str] = UNSET
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    usage_limit: Opt[int] = UNSET
    attributes: Opt[JSON] = UNSET


class Referral(Model, frozen=True, kw_only=True):
    """A referral code and its advocate. `referred_customers`: inventory only."""

    id: int
    created: datetime
    campaign_id: int
    advocate_profile_integration_id: str
    code: str
    usage_counter: int
    usage_limit: int
    friend_profile_integration_id: Opt[str] = UNSET
    start_date: Opt[datetime] = UNSET
    expiry_date: Opt[datetime] = UNSET
    attributes: Opt[JSON] = UNSET
    import_id: Opt[int] = UNSET
    batch_id: Opt[str] = UNSET
    referred_customers: Opt[Sequence[str]] = UNSET


class Giveaway(Model, frozen=True, kw_only=True):
    """A giveaway code awarded to a customer."""

    id: int
    created: datetime
    code: str
    pool_id: int
    start_date: Opt[datetime] = UNSET
    end_date: Opt[datetime] = UNSET
    attributes: Opt[JSON] = UNSET
    used: Opt[bool] = UNSET
    import_id: Opt[int] = UNSET
    profile_integration_id: Opt[str] = UNSET
    profile_id: Opt[int] = UNSET
