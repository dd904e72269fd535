"""Attributes and additional costs: only what the account declared may be sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..engine.blocks import SeedError
from ..engine.campaigns import moment
from .fields import Check, Form, Place, number, shape

_ADDRESS = ("Name", "Address1", "Address2", "Address3", "Address4", "City", "Region")
_ADDRESSES = {
    f"{kind}{part}": "string"
    for kind in ("Billing", "Shipping")
    for part in (*_ADDRESS, "PostalCode", "Country")
}

BUILT_IN: dict[str, dict[str, str]] = {
    "CustomerProfile": {
        "Name": "string",
        "Email": "string",
        "Phone": "string",
        "Gender": "string",
        "Language": "string",
        "Locale": "string",
        "Timezone": "string",
        "BirthDate": "time",
        "SignupDate": "time",
        **_ADDRESSES,
    },
    "CustomerSession": {"PaymentMethod": "string", "ShippingMethod": "string", **_ADDRESSES},
}

BUILT_IN_EVENTS = re.compile(r"^(talon_|customer_profile_created$)")


def attributes(entity: str) -> Check:
    """Return a check for the attributes of an entity such as ``CustomerSession``."""

    def check(value: Any, place: Place, form: Form) -> Any:
        if not isinstance(value, dict):
            form.reject("Invalid type", "must be an object", place)
            return value
        for name, entry in value.items():
            _check_one(entity, name, entry, (place, name), form)
        return value

    return check


def _check_one(entity: str, name: str, value: Any, place: Place, form: Form) -> None:
    declared = form.definitions.attributes.get(entity, {})
    kind = declared.get(name) or BUILT_IN.get(entity, {}).get(name) or declared.get("*")
    if kind is None:
        details = f'The attribute "{name}" is not defined on {entity} entities.'
        hint = f'declare it in the seed: "attributes": {{"{entity}": {{"{name}": "string"}}}}'
        form.unknown("Unknown", details, place, hint)
    elif value is not None and not is_of_type(value, kind):
        article = "an" if kind[0] in "aeiou" else "a"
        shown = str(value).lower() if isinstance(value, bool) else value
        details = f'Value of "{name}" attribute ({shown}) is not {article} {kind}'
        form.reject("Invalid type", details, place)


def is_of_type(value: Any, kind: str) -> bool:
    """Say whether a value fits an attribute type such as ``string`` or ``(list number)``."""
    if kind.startswith("(list "):
        inner = kind[len("(list ") : -1]
        return isinstance(value, list) and all(is_of_type(entry, inner) for entry in value)
    return _TYPES[kind](value)


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and moment(value, "") is not None
    except SeedError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "time": _is_time,
    "location": lambda value: isinstance(value, dict | str),
    "any": lambda value: True,  # declared by a shop that knows only the name
}

_cost = shape({"price": number()}, {})


def additional_costs(value: Any, place: Place, form: Form) -> Any:
    """Check additional costs by their declared API names."""
    if not isinstance(value, dict):
        form.reject("Invalid type", "must be an object", place)
        return value
    checked = {}
    for name, entry in value.items():
        where = (place, name)
        if not {name, "*"} & form.definitions.additional_costs.keys():
            details = f'The additional cost "{name}" is not defined.'
            hint = f'declare it in the seed: "additionalCosts": ["{name}"]'
            form.unknown("Unknown", details, where, hint)
        checked[name] = _cost(entry, where, form)
    return checked


def event_type(value: Any, place: Place, form: Form) -> Any:
    """Check the type of a custom event: declared, and not one of the built-in ones."""
    if not isinstance(value, str) or not value:
        form.reject("Invalid type", "must be a string with at least 1 character", place)
    elif BUILT_IN_EVENTS.match(value):
        form.reject("Invalid value", f'"{value}" is reserved for built-in events', place)
    elif not {value, "*"} & set(form.definitions.event_types):
        details = f'The event type "{value}" is not defined.'
        hint = f'declare it in the seed: "eventTypes": ["{value}"]'
        form.unknown("Unknown", details, place, hint)
    return value
