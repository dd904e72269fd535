"""Which rule blocks the engine runs, and the check that refuses all others with their path.

The form is the structured ruleset of the real product (``PromotionRuleV2``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import budgets, expressions, operators
from .errors import SeedError
from .state import Json
from .times import moment
from .values import ENTITIES, PLAIN

__all__ = ["CONDITIONS", "Known", "SeedError", "check_blocks", "fields", "many", "mentions"]

_ATTRIBUTE = re.compile(rf"^\$({'|'.join(ENTITIES)})\.Attributes\.[A-Za-z_]\w*$")

_COMMON = {"id", "type", "tags"}
_RANGE = {"start", "end", "startInclusive", "endInclusive", "timezoneInsensitive"}
_CHECK = {"value", "values", "count", "min", "max", "onFailure", *_RANGE}
_CODE = {"usageLimit", "startDate", "expiryDate", "attributes", "validCharacters", "pattern"}
_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "group": ({"operator", "blocks"}, {"onFailure"}),
    "checkAttribute": ({"attribute", "operator"}, _CHECK),
    "checkCoupon": ({"redeem"}, {"onFailure"}),
    "checkReferral": ({"redeem"}, {"onFailure"}),
    "checkEvent": ({"eventType"}, {"matchers", "onFailure"}),
    "checkAudience": ({"operator", "profile", "audience"}, {"onFailure"}),
    "checkBudget": ({"operator", "action"}, {"value", "onFailure"}),
    "awardDiscount": ({"name", "value", "target"}, {"partial"}),
    "awardItem": ({"sku", "name", "quantity"}, {"partial"}),
    "awardGiveaway": ({"giveawayPool", "profile"}, set()),
    "createCoupon": ({"campaignId", "recipientId", "storeInSession"}, {"discountLimit", *_CODE}),
    "createReferral": ({"campaignId", "friendId", "storeInSession"}, _CODE),
    "reserveCoupon": ({"couponValue"}, {"profile"}),
    "showNotification": ({"notificationType", "title"}, {"body"}),
    "triggerCustomEffect": ({"customEffect"}, {"params", "target"}),
    "triggerWebhook": ({"webhook"}, {"params"}),
    "updateAttributeValue": ({"operator", "attribute", "target"}, {"value"}),
    "updateAudienceMembership": ({"operator", "profile", "audience"}, set()),
}
_SUPPORTED = ", ".join(sorted(_FIELDS))
CONDITIONS = {kind for kind in _FIELDS if kind.startswith("check")}
_FAILURE_EFFECTS = {"showNotification", "triggerCustomEffect"}


@dataclass(frozen=True)
class Known:
    """What blocks may refer to: selectors (those with a number apart), audiences and so on.

    ``in_item`` says that ``$Item`` is in scope.
    """

    selectors: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    audiences: frozenset[int] = frozenset()
    pools: frozenset[int] = frozenset()
    collections: frozenset[str] = field(default=frozenset())
    in_item: bool = False


def fields(value: Any, path: str, required: set[str], optional: set[str]) -> Json:
    """Return an object with exactly the fields allowed, or raise SeedError."""
    if not isinstance(value, dict):
        raise SeedError(path, "must be an object")
    for name in sorted(required - set(value)):
        raise SeedError(path, f"{name} is missing")
    for name in sorted(set(value) - required - optional):
        raise SeedError(f"{path}.{name}", "is not known here")
    return value


def many(value: Any, path: str) -> list[tuple[str, Any]]:
    """Return the entries of a list, each with its path."""
    if not isinstance(value, list):
        raise SeedError(path, "must be a list")
    return [(f"{path}[{index}]", entry) for index, entry in enumerate(value)]


def one_of(value: Any, path: str, *allowed: str) -> None:
    """Refuse what is none of these words."""
    if value not in allowed:
        raise SeedError(path, f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def check_blocks(blocks: Any, path: str, known: Known) -> None:
    """Refuse what the engine cannot run."""
    for where, block in many(blocks, path):
        kind = block.get("type") if isinstance(block, dict) else None
        wrong_place = known.in_item and kind not in {"group", "checkAttribute"}
        if not isinstance(kind, str) or kind not in _FIELDS or wrong_place:
            raise SeedError(where, f'block "{kind}" is not emulated (emulated: {_SUPPORTED})')
        required, optional = _FIELDS[kind]
        fields(block, where, required, optional | _COMMON)
        check = _CHECKS.get(kind)
        if check is not None:
            check(block, where, known)
        _check_failure(block, where, known)


def _check_failure(block: Json, path: str, known: Known) -> None:
    for where, effect in many(block.get("onFailure", []), f"{path}.onFailure"):
        if not isinstance(effect, dict) or effect.get("type") not in _FAILURE_EFFECTS:
            allowed = " and ".join(sorted(_FAILURE_EFFECTS))
            raise SeedError(where, f"only {allowed} are emulated as failure effects")
        check_blocks([effect], where, known)


def check_name(name: Any, path: str, known: Known) -> None:
    """Refuse a ``$``-name the engine has no value for."""
    if isinstance(name, str) and name.startswith("$Selectors."):
        if name.partition(".")[2] not in known.selectors:
            raise SeedError(path, f"no selector {name!r}")
        return
    is_known = isinstance(name, str) and (name in PLAIN or _ATTRIBUTE.match(name))
    if not is_known or (name.startswith("$Item.") and not known.in_item):
        raise SeedError(path, f"{name!r} has no value here")


def check_template(value: Any, path: str, known: Known) -> None:
    """Refuse a template whose expression is malformed or names something unknown."""
    if not isinstance(value, str):
        return
    for inner in expressions.placeholders(value):
        try:
            used = expressions.names(inner)
            expressions.compiled(inner)
        except expressions.ExpressionError as error:
            raise SeedError(path, str(error)) from error
        for name in used:
            if name.startswith("$Selectors."):
                raise SeedError(path, "selectors are emulated in conditions only")
            check_name(name, path, known)


def _check_number(value: Any, path: str, known: Known) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        raise SeedError(path, "must be a number or a template")
    if isinstance(value, str):
        try:
            expressions.compiled(expressions.inner(value))
        except expressions.ExpressionError as error:
            raise SeedError(path, str(error)) from error
    check_template(value, path, known)


def _check_group(block: Json, path: str, known: Known) -> None:
    one_of(block["operator"], f"{path}.operator", "all", "atLeastOne", "none")
    check_blocks(block["blocks"], f"{path}.blocks", known)


def _check_attribute(block: Json, path: str, known: Known) -> None:
    operator = block["operator"]
    if operator not in operators.OPERATORS:
        raise SeedError(f"{path}.operator", f'"{operator}" is not emulated')
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
        raise SeedError(f"{path}.timezoneInsensitive", "is not emulated")
    if "inCollection" in operator and block["value"] not in known.collections:
        raise SeedError(f"{path}.value", f"no collection {block['value']!r}")
    for name in _TIMES.get(operator, ()):
        _check_time(block[name], f"{path}.{name}")
    for name in ("min", "max") if operator == "between" else ():
        _check_number(block[name], f"{path}.{name}", known)
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


def _check_pattern(pattern: Any, path: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise SeedError(path, f"is no regular expression: {error}") from error


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
        raise SeedError(f"{path}.action", f'"{block["action"]}" is not emulated')
    if block["operator"] == "enoughFor":
        _check_number(block.get("value"), f"{path}.value", known)


def _check_item(block: Json, path: str, known: Known) -> None:
    _check_number(block["quantity"], f"{path}.quantity", known)


def _check_giveaway(block: Json, path: str, known: Known) -> None:
    one_of(block["profile"], f"{path}.profile", "Current", "Advocate")
    pool = fields(block["giveawayPool"], f"{path}.giveawayPool", {"id", "name"}, set())
    if pool["id"] not in known.pools:
        raise SeedError(f"{path}.giveawayPool.id", f"no giveaway pool {pool['id']!r} in the seed")


def _check_minting(block: Json, path: str, known: Known) -> None:
    for name in ("campaignId", "usageLimit", "discountLimit"):
        if name in block:
            _check_number(block[name], f"{path}.{name}", known)
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
        raise SeedError(path, f'target "{kind}" is not emulated')
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
            raise SeedError(f"{path}.target.target.prorated", "is not emulated for costs")
    fields(target, f"{path}.target", {"type"}, {"name", "prorated"})
    per_item = target["type"] != "cart" and not target.get("prorated")
    scope = Known(**{**known.__dict__, "in_item": per_item})
    _check_number(block["value"], f"{path}.value", scope)


_CHECKS: dict[str, Callable[[Json, str, Known], None]] = {
    "group": _check_group,
    "checkAttribute": _check_attribute,
    "checkEvent": _check_event,
    "checkAudience": _check_audience,
    "checkBudget": _check_budget,
    "awardDiscount": _check_discount,
    "awardItem": _check_item,
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


def flat(blocks: tuple[Json, ...] | list[Json]) -> list[Json]:
    """Return all blocks, those in groups too."""
    found: list[Json] = []
    for block in blocks:
        found += [block, *flat(block.get("blocks", []))]
    return found


def mentions(blocks: tuple[Json, ...] | list[Json], kind: str) -> bool:
    """Say whether a block of this type occurs, in groups too."""
    return any(block["type"] == kind for block in flat(blocks))
