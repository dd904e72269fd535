"""The effects that are no discounts and make no codes: items, messages, attributes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from . import expressions, profiles
from .attempt import Attempt, EffectFailedError, OverBudgetError, runs
from .conditions import selected
from .state import Giveaway, Json, Profile, Referral, Selector

_MOST_FREE_ITEMS = 1000
_EVERYTHING = Selector()


@runs("awardItem")
def award_item(attempt: Attempt, block: Json) -> None:
    """Add a free item once per piece."""
    wanted = int(expressions.number(block["quantity"], attempt.value))
    wanted = max(0, min(wanted, _MOST_FREE_ITEMS))
    given = wanted
    if block.get("partial"):
        given = int(attempt.left("addFreeItemEffect", Decimal(wanted)))
        if given < 1 <= wanted:
            raise OverBudgetError("the budget {} has nothing left", "addFreeItemEffect")
    props = {"sku": block["sku"], "name": block["name"]}
    if given < wanted:
        props["desiredQuantity"] = wanted
    for _ in range(given):
        attempt.spend("addFreeItemEffect")
        attempt.add("addFreeItem", dict(props))


@runs("showNotification")
def show_notification(attempt: Attempt, block: Json) -> None:
    """Show a text to the customer."""
    props = {
        "notificationType": block["notificationType"],
        "title": expressions.text(block["title"], attempt.value),
        "body": expressions.text(block.get("body", ""), attempt.value),
    }
    attempt.add("showNotification", props)


@runs("triggerWebhook")
def trigger_webhook(attempt: Attempt, block: Json) -> None:
    """Say that a webhook was triggered; the sandbox calls nobody."""
    attempt.spend("callApi")
    webhook = block["webhook"]
    attempt.add("triggerWebhook", {"webhookId": webhook["id"], "webhookName": webhook["title"]})


@runs("triggerCustomEffect")
def custom_effect(attempt: Attempt, block: Json) -> None:
    """Send an effect of the shop's own, for the cart or for each piece."""
    effect, target = block["customEffect"], block.get("target", {"type": "cart"})
    params = block.get("params", {})
    payload = {name: expressions.operand(value, attempt.value) for name, value in params.items()}
    props = {"effectId": effect["id"], "name": effect["name"], "payload": payload}
    if target["type"] == "cart":
        attempt.spend("customEffect")
        attempt.add("customEffect", props)
        return
    selectors = attempt.names.campaign.selectors
    selector = selectors[target["name"]] if target["type"] == "selector" else _EVERYTHING
    for unit in selected(attempt.names.scope, selector):
        attempt.spend("customEffect")
        place = {"cartItemPosition": unit.position, "cartItemSubPosition": unit.sub_position}
        attempt.add("customEffect", {**props, **place})


@runs("awardGiveaway")
def award_giveaway(attempt: Attempt, block: Json) -> None:
    """Give a code of a pool away at close; announce it before."""
    scope, pool = attempt.names.scope, block["giveawayPool"]
    profile_id = recipient(attempt, block["profile"])
    found = scope.application.pools.get(pool["id"])
    given = (*attempt.evaluation.giveaways, *attempt.giveaways)
    taken = [one.code for one in given if one.pool_id == pool["id"]]
    free = [code for code in found.codes if code not in taken] if found else []
    if not free:
        raise EffectFailedError("the giveaway pool {} has no code left", pool["name"])
    attempt.spend("awardGiveaway")
    props = {"poolId": pool["id"], "poolName": pool["name"], "recipientIntegrationId": profile_id}
    if scope.dry or scope.session.state != "closed":
        attempt.add("willAwardGiveaway", props)
        return
    number = scope.world.ids.next("giveaway")
    attempt.giveaways.append(Giveaway(number, scope.now, pool["id"], free[0], profile_id))
    attempt.add("awardGiveaway", {**props, "giveawayId": number, "code": free[0]})


