"""From a campaign file's content to campaigns and codes; what is not emulated is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .blocks import SeedError, check_blocks, fields, many
from .state import Application, Campaign, Clock, Coupon, Ids, Json, Limit, Referral, Rule, World

ENTITIES = ("CustomerProfile", "CustomerSession", "CartItem", "Event", "Coupon", "Referral")
TYPES = ("string", "number", "boolean", "time", "location", "(list string)", "(list number)")

_TIME = re.compile(
    r"^(\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?)?$",
    re.ASCII,
)

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
    "referralSettings",
    "coupons",
    "referrals",
}
_COUPON = {
    "usageLimit",
    "startDate",
    "expiryDate",
    "recipientIntegrationId",
    "reservation",
    "isReservationMandatory",
    "implicitlyReserved",
    "attributes",
}
_REFERRAL = {"friendProfileIntegrationId", "usageLimit", "startDate", "expiryDate"}


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


def parse(content: Any, name: str = "seed") -> Seed:
    """Return the seed of a file's content; raise SeedError with the path of what is wrong."""
    known = {"name", "attributes", "eventTypes", "additionalCosts", "campaigns"}
    content = fields(content, name, set(), known)
    entries = many(content.get("campaigns", []), "campaigns")
    campaigns = tuple(_campaign(entry, path) for path, entry in entries)
    _refuse_repeated([(campaign.id, "campaigns") for campaign in campaigns])
    coupons = [row for path, entry in entries for row in _codes(entry, path, "coupons")]
    referrals = [row for path, entry in entries for row in _codes(entry, path, "referrals")]
    _refuse_repeated([(row["value"], "coupons") for _, row in coupons])
    _refuse_repeated([(row["code"], "referrals") for _, row in referrals])
    definitions = _definitions(content)
    return Seed(name, definitions, campaigns, tuple(coupons), tuple(referrals))


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
    names = [_text(name, path) for path, name in many(costs, "additionalCosts")]
    kinds = [_text(kind, path) for path, kind in many(content.get("eventTypes", []), "eventTypes")]
    return Definitions(attributes, tuple(kinds), {n: i for i, n in enumerate(names, 1)})


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise SeedError(path, "must be a text")
    return value


def _whole(value: Any, path: str, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SeedError(path, f"must be a whole number, {least} or more")
    return value


def moment(value: Any, path: str) -> datetime | None:
    """Return an RFC 3339 time as UTC; None stays None, a mere date is its midnight."""
    if value is None:
        return None
    match = _TIME.match(_text(value, path))
    if match is None:
        raise SeedError(path, f"{value!r} is no RFC 3339 time")
    day, clock, fraction, zone = match.groups()
    micro = (fraction or "")[:6].ljust(6, "0")
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        parsed = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}.{micro}{offset}")
        return parsed.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise SeedError(path, f"{value!r} is no RFC 3339 time") from error


def _campaign(entry: Any, path: str) -> Campaign:
    fields(entry, path, {"id", "name"}, _CAMPAIGN)
    state = entry.get("state", "enabled")
    if state not in {"enabled", "disabled", "archived"}:
        raise SeedError(f"{path}.state", "must be enabled, disabled or archived")
    rules, selectors = _ruleset(entry.get("ruleset", {}), f"{path}.ruleset")
    settings = entry.get("referralSettings", {})
    fields(settings, f"{path}.referralSettings", set(), {"couponPattern", "validCharacters"})
    generated = {}
    if "couponPattern" in settings:
        generated["referral_pattern"] = settings["couponPattern"]
    if "validCharacters" in settings:
        generated["referral_characters"] = "".join(settings["validCharacters"])
    return Campaign(
        id=_whole(entry["id"], f"{path}.id", 1),
        name=_text(entry["name"], f"{path}.name"),
        rules=rules,
        selectors=selectors,
        description=entry.get("description", ""),
        state=state,
        start_time=moment(entry.get("startTime"), f"{path}.startTime"),
        end_time=moment(entry.get("endTime"), f"{path}.endTime"),
        features=tuple(entry.get("features", [])),
        tags=tuple(entry.get("tags", [])),
        attributes=entry.get("attributes", {}),
        limits=tuple(_limit(*row) for row in many(entry.get("limits", []), f"{path}.limits")),
        **generated,
    )


def _limit(path: str, entry: Any) -> Limit:
    fields(entry, path, {"action", "limit"}, {"entities"})
    entities = tuple(entry.get("entities", ()))
    if entry["action"] != "redeemCoupon" or entities not in {(), ("Profile",)}:
        raise SeedError(path, "only redeemCoupon, in all or per Profile, is emulated")
    return Limit("redeemCoupon", _whole(entry["limit"], f"{path}.limit"), entities)


