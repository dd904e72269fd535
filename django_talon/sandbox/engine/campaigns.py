"""From a campaign file's content to a seed; what is not emulated is refused with its path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import budgets, decisions, rewards
from .blocks import Known, SeedError
from .decisions import Decisions
from .errors import NotEmulatedError
from .evaluation_groups import parse_groups
from .fresh import add_application, new_world
from .ledgers import Achievement, Program
from .rulesets import ruleset
from .saved import dumped, world_of
from .seed_fields import fields, many, number, one_of, text, whole
from .state import (
    Campaign,
    CodeSettings,
    Group,
    Json,
    Limit,
    Settings,
    World,
)
from .times import moment

__all__ = ["Definitions", "Seed", "add_application", "moment", "new_world", "parse"]

ENTITIES = (
    "CustomerProfile",
    "CustomerSession",
    "CartItem",
    "Event",
    "Coupon",
    "Referral",
    "Campaign",
)
_PLAIN_TYPES = ("string", "number", "boolean", "time", "location")
TYPES = (*_PLAIN_TYPES, *(f"(list {kind})" for kind in _PLAIN_TYPES), "any")

_CAMPAIGN = {
    "description",
    "state",
    "startTime",
    "endTime",
    "features",
    "tags",
    "attributes",
    "limits",
    "ruleset",
    "couponSettings",
    "referralSettings",
    "coupons",
    "referrals",
    "achievements",
}
_COUPON = {
    "usageLimit",
    "discountLimit",
    "reservationLimit",
    "limits",
    "startDate",
    "expiryDate",
    "recipientIntegrationId",
    "reservation",
    "isReservationMandatory",
    "implicitlyReserved",
    "attributes",
}
_REFERRAL = {
    "friendProfileIntegrationId",
    "usageLimit",
    "startDate",
    "expiryDate",
    "attributes",
}
_SEED = {
    "name",
    "attributes",
    "eventTypes",
    "additionalCosts",
    "audiences",
    "collections",
    "giveaways",
    "campaigns",
    "evaluationGroups",
    "campaignSet",
    "application",
    "decisions",
    "state",
    "loyaltyPrograms",
}
FEATURES = ("coupons", "referrals", "loyalty", "giveaways", "strikethrough", "achievements")


@dataclass(frozen=True)
class Definitions:
    """What the account declared: attributes per entity, event types, additional costs."""

    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    event_types: tuple[str, ...] = ()
    additional_costs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Seed:
    """A checked campaign file; every new world starts as a copy of it."""

    name: str
    definitions: Definitions
    campaigns: tuple[Campaign, ...]
    coupons: tuple[tuple[int, Json], ...]
    referrals: tuple[tuple[int, Json], ...]
    group: Group = field(default_factory=lambda: Group("stackable", ()))
    settings: Settings = field(default_factory=Settings)
    audiences: dict[int, str] = field(default_factory=dict)
    collections: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    giveaways: tuple[Json, ...] = ()
    decisions: Decisions = field(default_factory=Decisions)
    programs: tuple[Program, ...] = ()
    achievements: tuple[Achievement, ...] = ()
    state: Json = field(default_factory=dict, compare=False)
    content: Json = field(default_factory=dict, compare=False)


def parse(content: Any, name: str = "seed") -> Seed:
    """Return the seed of a file's content; raise SeedError with the path of what is wrong."""
    content = fields(content, name, set(), _SEED)
    entries = many(content.get("campaigns", []), "campaigns")
    known = _known(content, entries)
    campaigns = tuple(_campaign(entry, path, known) for path, entry in entries)
    _refuse_repeated([(campaign.id, "campaigns") for campaign in campaigns])
    coupons = [row for path, entry in entries for row in _codes(entry, path, "coupons")]
    referrals = [row for path, entry in entries for row in _codes(entry, path, "referrals")]
    _refuse_repeated([(row["value"], "coupons") for _, row in coupons])
    _refuse_repeated([(row["code"], "referrals") for _, row in referrals])
    seed = Seed(
        name,
        _definitions(content),
        campaigns,
        tuple(coupons),
        tuple(referrals),
        parse_groups(content, [campaign.id for campaign in campaigns]),
        _settings(content.get("application", {})),
        {row["id"]: row["name"] for row in _numbered(content, "audiences", {"name"})},
        {name: tuple(rows) for name, rows in content.get("collections", {}).items()},
        tuple(_numbered(content, "giveaways", {"name", "codes"})),
        decisions.parse(content.get("decisions", {})),
        rewards.programs(content),
        tuple(one for path, entry in entries for one in rewards.achievements(entry, path)),
        content.get("state", {}),
        {key: value for key, value in content.items() if key != "state"},
    )
    if seed.state:
        world_of(seed, lambda: datetime.now(timezone.utc))
    return seed


