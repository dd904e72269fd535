"""The items of a cart, as they are sent today and as they were in 2020."""

from __future__ import annotations

from typing import Any

from ..wire import Json
from .attributes import additional_costs, attributes
from .fields import Check, Form, Place, date_time, many, mapping, number, shape, text, whole

MOST_ITEMS, MOST_UNITS = 1000, 10_000

_read_only: dict[str, Check] = {
    "position": number(0),
    "returnedQuantity": whole(0),
    "remainingQuantity": whole(0),
    "catalogItemID": whole(0),
    "selectedPriceType": text(),
    "adjustmentReferenceId": text(),
    "adjustmentEffectiveFrom": date_time,
    "adjustmentEffectiveUntil": date_time,
    "prices": mapping,
}
_adjustment = shape(
    {"payFromLoyaltyProgram": whole(0), "pointPayment": number(1)}, {"remainingPrice": number(0)}
)
_required: dict[str, Check] = {"sku": text(1, 1000), "quantity": whole(1), "price": number(0)}
_common: dict[str, Check] = {
    "category": text(),
    "weight": number(),
    "height": number(),
    "width": number(),
    "length": number(),
    "attributes": attributes("CartItem"),
    "adjustment": _adjustment,
}
_name = text(1, 1000)
_item = shape(
    _required,
    {
        "name": _name,
        "product": shape({"name": text(1, 1000)}, {}),
        "additionalCosts": additional_costs,
        **_common,
        **_read_only,
    },
)
_item_2020 = shape({"name": _name, **_required}, {"position": number(0), **_common})


def _cart(check_item: Check) -> Check:
    check_all = many(check_item, MOST_ITEMS)

    def check(value: Any, place: Place, form: Form) -> Any:
        items = check_all(value, place, form)
        if not form.problems and sum(item["quantity"] for item in items) > MOST_UNITS:
            form.reject("Out of range", f"must have at most {MOST_UNITS} units", place)
        if form.problems:
            return items
        return [item if _read_only.keys().isdisjoint(item) else _writable(item) for item in items]

    return check


def _writable(item: Json) -> Json:
    return {name: value for name, value in item.items() if name not in _read_only}


items = _cart(_item)
items_2020 = _cart(_item_2020)
