"""The values of ``$``-names such as ``$Session.Total`` or ``$Item.Attributes.brand``."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .scope import Names
from .state import Json, Profile

Getter = Callable[[Names], Any]
ItemGetter = Callable[[Json], Any]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SESSION: dict[str, Getter] = {
    "Total": lambda names: names.scope.total,
    "CartTotal": lambda names: names.scope.cart_total,
    "CartItemTotal": lambda names: names.scope.cart_total,
    "AdditionalCostTotal": lambda names: names.scope.cost_total,
    "State": lambda names: names.scope.session.state,
    "FirstSession": lambda names: names.scope.session.first_session,
    "IntegrationId": lambda names: names.scope.session.integration_id,
    "Created": lambda names: names.scope.session.created,
    "CouponCodes": lambda names: names.scope.session.coupon_codes,
    "ReferralCode": lambda names: names.scope.session.referral_code,
    "Identifiers": lambda names: names.scope.session.identifiers,
    "StoreIntegrationId": lambda names: names.scope.session.extras.get("storeIntegrationId"),
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
    "$Event.Type": lambda names: names.scope.event.type if names.scope.event else "",
    "$Now": lambda names: names.scope.now,
    "$Now.Weekday": lambda names: _WEEKDAYS[names.scope.now.weekday()],
    "$Now.Hour": lambda names: names.scope.now.hour,
    "$Now.Time": lambda names: names.scope.now.strftime("%H:%M"),
}
_ITEM = {
    "Price": "price",
    "Quantity": "quantity",
    "SKU": "sku",
    "Name": "name",
    "Category": "category",
}
_OWNERS: dict[str, Callable[[Names], Any]] = {
    "Session": lambda names: names.scope.session,
    "Profile": lambda names: names.scope.profile,
    "Advocate": lambda names: names.scope.advocate,
    "Event": lambda names: names.scope.event,
    "Coupon": lambda names: names.coupon,
    "Referral": lambda names: names.referral,
    "Campaign": lambda names: names.campaign,
}
ENTITIES = (*_OWNERS, "Item")

PLAIN = {
    *_OTHERS,
    *(f"$Session.{name}" for name in _SESSION),
    *(f"{owner}.{name}" for owner in ("$Profile", "$Advocate") for name in _PROFILE),
    *(f"$Item.{name}" for name in _ITEM),
}


@lru_cache(maxsize=4096)
def getter(name: str) -> Getter:
    """Return what finds the value of a name that is not about an item; None has none."""
    entity, _, rest = name[1:].partition(".")
    if entity in _OWNERS and rest.startswith("Attributes."):
        return _attribute(_OWNERS[entity], rest.partition(".")[2])
    if entity == "Session":
        return _SESSION[rest]
    if entity in {"Profile", "Advocate"}:
        return _of_profile(_OWNERS[entity], rest)
    return _OTHERS[name]


def _attribute(owner_of: Callable[[Names], Any], name: str) -> Getter:
    def find(names: Names) -> Any:
        owner = owner_of(names)
        return owner.attributes.get(name) if owner is not None else None

    return find


def _of_profile(owner_of: Callable[[Names], Any], rest: str) -> Getter:
    def find(names: Names) -> Any:
        profile = owner_of(names)
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