def exported(seed: Seed, world: World) -> Json:
    """Return the content of a campaign file from which a world like this one begins."""
    known = seed.definitions
    return {
        **seed.content,
        "attributes": known.attributes,
        "eventTypes": list(known.event_types),
        "additionalCosts": list(known.additional_costs),
        "decisions": asdict(seed.decisions),
        "state": dumped(world),
    }


def _known(content: Json, entries: list[tuple[str, Any]]) -> Known:
    achieved = [one for path, entry in entries for one in rewards.achievements(entry, path)]
    _refuse_repeated([(one.id, "achievements") for one in achieved])
    collections = content.get("collections", {})
    for name, rows in fields(collections, "collections", set(), set(collections)).items():
        many(rows, f"collections.{name}")
    return Known(
        audiences=frozenset(row["id"] for row in _numbered(content, "audiences", {"name"})),
        pools=frozenset(row["id"] for row in _numbered(content, "giveaways", {"name", "codes"})),
        collections=frozenset(collections),
        ledgers=frozenset(
            (program.id, name)
            for program in rewards.programs(content)
            for name in ("", *program.subledgers)
        ),
        achievements=frozenset(one.id for one in achieved),
    )


def _numbered(content: Json, name: str, required: set[str]) -> list[Json]:
    rows = many(content.get(name, []), name)
    for path, row in rows:
        fields(row, path, {"id", *required}, set())
        whole(row["id"], f"{path}.id", 1)
        for where, code in many(row.get("codes", []), f"{path}.codes"):
            text(code, where)
    _refuse_repeated([(row["id"], name) for _, row in rows])
    return [row for _, row in rows]


def _settings(entry: Any) -> Settings:
    path = "application"
    known = {"enableCascadingDiscounts", "defaultDiscountScope", "caseSensitivity"}
    fields(entry, path, set(), known)
    case = entry.get("caseSensitivity", "sensitive")
    cases = ("sensitive", "insensitive-uppercase", "insensitive-lowercase")
    one_of(case, f"{path}.caseSensitivity", *cases)
    scope = entry.get("defaultDiscountScope", "sessionTotal")
    scopes = ("cartItems", "additionalCosts", "sessionTotal")
    one_of(scope, f"{path}.defaultDiscountScope", *scopes)
    cascading = entry.get("enableCascadingDiscounts", False)
    if not isinstance(cascading, bool):
        raise SeedError(f"{path}.enableCascadingDiscounts", "must be true or false")
    return Settings(cascading, scope, case)


def _refuse_repeated(keys: Iterable[tuple[Any, str]]) -> None:
    seen = set()
    for key, path in keys:
        if key in seen:
            raise SeedError(path, f"{key!r} occurs twice")
        seen.add(key)


def _definitions(content: Json) -> Definitions:
    attributes = fields(content.get("attributes", {}), "attributes", set(), set(ENTITIES))
    for entity, types in attributes.items():
        for name, kind in fields(types, f"attributes.{entity}", set(), set(types)).items():
            if kind not in TYPES:
                raise SeedError(f"attributes.{entity}.{name}", f"{kind!r} is no attribute type")
    costs = content.get("additionalCosts", [])
    names = [text(name, path) for path, name in many(costs, "additionalCosts")]
    kinds = [text(kind, path) for path, kind in many(content.get("eventTypes", []), "eventTypes")]
    return Definitions(attributes, tuple(kinds), {n: i for i, n in enumerate(names, 1)})


