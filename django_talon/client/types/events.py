"""Events, and the states that updates and events are answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from django_talon.client.types.base import JSON, Model, Opt
from django_talon.client.types.campaigns import Campaign, CampaignEligibility, RuleFailureReason
from django_talon.client.types.coupons import Coupon, Giveaway, Referral
from django_talon.client.types.effects import Effect, effects_of_2020
from django_talon.client.types.profiles import CustomerAchievement, CustomerProfile, Loyalty
from django_talon.client.types.sessions import CustomerSession, CustomerSessionV2, Return

if TYPE_CHECKING:
    EventEffects = Sequence[Effect]
else:
    EventEffects = list[Any]


class NewEvent(Model, frozen=True, kw_only=True):
    """What `track_event` (V1) sends."""

    type: str
    attributes: JSON
    session_id: str
    profile_id: Opt[str] = UNSET


class IntegrationEventV2Request(Model, frozen=True, kw_only=True):
    """What `track_event_v2` sends. Talon.One wants a `profile_id` in practice."""

    type: str
    profile_id: Opt[str] = UNSET
    store_integration_id: Opt[str] = UNSET
    attributes: Opt[JSON] = UNSET
    evaluable_campaign_ids: Opt[Sequence[int]] = UNSET
    loyalty_cards: Opt[Sequence[str]] = UNSET
    response_content: Opt[Sequence[str]] = UNSET


class IntegrationEventV3Request(Model, frozen=True, kw_only=True):
    """What `track_event_v3` sends. `connected_session_id` is of a closed session."""

    integration_id: str
    profile_id: str
    type: str
    connected_session_id: Opt[str] = UNSET
    store_integration_id: Opt[str] = UNSET
    attributes: Opt[JSON] = UNSET
    evaluable_campaign_ids: Opt[Sequence[int]] = UNSET
    loyalty_cards: Opt[Sequence[str]] = UNSET
    response_content: Opt[Sequence[str]] = UNSET


class LedgerEntry(Model, frozen=True, kw_only=True):
    """A movement of loyalty points."""

    id: int
    created: datetime
    profile_id: str
    account_id: int
    loyalty_program_id: int
    event_id: int
    amount: Decimal
    reason: str
    expiry_date: Opt[datetime] = UNSET
    reference_id: Opt[int] = UNSET


class CouponRejectionReason(Model, frozen=True, kw_only=True):
    """Why a coupon was refused. `reason` is Talon.One's own word."""

    campaign_id: int
    coupon_id: int
    reason: str


class ReferralRejectionReason(Model, frozen=True, kw_only=True):
    """Why a referral code was refused. `reason` is Talon.One's own word."""

    campaign_id: int
    referral_id: int
    reason: str


class Meta(Model, frozen=True, kw_only=True):
    """Further facts about an event."""

    campaigns: Opt[JSON] = UNSET
    coupons: Opt[JSON] = UNSET
    coupon_rejection_reason: Opt[CouponRejectionReason] = UNSET
    referral_rejection_reason: Opt[ReferralRejectionReason] = UNSET
    warnings: Opt[Any] = UNSET


class Event(Model, frozen=True, kw_only=True):
    """An event and the effects it had, V1's positional effects included."""

    id: int
    created: datetime
    application_id: int
    type: str
    attributes: JSON
    effects: EventEffects
    profile_id: Opt[str] = UNSET
    store_integration_id: Opt[str] = UNSET
    integration_id: Opt[str] = UNSET
    session_id: Opt[str] = UNSET
    ledger_entries: Opt[Sequence[LedgerEntry]] = UNSET
    meta: Opt[Meta] = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.effects, list):
            effects = effects_of_2020(self.effects, _rejections(self.meta))
            msgspec.structs.force_setattr(self, "effects", effects)


class EventV3(Model, frozen=True, kw_only=True):
    """An event with an id of its own, and the effects it had."""

    id: int
    created: datetime
    application_id: int
    type: str
    attributes: JSON
    effects: EventEffects
    integration_id: Opt[str] = UNSET
    profile_id: Opt[str] = UNSET
    store_integration_id: Opt[str] = UNSET
    connected_session_id: Opt[str] = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.effects, list):
            effects = effects_of_2020(self.effects, {})
            msgspec.structs.force_setattr(self, "effects", effects)


def _rejections(meta: Opt[Meta]) -> Mapping[str, str]:
    if not isinstance(meta, Meta):
        return {"rejectCoupon": "", "rejectReferral": ""}
    coupon, referral = meta.coupon_rejection_reason, meta.referral_rejection_reason
    return {
        "rejectCoupon": coupon.reason if isinstance(coupon, CouponRejectionReason) else "",
        "rejectReferral": referral.reason if isinstance(referral, ReferralRejectionReason) else "",
    }


class IntegrationState(Model, frozen=True, kw_only=True):
    """What the V1 operations answer. The effects are in ``event.effects``."""

    session: CustomerSession
    profile: CustomerProfile
    event: Event
    loyalty: Opt[Loyalty] = UNSET
    coupon: Opt[Coupon] = UNSET


class State(Model, frozen=True, kw_only=True):
    """What the answers of all V2 operations share: effects, and what was asked for."""

    effects: Sequence[Effect]
    created_coupons: Sequence[Coupon] = ()
    created_referrals: Sequence[Referral] = ()
    customer_profile: Opt[CustomerProfile] = UNSET
    event: Opt[Event] = UNSET
    loyalty: Opt[Loyalty] = UNSET
    triggered_campaigns: Opt[Sequence[Campaign]] = UNSET
    rule_failure_reasons: Opt[Sequence[RuleFailureReason]] = UNSET
    campaign_eligibility: Opt[Sequence[CampaignEligibility]] = UNSET
    awarded_giveaways: Opt[Sequence[Giveaway]] = UNSET
    achievements: Opt[Sequence[CustomerAchievement]] = UNSET


class IntegrationStateV2(State, frozen=True, kw_only=True):
    """What session updates and V2 events answer."""

    customer_session: Opt[CustomerSessionV2] = UNSET
    coupons: Opt[Sequence[Coupon]] = UNSET
    referral: Opt[Referral] = UNSET
    return_: Opt[Return] = UNSET
    previous_returns: Opt[Sequence[Return]] = UNSET
    advanced_event: Opt[EventV3] = UNSET


class CustomerProfileUpdate(State, frozen=True, kw_only=True):
    """What `update_customer_profile_v2` answers. In 2020 there are no effects."""


class CustomerProfileUpdate2020(CustomerProfileUpdate, frozen=True, kw_only=True):
    """The answer of 2020: the profile is always there."""

    customer_profile: CustomerProfile
    effects: Sequence[Effect] = ()