def recipient(attempt: Attempt, whose: str) -> str:
    """Return the profile an effect is for; raise EffectFailedError for an anonymous one."""
    profile_id = attempt.names.scope.session.profile_id
    if whose == "Advocate":
        profile_id = attempt.names.referral.advocate if attempt.names.referral else ""
    if not profile_id:
        raise EffectFailedError("there is no profile to give it to")
    return profile_id


@runs("updateAudienceMembership")
def update_audience(attempt: Attempt, block: Json) -> None:
    """Add the customer to an audience, or remove them."""
    scope, audience = attempt.names.scope, block["audience"]
    profile = profiles.known(scope.world, recipient(attempt, block["profile"]))
    if profile is None:
        raise EffectFailedError("there is no profile to give it to")
    adds = block["operator"] == "add"
    change = profile.audiences.setdefault if adds else profile.audiences.pop
    attempt.changes.append(lambda: change(audience["id"], None))
    props = {"audienceId": audience["id"], "audienceName": audience["name"]}
    props |= {"profileIntegrationId": profile.integration_id, "profileId": profile.id}
    attempt.add("addToAudience" if adds else "removeFromAudience", props)


@runs("updateAttributeValue")
def update_attribute(attempt: Attempt, block: Json) -> None:
    """Set or change an attribute of the session, a profile, a code or items."""
    target, name = block["target"]["type"], block["attribute"]["name"]
    if target in {"allItems", "selector"}:
        _update_items(attempt, block, name)
        return
    entity, owner = _owner(attempt, target)
    if owner is None:
        raise EffectFailedError("there is no {} to update", target)
    value = _changed(attempt, block, owner.attributes.get(name))
    attempt.changes.append(lambda: _set(owner, name, value))
    attempt.add("updateAttribute", {"path": f"{entity}.Attributes.{name}", "value": value})


def _set(owner: Any, name: str, value: Any) -> None:
    owner.attributes = {**owner.attributes, name: value}


def _owner(attempt: Attempt, target: str) -> tuple[str, Any]:
    scope, names = attempt.names.scope, attempt.names
    found: dict[str, tuple[str, Any]] = {
        "session": ("Session", scope.session),
        "profile": ("Profile", scope.profile),
        "advocateProfile": ("Advocate", _advocate(names.referral, scope.world.profiles)),
        "coupon": ("Coupon", names.coupon),
        "referral": ("Referral", names.referral),
    }
    return found[target]


def _advocate(referral: Referral | None, known: dict[str, Profile]) -> Profile | None:
    return known.get(referral.advocate) if referral else None


def _update_items(attempt: Attempt, block: Json, name: str) -> None:
    scope, target = attempt.names.scope, block["target"]
    selectors = attempt.names.campaign.selectors
    selector = selectors[target["name"]] if target["type"] == "selector" else _EVERYTHING
    lines = {unit.position: unit.item for unit in selected(scope, selector)}
    for position, item in lines.items():
        value = _changed(attempt, block, item.get("attributes", {}).get(name))
        attempt.changes.append(_item_setter(scope.session.cart_items, position, name, value))
        path = f"Session.CartItems[{position}].Attributes.{name}"
        attempt.add("updateAttribute", {"path": path, "value": value})


def _item_setter(items: list[Json], position: int, name: str, value: Any) -> Callable[[], None]:
    def change() -> None:
        item = items[position]
        items[position] = {**item, "attributes": {**item.get("attributes", {}), name: value}}

    return change


def _changed(attempt: Attempt, block: Json, old: Any) -> Any:
    change, value = block["operator"], expressions.operand(block.get("value"), attempt.value)
    if change == "setTo":
        return value
    if change == "toggle":
        return not old
    try:
        return _ARITHMETIC[change](Decimal(old or 0), Decimal(value))
    except ArithmeticError as error:
        raise EffectFailedError("{} {} {} has no value", old, change, value) from error


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "increaseBy": lambda old, by: old + by,
    "decreaseBy": lambda old, by: old - by,
    "multiplyBy": lambda old, by: old * by,
    "divideBy": lambda old, by: old / by,
}