def _campaign(entry: Any, path: str, known: Known) -> Campaign:
    fields(entry, path, {"id", "name"}, _CAMPAIGN)
    state = entry.get("state", "enabled")
    one_of(state, f"{path}.state", "enabled", "disabled", "archived")
    rules, selectors = ruleset(entry.get("ruleset", {}), f"{path}.ruleset", known)
    for where, feature in many(entry.get("features", []), f"{path}.features"):
        one_of(feature, where, *FEATURES)
    for where, tag in many(entry.get("tags", []), f"{path}.tags"):
        text(tag, where)
    return Campaign(
        id=whole(entry["id"], f"{path}.id", 1),
        name=text(entry["name"], f"{path}.name"),
        rules=rules,
        selectors=selectors,
        description=entry.get("description", ""),
        state=state,
        start_time=moment(entry.get("startTime"), f"{path}.startTime"),
        end_time=moment(entry.get("endTime"), f"{path}.endTime"),
        features=tuple(entry.get("features", [])),
        tags=tuple(entry.get("tags", [])),
        attributes=entry.get("attributes", {}),
        limits=_limits(entry, path, budgets.ENTITIES),
        coupon_codes=_code_settings(entry, path, "couponSettings", "CPN-########"),
        referral_codes=_code_settings(entry, path, "referralSettings", "REF-########"),
    )


def _code_settings(entry: Json, path: str, name: str, pattern: str) -> CodeSettings:
    where, settings = f"{path}.{name}", entry.get(name, {})
    fields(settings, where, set(), {"couponPattern", "validCharacters"})
    pattern = text(settings.get("couponPattern", pattern), f"{where}.couponPattern", 4)
    characters = "".join(settings.get("validCharacters", [])) or CodeSettings("").characters
    return CodeSettings(pattern, characters)


def _limits(entry: Json, path: str, entities: tuple[str, ...]) -> tuple[Limit, ...]:
    rows = many(entry.get("limits", []), f"{path}.limits")
    return tuple(_limit(where, row, entities) for where, row in rows)


def _limit(path: str, entry: Any, entities: tuple[str, ...]) -> Limit:
    fields(entry, path, {"action", "limit"}, {"entities", "period"})
    if entry["action"] not in budgets.ACTIONS:
        raise NotEmulatedError(f"{path}.action", f"{entry['action']!r}")
    for where, name in many(entry.get("entities", []), f"{path}.entities"):
        if name not in entities:
            raise NotEmulatedError(where, f"{name!r}")
    period = entry.get("period", "")
    if period not in budgets.PERIODS:
        raise SeedError(f"{path}.period", "must be daily, weekly, monthly or yearly")
    limit = number(entry["limit"], f"{path}.limit")
    return Limit(entry["action"], limit, tuple(entry.get("entities", ())), period)


def _codes(entry: Json, path: str, kind: str) -> list[tuple[int, Json]]:
    required, optional = {
        "coupons": ({"value"}, _COUPON),
        "referrals": ({"code", "advocateProfileIntegrationId"}, _REFERRAL),
    }[kind]
    rows = []
    for where, row in many(entry.get(kind, []), f"{path}.{kind}"):
        fields(row, where, required, optional)
        code = "value" if kind == "coupons" else "code"
        text(row[code], f"{where}.{code}", 4)
        rows.append((entry["id"], {**row, **_checked_code(row, where)}))
    return rows


def _checked_code(row: Json, path: str) -> Json:
    times = {name: moment(row.get(name), f"{path}.{name}") for name in ("startDate", "expiryDate")}
    for name in ("usageLimit", "reservationLimit"):
        whole(row.get(name, 0), f"{path}.{name}")
    money = number(row.get("discountLimit", 0), f"{path}.discountLimit")
    limits = _limits(row, path, ("Profile",))
    return {**times, "discountLimit": money or None, "limits": limits}