def _ruleset(entry: Any, path: str) -> tuple[tuple[Rule, ...], dict[str, tuple[Json, ...]]]:
    """Read a ``RulesetV2``; its server-made fields (id, created, userId) are ignored."""
    ignored = {"id", "created", "userId", "campaignId", "templateId", "activatedAt"}
    parts = {"promotionRules", "strikethroughRules", "selectors", "bundles", "parameters"}
    fields(entry, path, set(), ignored | parts)
    for name in ("strikethroughRules", "bundles", "parameters"):
        if entry.get(name):
            raise SeedError(f"{path}.{name}", "is not emulated")
    selectors = dict(
        _selector(*row) for row in many(entry.get("selectors", []), f"{path}.selectors")
    )
    rows = many(entry.get("promotionRules", []), f"{path}.promotionRules")
    return tuple(_rule(where, rule, set(selectors)) for where, rule in rows), selectors


def _rule(path: str, entry: Any, selectors: set[str]) -> Rule:
    fields(entry, path, {"title", "blocks"}, {"id", "parentId", "description"})
    check_blocks(entry["blocks"], f"{path}.blocks", selectors)
    return Rule(entry["title"], tuple(entry["blocks"]))


def _selector(path: str, entry: Any) -> tuple[str, tuple[Json, ...]]:
    fields(entry, path, {"name", "source", "steps"}, {"type"})
    if entry["source"] != "$Session.CartItems":
        raise SeedError(f"{path}.source", "only $Session.CartItems is emulated")
    predicates = []
    for where, step in many(entry["steps"], f"{path}.steps"):
        if not isinstance(step, dict) or step.get("type") != "filter":
            raise SeedError(where, "only filter steps are emulated")
        fields(step, where, {"type", "predicate"}, set())
        check_blocks([step["predicate"]], f"{where}.predicate", set(), item=True)
        predicates.append(step["predicate"])
    return entry["name"], tuple(predicates)


def _codes(entry: Json, path: str, kind: str) -> list[tuple[int, Json]]:
    required, optional = {
        "coupons": ({"value"}, _COUPON),
        "referrals": ({"code", "advocateProfileIntegrationId"}, _REFERRAL),
    }[kind]
    rows = []
    for where, row in many(entry.get(kind, []), f"{path}.{kind}"):
        fields(row, where, required, optional)
        dates = ("startDate", "expiryDate")
        times = {name: moment(row.get(name), f"{where}.{name}") for name in dates}
        _whole(row.get("usageLimit", 0), f"{where}.usageLimit")
        rows.append((entry["id"], {**row, **times}))
    return rows


def new_world(seed: Seed, clock: Clock) -> World:
    """Return a fresh world; its applications are added on first use."""
    return World(clock, Ids(), dict(seed.definitions.additional_costs))


def add_application(world: World, seed: Seed, name: str) -> Application:
    """Return a new application of the world with its own copy of the seed's codes."""
    application = Application(world.ids.next("application"), name, world.clock())
    application.campaigns = {campaign.id: campaign for campaign in seed.campaigns}
    for campaign_id, row in seed.coupons:
        application.coupons[row["value"]] = _coupon(world, campaign_id, row)
    for campaign_id, row in seed.referrals:
        application.referrals[row["code"]] = _referral(world, campaign_id, row)
    world.applications[name] = application
    return application


def _coupon(world: World, campaign_id: int, row: Json) -> Coupon:
    return Coupon(
        id=world.ids.next("coupon"),
        created=world.clock(),
        campaign_id=campaign_id,
        value=row["value"],
        usage_limit=row.get("usageLimit", 0),
        start_date=row["startDate"],
        expiry_date=row["expiryDate"],
        recipient_integration_id=row.get("recipientIntegrationId", ""),
        reservation=row.get("reservation", True),
        is_reservation_mandatory=row.get("isReservationMandatory", False),
        implicitly_reserved=row.get("implicitlyReserved", False),
        attributes=row.get("attributes", {}),
    )


def _referral(world: World, campaign_id: int, row: Json) -> Referral:
    return Referral(
        id=world.ids.next("referral"),
        created=world.clock(),
        campaign_id=campaign_id,
        code=row["code"],
        advocate=row["advocateProfileIntegrationId"],
        friend=row.get("friendProfileIntegrationId", ""),
        usage_limit=row.get("usageLimit", 0),
        start_date=row["startDate"],
        expiry_date=row["expiryDate"],
    )
