"""The values of ``$``-names such as ``$Session.Total`` or ``$Item.Attributes.brand``."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .scope import Names, Scope
from .state import Json, Profile

Getter = Callable[[Names], Any]
ScopeGetter = Callable[[Scope], Any]
ItemGetter = Callable[[Json], Any]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SESSION: dict[str, ScopeGetter] = {
    "Total": lambda scope: scope.total,
    "CartTotal": lambda scope: scope.cart_total,
    "CartItemTotal": lambda scope: scope.cart_total,
    "AdditionalCostTotal": lambda scope: scope.cost_total,
    "State": lambda scope: scope.session.state,
    "FirstSession": lambda scope: scope.session.first_session,
    "IntegrationId": lambda scope: scope.session.integration_id,
    "Created": lambda scope: scope.session.created,
    "CouponCodes": lambda scope: scope.session.coupon_codes,
    "ReferralCode": lambda scope: scope.session.referral_code,
    "Identifiers": lambda scope: scope.session.identifiers,
    "StoreIntegrationId": lambda scope: scope.session.extras.get("storeIntegrationId"),
}
_PROFILE: dict[str, Callable[[Profile], Any]] = {
    "IntegrationId": lambda profile: profile.integration_id,
    "ClosedSessions": lambda profile: profile.closed_sessions,
    "TotalSales": lambda profile: profile.total_sales,
    "Created": lambda profile: profile.created,
    "LastActivity": lambda profile: profile.last_activity,
}
_NOBODY = {"IntegrationId": "", "ClosedSessions": 0, "TotalSales": 0}
_OTHERS: dict[str, Getter] = {
    "$Campaign.Id": lambda names: names.campaign.id,
    "$Campaign.Name": lambda names: names.campaign.name,
    "$Coupon.Value": lambda names: names.coupon.value if names.coupon else "",
    "$Referral.Code": lambda names: names.referral.code if names.referral else "",
    "$Referral.AdvocateId": lambda names: names.referral.advocate if names.referral else "",
}
_EVENT: dict[str, ScopeGetter] = {
    "$Event.Type": lambda scope: scope.event.type if scope.event else "",
    "$Now": lambda scope: scope.now,
    "$Now.Weekday": lambda scope: _WEEKDAYS[scope.now.weekday()],
    "$Now.Hour": lambda scope: scope.now.hour,
    "$Now.Time": lambda scope: scope.now.strftime("%H:%M"),
}
_ITEM = {
    "Price": "price",
    "Quantity": "quantity",
    "SKU": "sku",
    "Name": "name",
    "Category": "category",
}
_SCOPE_OWNERS: dict[str, ScopeGetter] = {
    "Session": lambda scope: scope.session,
    "Profile": lambda scope: scope.profile,
    "Advocate": lambda scope: scope.advocate,
    "Event": lambda scope: scope.event,
}
_OWNERS: dict[str, Getter] = {
    "Coupon": lambda names: names.coupon,
    "Referral": lambda names: names.referral,
    "Campaign": lambda names: names.campaign,
}
ENTITIES = (*_SCOPE_OWNERS, *_OWNERS, "Item")

PLAIN = {
    *_OTHERS,
    *_EVENT,
    *(f"$Session.{name}" for name in _SESSION),
    *(f"{owner}.{name}" for owner in ("$Profile", "$Advocate") for name in _PROFILE),
    *(f"$Item.{name}" for name in _ITEM),
}


@lru_cache(maxsize=4096)
def getter(name: str) -> Getter:
    """Return what finds the value of a name that is not about an item; None has none."""
    of_scope = scope_getter(name)
    if of_scope is not None:
        return lambda names: of_scope(names.scope)
    entity, _, rest = name[1:].partition(".")
    if rest.startswith("Attributes."):
        return _attribute(_OWNERS[entity], rest)
    return _OTHERS[name]


def scope_getter(name: str) -> ScopeGetter | None:
    """Return what finds a value that is the same for every campaign; None where it is not."""
    entity, _, rest = name[1:].partition(".")
    if entity in _SCOPE_OWNERS and rest.startswith("Attributes."):
        return _attribute(_SCOPE_OWNERS[entity], rest)
    if entity == "Session":
        return _SESSION[rest]
    if entity in {"Profile", "Advocate"}:
        return _of_profile(_SCOPE_OWNERS[entity], rest)
    return _EVENT.get(name)


def _attribute(owner_of: Callable[[Any], Any], path: str) -> Callable[[Any], Any]:
    name = path.partition(".")[2]

    def find(source: Any) -> Any:
        owner = owner_of(source)
        return owner.attributes.get(name) if owner is not None else None

    return find


def _of_profile(owner_of: ScopeGetter, rest: str) -> ScopeGetter:
    def find(scope: Scope) -> Any:
        profile = owner_of(scope)
        return _NOBODY.get(rest) if profile is None else _PROFILE[rest](profile)

    return find


@lru_cache(maxsize=4096)
def item_getter(name: str) -> ItemGetter:
    """Return what finds the value of an ``$Item`` name in a cart item."""
    rest = name.removeprefix("$Item.")
    if rest.startswith("Attributes."):
        attribute = rest.partition(".")[2]
        return lambda item: item["attributes"].get(attribute) if "attributes" in item else None
    field = _ITEM[rest]
    return lambda item: item.get(field)
