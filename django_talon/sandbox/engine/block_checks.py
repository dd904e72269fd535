"""What each type of block must say; registered with ``blocks.check_blocks``."""

from __future__ import annotations

import re
from typing import Any

from . import budgets, operators
from .blocks import (
    CHECKS,
    CONDITIONS,
    Known,
    check_blocks,
    check_name,
    check_number,
    check_template,
)
from .errors import NotEmulatedError, SeedError
from .ledgers import BALANCES
from .seed_fields import fields, many, number, one_of, text
from .state import Json
from .times import moment


def _check_group(block: Json, path: str, known: Known) -> None:
    one_of(block["operator"], f"{path}.operator", "all", "atLeastOne", "none")
    check_blocks(block["blocks"], f"{path}.blocks", known)


def _check_attribute(block: Json, path: str, known: Known) -> None:
    operator = block["operator"]
    if operator not in operators.OPERATORS:
        raise NotEmulatedError(f"{path}.operator", f'"{operator}"')
    for name in operators.required(operator):
        if name not in block:
            raise SeedError(path, f"{name} is missing")
        check_template(block[name], f"{path}.{name}", known)
    check_name(block["attribute"], f"{path}.attribute", known)
    if operator == "matchesRegexp":
        _check_pattern(block["value"], f"{path}.value")
    _check_operands(block, path, known)


def _check_operands(block: Json, path: str, known: Known) -> None:
    operator = block["operator"]
    if block.get("timezoneInsensitive"):
        raise NotEmulatedError(f"{path}.timezoneInsensitive", "this")
    if "inCollection" in operator and block["value"] not in known.collections:
        raise SeedError(f"{path}.value", f"no collection {block['value']!r}")
    for name in _TIMES.get(operator, ()):
        _check_time(block[name], f"{path}.{name}")
    for name in ("min", "max") if operator == "between" else ():
        check_number(block[name], f"{path}.{name}", known)
    for name in _LISTS.get(operator, ()):
        many(block[name], f"{path}.{name}")
    if "count" in block and (not isinstance(block["count"], int) or block["count"] < 0):
        raise SeedError(f"{path}.count", "must be a whole number")


_TIMES = {
    "after": ("value",),
    "before": ("value",),
    "within": ("start", "end"),
    "not(within)": ("start", "end"),
}
_LISTS = {
    "oneOf": ("value",),
    "not(oneOf)": ("value",),
    **dict.fromkeys(operators.REQUIRED_LISTS, ("values",)),
}


def _check_time(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value.startswith("{{"):
        moment(value, path)


_BEYOND_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?(?:[=!]|<[=!]|P=))")


