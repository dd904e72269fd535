"""What a world holds: profiles, and per application sessions, coupons, referrals, events."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import Struct

from .decisions import Decisions
from .errors import SeedError, Told
from .ledgers import Account, Achievement, Program, Progress

Clock = Callable[[], datetime]
Json = dict[str, Any]


class Ids:
    """Counters per kind of entity, and generated codes; equal seeds give equal ids."""

    def __init__(self, seed: int = 1) -> None:
        self._last: Counter[str] = Counter()
        self._seed = seed

    def next(self, kind: str) -> int:
        """Return the next id of this kind, starting with 1."""
        self._last[kind] += 1
        return self._last[kind]

    def code(self, pattern: str, characters: str) -> str:
        """Return the pattern with each ``#`` replaced by one of the characters."""
        drawn = random.Random(f"{self._seed}:{self.next('code')}")  # noqa: S311 - reproducible
        return "".join(drawn.choice(characters) if c == "#" else c for c in pattern)

    def counts(self) -> dict[str, int]:
        """Return the last id of each kind."""
        return dict(self._last)

    def count(self, last: Any, path: str) -> None:
        """Go on from these ids, where they are higher; raise SeedError for what are none."""
        if not isinstance(last, dict):
            raise SeedError(path, "must be an object")
        for kind, number in last.items():
            if type(number) is not int:
                raise SeedError(f"{path}.{kind}", "must be a whole number")
            self._last[kind] = max(self._last[kind], number)


class Giveaway(Struct, frozen=True, gc=False):
    """A code of a giveaway pool and who got it."""

    id: int
    created: datetime
    pool_id: int
    code: str
    profile_id: str


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
    audiences: dict[int, None] = field(default_factory=dict)
    giveaways: list[Giveaway] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    progress: dict[str, Progress] = field(default_factory=dict)


class Gate(NamedTuple):
    """The first condition of a rule: where its value is found, whether it holds, why not."""

    find: Callable[[Any], Any]
    test: Callable[[Any], bool]
    why: Callable[[Any], Told]


class Effect(Struct, frozen=True, gc=False):
    """One entry of an answer. ``campaign_id`` is -1 where no campaign owns it.

    A world keeps very many; ``gc=False`` spares the garbage collector looking through them.
    """

    effect_type: str
    props: Json
    campaign_id: int = -1
    ruleset_id: int = -1
    rule_index: int = -1
    rule_name: str = ""
    triggered_by_coupon: int | None = None
    group: Group | None = None


class Failure(NamedTuple):
    """Why a rule stayed silent; ``error`` says it in words when asked."""

    campaign: Campaign
    place: int
    title: str
    coupon: Coupon | None
    referral: Referral | None
    error: Exception | Told
    condition: int | None = None
    effect: int | None = None
    group: Group | None = None


