"""``manage.py talon_sandbox``: the local sandbox of Talon.One, for this shop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import models

from django_talon.sandbox.__main__ import add_arguments, run
from django_talon.sandbox.declared import Declared
from django_talon.shop import paths
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters

_TYPES: tuple[tuple[type[models.Field[Any, Any]], str], ...] = (
    (models.BooleanField, "boolean"),
    (models.IntegerField, "number"),
    (models.FloatField, "number"),
    (models.DecimalField, "number"),
    (models.DateField, "time"),
    (models.CharField, "string"),
    (models.TextField, "string"),
)


class Command(BaseCommand):
    """Runs the sandbox until Ctrl-C."""

    help = (
        "Run a local sandbox of Talon.One's Integration API: the same as"
        " `python -m django_talon.sandbox`, with the attributes of this shop's adapters declared."
        " Every API key sbx-<name> opens a world of its own."
    )
    # The sandbox needs nothing of this project, so nothing of it has to be right.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        code = run(options, declared())
        if code:
            sys.exit(code)


def declared() -> Declared:
    """Return what the shop's adapters may send; the names of costs show only at run time."""
    attributes: dict[str, dict[str, str]] = {}
    for adapter in adapters():
        for entity, name, kind in _listed(adapter):
            known = attributes.setdefault(entity, {})
            known[name] = kind if known.get(name, kind) == kind else "any"
    attributes["Event"] = {"*": "any"}
    return Declared(attributes, additional_costs=("*",), event_types=("*",))


def _listed(adapter: Adapter) -> Iterator[tuple[str, str, str]]:
    """Give entity, name and type of every attribute that an adapter lists."""
    for role, mapping in (("cart", adapter.cart_attributes), ("order", adapter.order_attributes)):
        for name, path in mapping.items():
            yield "CustomerSession", name, _kind(adapter.model(role), path)
    for name, path in adapter.customer_attributes.items():
        yield "CustomerProfile", name, _kind(adapter.customer_model, path)
    for mapping in (adapter.item, adapter.order_item):
        for name in mapping.get("attributes", {}):
            yield "CartItem", name, "any"


def _kind(model: type[models.Model] | None, path: Any) -> str:
    """Return the attribute type of a field, "any" where the path leads to something else."""
    parents, _, name = str(path).rpartition(".")
    if model is not None and parents:
        model = paths.model_at(model, parents)
    field = paths.field_at(model, name) if model is not None else None
    return next((kind for of, kind in _TYPES if isinstance(field, of)), "any")
