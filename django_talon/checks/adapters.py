"""The adapters as classes: their types, models and names; and that no two are rivals."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage

from django_talon.checks.databases import elsewhere
from django_talon.checks.messages import check_error, check_warning
from django_talon.checks.paths import check_items, check_paths
from django_talon.checks.personal import check_personal
from django_talon.checks.states import check_states
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters, registered, wrong_types

#: What a shop overrides; the other methods are django-talon's own.
METHODS = (
    *("state", "profile_id", "additional_costs", "is_active", "current_cart", "items"),
    *("returned_quantities", "may_be_sent"),
)
ATTRIBUTES = [
    name
    for name, value in vars(Adapter).items()
    if not name.startswith("_") and not callable(value) and not isinstance(value, property)
]


def check_adapters(**_: Any) -> list[CheckMessage]:
    """Check every adapter: its models, and each path against the models' fields."""
    if not registered():
        hint = "Write a talon.py in your shop's app; see the README for one of 20 lines."
        return [check_warning(1, "No adapter is registered, so nothing is sent.", hint)]
    found = [message for adapter in registered() for message in _adapter(adapter)]
    return [*found, *_rivals()]


def _adapter(adapter: Adapter) -> list[CheckMessage]:
    name = type(adapter).__name__
    misspelt = list(_misspelt(adapter))
    if wrong := list(wrong_types(adapter)):
        hint = "Models and paths are text: 'shop.Cart', 'product.sku'."
        return misspelt + [check_error(18, f"{name}.{what}", hint) for what in wrong]
    if model := adapter.wrong_model():
        return [*misspelt, check_error(9, f"{name}.{model}", _nearest_model(model.split("'")[1]))]
    models = {role: adapter.model(role) for role in ("cart", "order", "customer")}
    return [
        *misspelt,
        *_price_unit(adapter),
        *check_paths(adapter, models),
        *check_items(adapter),
        *check_states(adapter),
        *check_personal(adapter, models),
        *elsewhere(models),
    ]


def _misspelt(adapter: Adapter) -> Iterator[CheckMessage]:
    """Yield an error for each attribute that looks like one of an adapter's, and is none."""
    own = {name for cls in type(adapter).__mro__ if issubclass(cls, Adapter) for name in vars(cls)}
    for attribute in sorted(own - set(vars(Adapter))):
        nearest = difflib.get_close_matches(attribute, [*ATTRIBUTES, *METHODS], n=1, cutoff=0.8)
        if nearest and not attribute.startswith("_"):
            name = f"{type(adapter).__name__}.{attribute}"
            hint = f"Did you mean {nearest[0]!r}? Begin a name of your own with an underscore."
            yield check_error(17, f"{name} is no attribute of an adapter.", hint)


def _nearest_model(name: str) -> str:
    labels = {model._meta.label_lower: model._meta.label for model in apps.get_models()}
    nearest = difflib.get_close_matches(name.lower(), labels, n=1)
    if nearest:
        return f"Did you mean {labels[nearest[0]]!r}?"
    return "Write models as 'app_label.Model', as in INSTALLED_APPS and models.py."


def _price_unit(adapter: Adapter) -> Iterator[CheckMessage]:
    if adapter.price_unit not in ("major", "minor"):
        hint = "It is 'major' (12.50) or 'minor' (1250)."
        yield check_error(
            15, f"{type(adapter).__name__}.price_unit is {adapter.price_unit!r}.", hint
        )


def _rivals() -> Iterator[CheckMessage]:
    """Yield an error for each model that is the cart or order of two adapters."""
    for first, second in combinations(adapters(), 2):
        named = " and ".join(f"{type(a).__module__}.{type(a).__name__}" for a in (first, second))
        for model in dict.fromkeys((first.cart_model, first.order_model)):
            if model is not None and model in (second.cart_model, second.order_model):
                hint = "Only the first would be asked: keep one of them."
                yield check_error(19, f"{named} both name {model._meta.label}.", hint)
