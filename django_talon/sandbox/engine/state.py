"""What a world holds: profiles, and per application sessions, coupons, referrals, events."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Clock = Callable[[], datetime]
Json = dict[str, Any]


class Ids:
    """Counters per kind of entity, and generated codes; equal seeds give equal ids."""

    def __init__(self, seed: int = 1) -> None:
        self._last: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311 - codes must be reproducible

    def next(self, kind: str) -> int:
        """Return the next id of this kind, starting with 1."""
        self._last[kind] += 1
        return self._last[kind]

    def code(self, pattern: str, characters: str) -> str:
        """Return the pattern with each ``#`` replaced by one of the characters."""
        return "".join(self._random.choice(characters) if c == "#" else c for c in pattern)


@dataclass
class Profile:
    """A customer profile; ``total_sales`` is before discounts, in the application's currency."""

    id: int
    integration_id: str
    created: datetime
    last_activity: datetime
    attributes: Json = field(default_factory=dict)
    closed_sessions: int = 0
    total_sales: Decimal = Decimal(0)


@dataclass(frozen=True)
class Effect:
    """One entry of an answer. ``campaign_id`` is -1 where no campaign owns it."""

    effect_type: str
    props: Json
    campaign_id: int = -1
    ruleset_id: int = -1
    rule_index: int = -1
    rule_name: str = ""
    triggered_by_coupon: int | None = None


@dataclass
class Session:
    """A customer session. ``client_total`` is set by V1 calls, which send their own total."""

    id: int
    integration_id: str
    application_id: int
    created: datetime
    updated: datetime
    profile_id: str = ""
    state: str = "open"
    coupon_codes: list[str] = field(default_factory=list)
    referral_code: str = ""
    cart_items: list[Json] = field(default_factory=list)
    additional_costs: dict[str, Json] = field(default_factory=dict)
    identifiers: list[str] = field(default_factory=list)
    attributes: Json = field(default_factory=dict)
    extras: Json = field(default_factory=dict)
    client_total: Decimal | None = None
    first_session: bool = True
    update_count: int = 0
    effects: list[Effect] = field(default_factory=list)
    rollbacks: list[Effect] = field(default_factory=list)
    redeemed_coupons: list[str] = field(default_factory=list)
    redeemed_referral: str = ""
    failures: list[Json] = field(default_factory=list)
    last_event: Event | None = None


@dataclass
class Coupon:
    """A coupon code with its counters. ``usage_limit`` 0 means unlimited."""

    id: int
    created: datetime
    campaign_id: int
    value: str
    usage_limit: int = 0
    usage_counter: int = 0
    start_date: datetime | None = None
    expiry_date: datetime | None = None
    recipient_integration_id: str = ""
    reservation: bool = True
    is_reservation_mandatory: bool = False
    implicitly_reserved: bool = False
    attributes: Json = field(default_factory=dict)
    reserved_for: dict[str, datetime] = field(default_factory=dict)
    redeemed_by: Counter[str] = field(default_factory=Counter)


@dataclass
class Referral:
    """A referral code of an advocate. ``referred`` are the friends whose sessions closed."""

    id: int
    created: datetime
    campaign_id: int
    code: str
    advocate: str
    friend: str = ""
    usage_limit: int = 0
    usage_counter: int = 0
    start_date: datetime | None = None
    expiry_date: datetime | None = None
    attributes: Json = field(default_factory=dict)
    referred: list[str] = field(default_factory=list)


@dataclass
class Event:
    """An event, built-in or custom, with what the rules answered to it."""

    id: int
    created: datetime
    application_id: int
    type: str
    profile_id: str = ""
    session_id: str = ""
    attributes: Json = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)


@dataclass(frozen=True)
class Limit:
    """A campaign budget: how often codes may be redeemed, in all or per profile."""

    action: str
    limit: int
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule of a campaign; its blocks were checked when the campaign was loaded."""

    title: str
    blocks: tuple[Json, ...]


@dataclass(frozen=True)
class Campaign:
    """A campaign and its rules, as loaded from a campaign file."""

    id: int
    name: str
    rules: tuple[Rule, ...]
    description: str = ""
    state: str = "enabled"
    start_time: datetime | None = None
    end_time: datetime | None = None
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attributes: Json = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    selectors: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    referral_pattern: str = "REF-########"
    referral_characters: str = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

    def is_running(self, now: datetime) -> bool:
        """Say whether the campaign is enabled and inside its time window."""
        started = self.start_time is None or self.start_time <= now
        ended = self.end_time is not None and self.end_time <= now
        return self.state == "enabled" and started and not ended


@dataclass
class Application:
    """One Talon.One Application: it owns everything but the profiles."""

    id: int
    name: str
    created: datetime
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    coupons: dict[str, Coupon] = field(default_factory=dict)
    referrals: dict[str, Referral] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


@dataclass
class World:
    """An environment: its profiles are shared by its applications."""

    clock: Clock
    ids: Ids
    additional_costs: dict[str, int] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    erased: dict[str, datetime] = field(default_factory=dict)