def _check_pattern(pattern: Any, path: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise SeedError(path, f"is no regular expression: {error}") from error
    if _BEYOND_RE2.search(pattern):
        raise SeedError(path, "looks around or back, which RE2 does not")


def _check_event(block: Json, path: str, known: Known) -> None:
    check_blocks(block.get("matchers", []), f"{path}.matchers", known)
    for where, matcher in many(block.get("matchers", []), f"{path}.matchers"):
        if matcher["type"] not in CONDITIONS | {"group"}:
            raise SeedError(where, "only conditions are emulated as matchers")


def _check_audience(block: Json, path: str, known: Known) -> None:
    words: tuple[str, ...] = ("member", "not(member)", "justJoined", "justLeft")
    if block["type"] == "updateAudienceMembership":
        words = ("add", "remove")
    one_of(block["operator"], f"{path}.operator", *words)
    one_of(block["profile"], f"{path}.profile", "Current", "Advocate")
    more = {"integration", "integrationId"}
    audience = fields(block["audience"], f"{path}.audience", {"id", "name"}, more)
    if audience["id"] not in known.audiences:
        raise SeedError(f"{path}.audience.id", f"no audience {audience['id']!r} in the seed")


def _check_budget(block: Json, path: str, known: Known) -> None:
    one_of(block["operator"], f"{path}.operator", "available", "enoughFor")
    if block["action"] not in budgets.ACTIONS:
        raise NotEmulatedError(f"{path}.action", f'"{block["action"]}"')
    if block["operator"] == "enoughFor":
        check_number(block.get("value"), f"{path}.value", known)


def _check_item(block: Json, path: str, known: Known) -> None:
    check_number(block["quantity"], f"{path}.quantity", known)


def _check_giveaway(block: Json, path: str, known: Known) -> None:
    one_of(block["profile"], f"{path}.profile", "Current", "Advocate")
    pool = fields(block["giveawayPool"], f"{path}.giveawayPool", {"id", "name"}, set())
    if pool["id"] not in known.pools:
        raise SeedError(f"{path}.giveawayPool.id", f"no giveaway pool {pool['id']!r} in the seed")


_ORDERS = ("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual")
_STATES = ("started", "inProgress", "completed")


def _check_ledger(block: Json, path: str, known: Known) -> None:
    program = fields(block["program"], f"{path}.program", {"id"}, {"name", "title"})
    subledger = text(block.get("subledger", ""), f"{path}.subledger", 0)
    if (program["id"], subledger) not in known.ledgers:
        why = f"no loyalty program {program['id']!r} with the subledger {subledger!r} in the seed"
        raise SeedError(f"{path}.program.id", why)


def _check_balance(block: Json, path: str, known: Known) -> None:
    one_of(block["operator"], f"{path}.operator", "equals", "not(equals)", *_ORDERS)
    one_of(block["balance"], f"{path}.balance", *BALANCES)
    number(block["value"], f"{path}.value")
    _check_ledger(block, path, known)


def _check_points(block: Json, path: str, known: Known) -> None:
    _check_ledger(block, path, known)
    text(block["name"], f"{path}.name")
    one_of(block.get("profile", "Current"), f"{path}.profile", "Current", "Advocate")
    target = block.get("target", {"type": "cart"})
    check_items(target, f"{path}.target", known, {"cart"})
    fields(target, f"{path}.target", {"type"}, {"name"})
    scope = Known(**{**known.__dict__, "in_item": target["type"] != "cart"})
    check_number(block["value"], f"{path}.value", scope)


def _check_progress(block: Json, path: str, known: Known) -> None:
    words: tuple[str, ...] = ("increaseBy",)
    if block["type"] == "checkAchievement":
        words = ("justCompleted", *_STATES, *(f"not({state})" for state in _STATES))
    else:
        check_number(block["value"], f"{path}.value", known)
    if block["operator"] not in words:
        raise SeedError(f"{path}.operator", f"must be one of {', '.join(words)}")
    more = {"name", "title", "target"}
    achievement = fields(block["achievement"], f"{path}.achievement", {"id"}, more)
    if achievement["id"] not in known.achievements:
        why = f"no achievement {achievement['id']!r} in the seed"
        raise SeedError(f"{path}.achievement.id", why)


def _check_minting(block: Json, path: str, known: Known) -> None:
    for name in ("campaignId", "usageLimit", "discountLimit"):
        if name in block:
            check_number(block[name], f"{path}.{name}", known)
    for name in ("recipientId", "friendId"):
        check_template(block.get(name), f"{path}.{name}", known)
    for name in ("startDate", "expiryDate"):
        moment(block.get(name), f"{path}.{name}")
    pattern = block.get("pattern", "####")
    if not isinstance(pattern, str) or len(pattern) < 4:
        raise SeedError(f"{path}.pattern", "must have 4 characters or more")


def _check_reservation(block: Json, path: str, known: Known) -> None:
    check_template(block["couponValue"], f"{path}.couponValue", known)
    one_of(block.get("profile", "Current"), f"{path}.profile", "Current", "Advocate")


def _check_notification(block: Json, path: str, known: Known) -> None:
    for name in ("title", "body"):
        check_template(block.get(name, ""), f"{path}.{name}", known)


def _check_custom(block: Json, path: str, known: Known) -> None:
    fields(block["customEffect"], f"{path}.customEffect", {"id", "name"}, {"title"})
    for name, value in fields(
        block.get("params", {}), f"{path}.params", set(), set(block.get("params", {}))
    ).items():
        check_template(value, f"{path}.params.{name}", known)
    if "target" in block:
        check_items(block["target"], f"{path}.target", known, {"cart"})


def _check_webhook(block: Json, path: str, known: Known) -> None:
    fields(block["webhook"], f"{path}.webhook", {"id", "title"}, set())


def _check_update(block: Json, path: str, known: Known) -> None:
    words = ("setTo", "increaseBy", "decreaseBy", "multiplyBy", "divideBy", "toggle")
    one_of(block["operator"], f"{path}.operator", *words)
    more = {"id", "entity", "title", "type"}
    fields(block["attribute"], f"{path}.attribute", {"name"}, more)
    owners = {"session", "profile", "advocateProfile", "coupon", "referral"}
    check_items(block["target"], f"{path}.target", known, owners)
    if block["operator"] != "toggle" and "value" not in block:
        raise SeedError(path, "value is missing")
    check_template(block.get("value"), f"{path}.value", known)


def check_items(target: Any, path: str, known: Known, more: set[str]) -> None:
    """Refuse a target that is neither items nor one of ``more``."""
    kind = target.get("type") if isinstance(target, dict) else None
    if kind not in {"allItems", "selector", *more}:
        raise NotEmulatedError(path, f'target "{kind}"')
    if kind == "selector" and target.get("name") not in known.selectors - known.numbers:
        raise SeedError(f"{path}.name", f"no selector of items {target.get('name')!r}")


def _check_discount(block: Json, path: str, known: Known) -> None:
    target = block["target"]
    is_cost = isinstance(target, dict) and target.get("type") == "additionalCost"
    check_items(target, f"{path}.target", known, {"cart", "additionalCost"})
    if is_cost:
        fields(target, f"{path}.target", {"type", "additionalCost"}, {"target"})
        fields(target["additionalCost"], f"{path}.target.additionalCost", {"name"}, {"id", "title"})
        target = target.get("target", {"type": "cart"})
        check_items(target, f"{path}.target.target", known, {"cart"})
        if target.get("prorated"):
            raise NotEmulatedError(f"{path}.target.target.prorated", "prorated for costs")
    fields(target, f"{path}.target", {"type"}, {"name", "prorated"})
    per_item = target["type"] != "cart" and not target.get("prorated")
    scope = Known(**{**known.__dict__, "in_item": per_item})
    check_number(block["value"], f"{path}.value", scope)


CHECKS.update(
    {
        "group": _check_group,
        "checkAttribute": _check_attribute,
        "checkEvent": _check_event,
        "checkAudience": _check_audience,
        "checkBudget": _check_budget,
        "awardDiscount": _check_discount,
        "awardItem": _check_item,
        "awardLoyaltyPoints": _check_points,
        "deductLoyaltyPoints": _check_points,
        "checkLoyaltyBalance": _check_balance,
        "checkAchievement": _check_progress,
        "updateAchievementProgress": _check_progress,
        "awardGiveaway": _check_giveaway,
        "createCoupon": _check_minting,
        "createReferral": _check_minting,
        "reserveCoupon": _check_reservation,
        "showNotification": _check_notification,
        "triggerCustomEffect": _check_custom,
        "triggerWebhook": _check_webhook,
        "updateAttributeValue": _check_update,
        "updateAudienceMembership": _check_audience,
    }
)
