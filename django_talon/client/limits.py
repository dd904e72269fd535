"""The limits of requests that the API documents, told before anything is sent.

What is not listed here is left to Talon.One, whose 400 says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from django_talon.client.types.base import Model

Rule = Callable[[Any], str]


def _most(count: int) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) <= count:
            return ""
        return f"has {len(value)} entries, and {count} is the most"

    return rule


def _long(longest: int, shortest: int = 0) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, str) or shortest <= len(value) <= longest:
            return ""
        return f"has {len(value)} characters instead of {shortest} to {longest}"

    return rule


def _each(single: Rule) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return ""
        return next((f"has one that {said}" for entry in value if (said := single(entry))), "")

    return rule


def _one_of(*allowed: str) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, str) or value in allowed:
            return ""
        return f"is none of {', '.join(allowed)}"

    return rule


def _between(least: int, most: int) -> Rule:
    def rule(value: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return f"is not {least} to {most}" if is_number and not least <= value <= most else ""

    return rule


def _units(most: int) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return ""
        counts = [read(item, "quantity") for item in value]
        units = sum(count for count in counts if isinstance(count, int))
        return f"has {units} units in all, and {most} is the most" if units > most else ""

    return rule


_STATE = _one_of("open", "closed", "cancelled")
_ID = _long(1000)
_EVENT: dict[str, tuple[Rule, ...]] = {
    "type": (_long(10_000, 1),),
    "profileId": (_ID,),
    "storeIntegrationId": (_long(1000, 1),),
    "loyaltyCards": (_most(1),),
}
_RESERVATION: dict[str, tuple[Rule, ...]] = {"integrationIDs": (_most(1000),)}

#: Operation -> field (dotted, by its name on the wire) -> rules.
LIMITS: dict[str, dict[str, tuple[Rule, ...]]] = {
    "updateCustomerSessionV2": {
        "customerSession.state": (_STATE,),
        "customerSession.profileId": (_ID,),
        "customerSession.storeIntegrationId": (_long(1000, 1),),
        "customerSession.cartItems": (_most(1000), _units(10_000)),
        "customerSession.couponCodes": (_each(_long(100)),),
        "customerSession.referralCode": (_long(100),),
        "customerSession.identifiers": (_most(5),),
        "customerSession.loyaltyCards": (_most(1),),
    },
    "updateCustomerSession": {"state": (_STATE,), "profileId": (_ID,)},
    "trackEvent": {"type": (_long(10_000, 1),), "sessionId": (_long(10_000, 1),)},
    "trackEventV2": _EVENT,
    "trackEventV3": _EVENT,
    "createCouponReservation": _RESERVATION,
    "deleteCouponReservation": _RESERVATION,
    "createReferral": {
        "advocateProfileIntegrationId": (_ID,),
        "friendProfileIntegrationId": (_ID,),
        "usageLimit": (_between(0, 999_999),),
    },
}


def breach(operation: str, request: Any) -> str:
    """Say which limit a request breaks; an empty string if it keeps to all. Quotes no value."""
    for path, rules in LIMITS.get(operation, {}).items():
        value = request
        for name in path.split("."):
            value = read(value, name)
        for rule in rules:
            if said := rule(value):
                return f"{path} {said}"
    return ""


def read(value: Any, name: str) -> Any:
    """Return a field of a typed request or of a mapping by its name on the wire."""
    if isinstance(value, Model):
        attribute = _attribute(type(value), name)
        return getattr(value, attribute) if attribute else None
    return value.get(name) if isinstance(value, Mapping) else None


@cache
def _attribute(kind: type[Model], name: str) -> str:
    names = kind.__struct_encode_fields__
    return kind.__struct_fields__[names.index(name)] if name in names else ""
