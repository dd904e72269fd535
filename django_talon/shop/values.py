"""From the types that shops use to those that Talon.One takes; money stays exact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone

#: Currencies whose smallest unit is not a hundredth (ISO 4217).
_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}


def digits(currency: str) -> int:
    """Return how many decimal places amounts of a currency have."""
    return _DIGITS.get(currency.upper(), 2)


def text(value: Any) -> str:
    """Return a value as text without the NUL that databases and JSON readers refuse."""
    return str("" if value is None else value).replace("\0", "")


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
    """Return an attribute in a form that JSON has: time in RFC 3339, numbers exact."""
    if value is None or isinstance(value, bool | int | Decimal):
        return value
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, date):
        return _moment(value)
    if isinstance(value, Mapping):
        return {text(key): attribute(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        found = [attribute(entry) for entry in value]
        # The order of a set differs from process to process.
        return sorted(found, key=str) if isinstance(value, set | frozenset) else found
    return text(value)


def _moment(value: date) -> str:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).isoformat()
