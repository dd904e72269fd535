"""From the types that shops use to those that Talon.One takes; money stays exact."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import models
from django.utils import timezone

#: Currencies whose smallest unit is not a hundredth (ISO 4217).
_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}


_SURROGATES = re.compile("[\ud800-\udfff]")


def digits(currency: str) -> int:
    """Return how many decimal places amounts of a currency have."""
    return _DIGITS.get(currency.upper(), 2)


def text(value: Any) -> str:
    """Return a value as text without what databases and JSON readers refuse.

    NUL goes, and a surrogate without its other half becomes U+FFFD.
    """
    found = str("" if value is None else value).replace("\0", "")
    return found if found.isascii() else _SURROGATES.sub("\ufffd", found)


def filled(value: Any, what: str) -> str:
    """Return a value as text. Raises `ValueError` if it is empty."""
    found = text(value)
    if not found:
        raise ValueError(f"the {what} is empty; Talon.One needs one for each line")
    return found


def decimal(value: Any) -> Decimal:
    """Return a number exactly; a float as it prints. Raises `ValueError`."""
    amount = getattr(value, "amount", value)
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def price(value: Any, currency: str, unit: str = "major") -> Decimal:
    """Return an amount in major units of the currency. Raises `ValueError`."""
    if value is None:
        raise ValueError("the price is empty; Talon.One needs one for each line")
    amount = decimal(value)
    return amount.scaleb(-digits(currency)) if unit == "minor" else amount


def quantity(value: Any) -> int:
    """Return a whole quantity. Raises `ValueError` for parts of a unit."""
    number = decimal(value)
    if number != number.to_integral_value():
        raise ValueError(
            f"the quantity {number} is not whole, and Talon.One takes whole units only;"
            " override Adapter.items() and send one unit at the price of the line"
        )
    if number < 0:
        raise ValueError(f"the quantity {number} is negative")
    return int(number)


def attribute(value: Any) -> Any:
    """Return an attribute in a form that JSON has: time in RFC 3339, numbers exact.

    Raises `ValueError` for what Talon.One has no attribute for, and says where it is;
    never quotes the value.
    """
    if isinstance(value, enum.Enum):
        return attribute(value.value)
    if isinstance(value, float | Decimal) or hasattr(value, "amount"):
        return _finite(value)
    if isinstance(value, date):
        return _moment(value)
    return value if value is None or isinstance(value, bool | int) else _many_or_text(value)


def _many_or_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {text(key): _at(f".{key}", entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset | models.QuerySet):
        found = [_at(f"[{number}]", entry) for number, entry in enumerate(value)]
        # The order of a set differs from process to process.
        return sorted(found, key=str) if isinstance(value, set | frozenset) else found
    return _told(value)


def _at(place: str, entry: Any) -> Any:
    try:
        return attribute(entry)
    except ValueError as error:
        raise ValueError(f"{place} {error}") from None


def _finite(value: Any) -> Decimal:
    try:
        return decimal(value)
    except ValueError:
        raise ValueError("is not a finite number") from None


def _told(value: Any) -> str:
    """Return the text of a value of another type, if that type says how it is written."""
    kind = type(value)
    nothing: tuple[Any, ...] = (object.__str__, models.Model.__str__, bytes.__str__)
    if kind.__str__ in nothing:
        raise ValueError(f"is of type {kind.__name__}, which has no form at Talon.One")
    return text(value)


def _moment(value: date) -> str:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).isoformat()


def kinds(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each value: ``"text"``, ``"list"`` or ``"other"``."""
    return {name: _kind(value) for name, value in attributes.items()}


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "other"


def emptied(attributes: Mapping[str, Any], held: Mapping[str, str] | None) -> dict[str, Any]:
    """Return attributes, and empty values for those that Talon.One holds and the shop has not.

    Talon.One keeps what is left out, and takes ``null`` for left out: an empty text
    or list replaces the old value, a number, truth, time or place cannot be taken back.
    """
    empty = {"text": "", "list": []}
    gone = {name: empty.get(kind) for name, kind in (held or {}).items() if name not in attributes}
    return {**gone, **attributes}
