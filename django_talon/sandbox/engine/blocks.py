"""Which rule blocks the engine runs, and the check that refuses all others with their path.

The form is the structured ruleset of the real product (``PromotionRuleV2``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import expressions
from .errors import NotEmulatedError, SeedError
from .seed_fields import fields, many
from .state import Json
from .values import ENTITIES, PLAIN

__all__ = [
    "CONDITIONS",
    "Known",
    "SeedError",
    "check_blocks",
    "check_name",
    "check_number",
    "check_template",
    "flat",
    "mentions",
]

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
    "checkLoyaltyBalance": (
        {"operator", "program", "subledger", "balance", "value"},
        {"onFailure"},
    ),
    "checkAchievement": ({"operator", "achievement"}, {"onFailure"}),
    "checkBudget": ({"operator", "action"}, {"value", "onFailure"}),
    "awardDiscount": ({"name", "value", "target"}, {"partial"}),
    "awardItem": ({"sku", "name", "quantity"}, {"partial"}),
    "awardGiveaway": ({"giveawayPool", "profile"}, set()),
    "awardLoyaltyPoints": ({"name", "value", "program"}, {"subledger", "target", "profile"}),
    "deductLoyaltyPoints": ({"name", "value", "program"}, {"subledger"}),
    "updateAchievementProgress": ({"operator", "value", "achievement"}, set()),
    "createCoupon": ({"campaignId", "recipientId", "storeInSession"}, {"discountLimit", *_CODE}),
    "createReferral": ({"campaignId", "friendId", "storeInSession"}, _CODE),
    "reserveCoupon": ({"couponValue"}, {"profile"}),
    "showNotification": ({"notificationType", "title"}, {"body"}),
    "triggerCustomEffect": ({"customEffect"}, {"params", "target"}),
    "triggerWebhook": ({"webhook"}, {"params"}),
    "updateAttributeValue": ({"operator", "attribute", "target"}, {"value"}),
    "updateAudienceMembership": ({"operator", "profile", "audience"}, set()),
}
CONDITIONS = {kind for kind in _FIELDS if kind.startswith("check")}
_HANDLERS = {"onFailure", "onError"}
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
    ledgers: frozenset[tuple[int, str]] = field(default=frozenset())
    achievements: frozenset[int] = field(default=frozenset())
    in_item: bool = False


CHECKS: dict[str, Callable[[Json, str, Known], None]] = {}


def check_blocks(blocks: Any, path: str, known: Known) -> None:
    """Refuse what the engine cannot run."""
    for where, block in many(blocks, path):
        kind = block.get("type") if isinstance(block, dict) else None
        wrong_place = known.in_item and kind not in {"group", "checkAttribute"}
        if not isinstance(kind, str) or kind not in _FIELDS or wrong_place:
            raise NotEmulatedError(where, f'block "{kind}"')
        required, optional = _FIELDS[kind]
        for name in _HANDLERS - optional:
            if block.get(name):
                raise NotEmulatedError(f"{where}.{name}", f"{name} of {kind}")
        fields(block, where, required, optional | _COMMON | _HANDLERS)
        check = CHECKS.get(kind)
        if check is not None:
            check(block, where, known)
        _check_failure(block, where, known)


def _check_failure(block: Json, path: str, known: Known) -> None:
    for where, effect in many(block.get("onFailure", []), f"{path}.onFailure"):
        if not isinstance(effect, dict) or effect.get("type") not in _FAILURE_EFFECTS:
            allowed = " and ".join(sorted(_FAILURE_EFFECTS))
            raise NotEmulatedError(where, f"a failure effect other than {allowed}")
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


def check_number(value: Any, path: str, known: Known) -> None:
    """Refuse what is neither a number nor an expression."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        raise SeedError(path, "must be a number or a template")
    if isinstance(value, str):
        try:
            expressions.compiled(expressions.inner(value))
        except expressions.ExpressionError as error:
            raise SeedError(path, str(error)) from error
    check_template(value, path, known)


def flat(blocks: tuple[Json, ...] | list[Json]) -> list[Json]:
    """Return all blocks, those in groups too."""
    found: list[Json] = []
    for block in blocks:
        found += [block, *flat(block.get("blocks", []))]
    return found


def mentions(blocks: tuple[Json, ...] | list[Json], kind: str) -> bool:
    """Say whether a block of this type occurs, in groups too."""
    return any(block["type"] == kind for block in flat(blocks))
