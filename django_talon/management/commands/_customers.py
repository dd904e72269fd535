"""Find customers by primary key, for the commands about a person's data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from django_talon.shop.registry import adapters


def find(keys: Iterable[str], label: str = "") -> list[Any]:
    """Return the customers with these primary keys, as named by the adapters.

    ``label`` (``app.Model``) chooses among several customer models. Raises
    `CommandError` if one is not there, or is there in several models.
    """
    models = {adapter.customer_model for adapter in adapters()}
    if label:
        models = {model for model in models if model._meta.label_lower == label.lower()}
    if not models:
        raise CommandError("No adapter names such a customer model.")
    return [_the_one(key, [_row(model, key) for model in models]) for key in keys]


def _row(model: Any, key: str) -> Any:
    try:
        return model._base_manager.filter(pk=key).first()
    except (ValueError, ValidationError):
        return None  # not a key of this model


def _the_one(key: str, rows: list[Any]) -> Any:
    found = [row for row in rows if row is not None]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"There is no customer {key}.")
    labels = ", ".join(sorted(row._meta.label for row in found))
    raise CommandError(f"There is a customer {key} in each of {labels}. Choose with --model.")
