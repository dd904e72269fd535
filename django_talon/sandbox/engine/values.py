"""The values of ``$``-names such as ``$Session.Total`` or ``$Item.Attributes.brand``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import totals
from .scope import Scope
from .state import Campaign, Coupon, Json, Profile, Referral, Session


@dataclass(frozen=True)
class Names:
    """Whose values are asked for: the scope, and the campaign and codes of one attempt."""

    scope: Scope
    campaign: Campaign
    coupon: Coupon | None
    referral: Referral | None


_SESSION: dict[str, Callable[[Session], Any]] = {
    "Total": totals.total,
    "CartTotal": totals.cart_item_total,
    "CartItemTotal": totals.cart_item_total,
    "AdditionalCostTotal": totals.additional_cost_total,
    "State": lambda session: session.state,
    "FirstSession": lambda session: session.first_session,
    "IntegrationId": lambda session: session.integration_id,
}
_PROFILE: dict[str, Callable[[Profile | None], Any]] = {
    "IntegrationId": lambda profile: profile.integration_id if profile else "",
    "ClosedSessions": lambda profile: profile.closed_sessions if profile else 0,
    "TotalSales": lambda profile: profile.total_sales if profile else 0,
}
_OTHERS: dict[str, Callable[[Names], Any]] = {
    "$Campaign.Id": lambda names: names.campaign.id,
    "$Campaign.Name": lambda names: names.campaign.name,
    "$Coupon.Value": lambda names: names.coupon.value if names.coupon else "",
    "$Referral.Code": lambda names: names.referral.code if names.referral else "",
    "$Referral.AdvocateId": lambda names: names.referral.advocate if names.referral else "",
    "$Event.Type": lambda names: names.scope.event.type if names.scope.event else "",
}
_ITEM = {
    "Price": "price",
    "Quantity": "quantity",
    "SKU": "sku",
    "Name": "name",
    "Category": "category",
}

PLAIN = {
    *_OTHERS,
    *(f"$Session.{name}" for name in _SESSION),
    *(f"$Profile.{name}" for name in _PROFILE),
    *(f"$Item.{name}" for name in _ITEM),
}


def value_of(names: Names, name: str) -> Any:
    """Return the value of a name that is not about an item; None where there is none."""
    entity, _, rest = name[1:].partition(".")
    if rest.startswith("Attributes."):
        return _attributes(names.scope, entity).get(rest.partition(".")[2])
    if entity == "Session":
        return _SESSION[rest](names.scope.session)
    if entity == "Profile":
        return _PROFILE[rest](names.scope.profile)
    return _OTHERS[name](names)


def _attributes(scope: Scope, entity: str) -> Json:
    owner = {"Session": scope.session, "Profile": scope.profile, "Event": scope.event}[entity]
    return owner.attributes if owner is not None else {}


def item_value(item: Json, name: str) -> Any:
    """Return the value of an ``$Item`` name for one cart item."""
    rest = name.removeprefix("$Item.")
    if rest.startswith("Attributes."):
        return item.get("attributes", {}).get(rest.partition(".")[2])
    return item.get(_ITEM[rest])