class Failures:
    """Silent rules in order, kept as plain values; each ``Failure`` is made when looked at."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[Any] = []

    def add(self, failure: Failure) -> None:
        """Note a rule that was tried."""
        self._rows += (failure, 0, None, None)

    def silent(self, campaign: Campaign, place: int, value: Any, group: Group | None) -> None:
        """Note a rule whose gate held a value back."""
        self._rows += (campaign, place, value, group)

    def cut(self, length: int) -> None:
        """Forget all but so many."""
        del self._rows[length * 4 :]

    def __len__(self) -> int:
        return len(self._rows) // 4

    def __iter__(self) -> Iterator[Failure]:
        rows = iter(self._rows)
        for owner, place, value, group in zip(rows, rows, rows, rows, strict=True):
            if isinstance(owner, Failure):
                yield owner
            else:
                yield _refused(owner, place, value, group)


def _refused(campaign: Campaign, place: int, value: Any, group: Group | None) -> Failure:
    rule = campaign.rules[place]
    assert rule.gate is not None, "only gates hold rules back"  # noqa: S101
    error = rule.gate.why(value)
    return Failure(campaign, place, rule.title, None, None, error, 0, None, group)


@dataclass
class Return:
    """Items given back: ``units`` are (position, sub-position), ``rows`` what is answered."""

    id: int
    created: datetime
    event_id: int
    units: list[tuple[int, int]]
    rows: list[Json]


@dataclass
class Session:
    """A customer session. ``client_total`` is set by V1 calls, which send their own total.

    ``effects`` are those of the last evaluation, ``rollbacks`` what the last call undid of
    them, ``undone`` all of them that are no longer in force. ``spent`` is what its close took
    from budgets, ``minted`` the codes its rules created, ``content`` what clients sent.
    """

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
    effects: tuple[Effect, ...] = ()
    rollbacks: tuple[Effect, ...] = ()
    redeemed_coupons: list[str] = field(default_factory=list)
    redeemed_referral: str = ""
    failures: Failures = field(default_factory=Failures)
    undone: tuple[Effect, ...] = ()
    spent: dict[Hashable, Decimal] = field(default_factory=dict)
    minted: dict[Hashable, str] = field(default_factory=dict)
    content: Json = field(default_factory=dict)
    returns: list[Return] = field(default_factory=list)
    returned: dict[int, set[int]] = field(default_factory=dict)
    last_event: Event | None = None


@dataclass
class Coupon:
    """A coupon code with its counters. ``usage_limit`` 0 means unlimited.

    ``discount_limit`` is the money a gift card holds, in the application's currency.
    """

    id: int
    created: datetime
    campaign_id: int
    value: str
    usage_limit: int = 0
    usage_counter: int = 0
    discount_limit: Decimal | None = None
    discount_counter: Decimal = Decimal(0)
    reservation_limit: int = 0
    limits: tuple[Limit, ...] = ()
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
    effects: tuple[Effect, ...] = ()
    integration_id: str = ""
    connected_session_id: str = ""
    store_integration_id: str = ""


@dataclass(frozen=True)
class Limit:
    """A budget: how much of an action, per entity named (none: in all) and period."""

    action: str
    limit: Decimal
    entities: tuple[str, ...] = ()
    period: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule of a campaign; its blocks were checked when the campaign was loaded.

    ``gate`` says at once whether the first block fails, where that needs no more than a look.
    """

    title: str
    blocks: tuple[Json, ...]
    checks_event: bool = False
    checks_coupon: bool = False
    checks_referral: bool = False
    gate: Gate | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Selector:
    """Items chosen by predicates; a map and a reduction make a number of them."""

    predicates: tuple[Json, ...] = ()
    mapped: str = ""
    reduced: str = ""
    chooses: Callable[[Json], bool] = field(default=lambda item: True, compare=False)


@dataclass(frozen=True)
class CodeSettings:
    """How codes are generated: ``#`` of the pattern becomes one of the characters."""

    pattern: str
    characters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Group:
    """Campaigns that are evaluated together: mode and elements, in order."""

    mode: str
    elements: tuple[Group | int, ...]
    id: int = 0


@dataclass(frozen=True)
class Settings:
    """The settings of an application that change how rules are evaluated."""

    cascading: bool = False
    discount_scope: str = "sessionTotal"
    case_sensitivity: str = "sensitive"

    def code(self, sent: str) -> str:
        """Return a code as this application spells it."""
        if self.case_sensitivity == "insensitive-uppercase":
            return sent.upper()
        return sent.lower() if self.case_sensitivity == "insensitive-lowercase" else sent


@dataclass
class Pool:
    """A giveaway pool and its codes that were not yet given away."""

    id: int
    name: str
    codes: list[str]


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
    selectors: dict[str, Selector] = field(default_factory=dict)
    coupon_codes: CodeSettings = CodeSettings("CPN-########")
    referral_codes: CodeSettings = CodeSettings("REF-########")

    def is_running(self, now: datetime) -> bool:
        """Say whether the campaign is enabled and inside its time window."""
        if self.state != "enabled":
            return False
        started = self.start_time is None or self.start_time <= now
        return started and (self.end_time is None or self.end_time > now)


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
    advanced_events: dict[str, Event] = field(default_factory=dict)
    spent: dict[Hashable, Decimal] = field(default_factory=dict)
    group: Group = field(default_factory=lambda: Group("stackable", ()))
    settings: Settings = field(default_factory=Settings)
    pools: dict[int, Pool] = field(default_factory=dict)
    first_sessions: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """An environment: its profiles are shared by its applications."""

    clock: Clock
    ids: Ids
    additional_costs: dict[str, int] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    erased: dict[str, datetime] = field(default_factory=dict)
    audiences: dict[int, str] = field(default_factory=dict)
    collections: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    programs: dict[int, Program] = field(default_factory=dict)
    achievements: dict[int, Achievement] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)
