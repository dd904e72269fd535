"""The states of orders: that one of them is reached."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage
from django.core.exceptions import ValidationError

from django_talon.checks.messages import check_error, check_warning
from django_talon.shop import paths
from django_talon.shop.adapter import Adapter, created_field

STATES = ("open", "closed", "cancelled", "reopened")


def check_states(adapter: Adapter) -> Iterator[CheckMessage]:
    """Check what the status of an order is told as, and from when on orders are told."""
    name = type(adapter).__name__
    wrong = sorted({repr(state) for state in adapter.order_states.values() if state not in STATES})
    if wrong:
        hint = "It is 'open', 'closed', 'cancelled' or 'reopened'."
        yield check_error(12, f"{name}.order_states has {', '.join(wrong)}.", hint)
    model = adapter.order_model
    if model is None:
        return
    if type(adapter).state is Adapter.state:
        yield from _statuses(adapter, model)
    if not (adapter.order_created or created_field(model)):
        hint = "Without it, orders older than this installation would be sent when saved."
        yield check_warning(2, f"{name}.order_created does not say when an order was made.", hint)


def _statuses(adapter: Adapter, model: Any) -> Iterator[CheckMessage]:
    name = type(adapter).__name__
    if not adapter.order_states:
        hint = "Say which statuses are 'closed' or 'cancelled', or override state()."
        yield check_warning(5, f"{name}.order_states is empty: no order ever closes.", hint)
    field = paths.field_at(model, adapter.order_state)
    if field is None or not field.concrete:
        return
    for status in adapter.order_states:
        if problem := _never(field, status, is_row=adapter.order_state != field.attname):
            message = f"{name}.order_states has {_plain(status)!r}, which no order's"
            yield check_error(16, f"{message} {adapter.order_state!r} is.", problem)


def _never(field: Any, status: Any, *, is_row: bool) -> str:
    """Say what a field holds if it can never hold this status; else an empty string."""
    label = f"{field.model._meta.label}.{field.name}"
    if field.is_relation and is_row:
        return f"{label} leads to another row: go on to one of its fields."
    if status in field.empty_values and (field.null or field.blank):
        return ""
    choices = [_plain(choice) for choice, _label in field.flatchoices]
    read = _read(field, status)
    is_of_type = read is not None and read == status
    if choices and not (is_of_type and _plain(status) in choices):
        return f"{label} is one of {', '.join(map(repr, choices))}."
    if is_of_type:
        return ""
    nearest = "" if read is None else f" Did you mean {_plain(read)!r}?"
    return f"{label} is of type {type(field).__name__}.{nearest}"


def _read(field: Any, status: Any) -> Any:
    """Return a status as the field would give it, or ``None`` where it cannot."""
    try:
        return field.to_python(status)
    except (ValidationError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
