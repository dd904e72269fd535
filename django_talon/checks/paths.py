"""The paths of adapters: that each leads to something, and to the right kind of thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage

from django_talon.checks.messages import check_error
from django_talon.shop import paths, watching
from django_talon.shop.adapter import ITEM_KEYS, MORE_ITEM_KEYS, Adapter, flat

DOTTED = "Paths are dotted names."

#: An attribute with its path, what is wrong with it, and a hint.
Problem = tuple[str, str, str, str]


def check_paths(adapter: Adapter, models: Mapping[str, Any]) -> list[CheckMessage]:
    """Check each path of an adapter against the fields of the models it starts at."""
    customers = list(_customers(adapter, models))
    if customers:  # attributes of who knows whom
        models = {**models, "customer": None}
    problems = [
        *customers,
        *_simple(adapter, models),
        *_relations(adapter, models),
        *_items(adapter, models),
        *_watched(adapter),
    ]
    name = type(adapter).__name__
    return [
        check_error(10, f"{name}.{attribute} = {path!r}: {problem}", hint)
        for attribute, path, problem, hint in problems
    ]


def _simple(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the paths that may lead to anything."""
    named = [("order", "order_cart", adapter.order_cart)]
    if adapter.order_states:
        named.append(("order", "order_state", adapter.order_state))
    named.append(("order", "order_created", adapter.order_created))
    for role in ("cart", "order", "customer"):
        named.append((role, f"{role}_updated", getattr(adapter, f"{role}_updated")))
        attribute = f"{role}_attributes"
        named += [(role, attribute, path) for path in flat(getattr(adapter, attribute))]
    for role, attribute, path in named:
        if models[role] and path and (problem := paths.problem(models[role], path)):
            yield attribute, path, problem, DOTTED


def _customers(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[Problem]:
    of_cart = adapter.cart_customer
    problem = _no_customer(models["cart"], of_cart)
    if problem:
        yield "cart_customer", of_cart, problem, DOTTED
    if models["order"] is None or adapter.is_one_model:
        return
    of_order = adapter.order_customer
    if of_order and (wrong := _no_customer(models["order"], of_order)):
        yield "order_customer", of_order, wrong, DOTTED
    if not of_order and not problem and (wrong := _no_customer(models["order"], of_cart)):
        hint = "Set order_customer: without it, cart_customer is read from the order too."
        yield "order_customer", of_cart, wrong, hint


def _no_customer(model: Any, path: str) -> str:
    """Say why a path leads to no customer; an empty string if it does, or is empty."""
    if not path:
        return ""
    if problem := paths.problem(model, path):
        return problem
    field, name = _last(model, path)
    is_key = field is not None and field.concrete and name != field.name
    if field is None or (field.is_relation and not is_key and not _is_to_many(field)):
        return ""
    return f"{field.model._meta.label}.{name} is no relation to a customer."


def _last(model: Any, path: str) -> tuple[Any, str]:
    """Return the field that a path ends at, or ``None`` where fields do not tell, and its name."""
    *way, name = path.split(".")
    owner = paths.model_at(model, ".".join(way)) if way else model
    return (paths.field_at(owner, name) if owner else None), name


def _is_to_many(field: Any) -> bool:
    return bool(field.one_to_many or field.many_to_many)


def _relations(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the relations to the lines."""
    for role in ("cart", "order"):
        attribute = f"{role}_items"
        path = getattr(adapter, attribute)
        if not path or models[role] is None:
            continue
        if problem := paths.problem(models[role], path):
            yield attribute, path, problem, DOTTED
        elif not _may_be_lines(models[role], path):
            problem = f"{models[role]._meta.label}.{path} is no relation to lines."
            yield attribute, path, problem, "Name the reverse relation to the lines."


def _may_be_lines(model: Any, name: str) -> bool:
    field = paths.field_at(model, name)
    return field is None or _is_to_many(field)


def _items(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the paths of lines, if the way to the lines is right."""
    of_cart = _line(models["cart"], adapter.cart_items)
    of_order = None if adapter.is_one_model else _line(models["order"], adapter.order_items)
    wrong = set()
    bought = dict(adapter.item)
    if not adapter.is_one_model:  # units come back from orders only
        bought.pop("returned", None)
    for path in flat(bought):
        if of_cart and (problem := paths.problem(of_cart, path)):
            wrong.add(path)
            yield "item", path, problem, DOTTED
    for path in flat(adapter.order_item or adapter.item):
        problem = paths.problem(of_order, path) if of_order else ""
        if problem and adapter.order_item:
            yield "order_item", path, problem, DOTTED
        elif problem and path not in wrong:
            hint = "The lines of an order have other names: set order_item."
            yield "item", path, problem, hint


def _line(model: Any, relation: str) -> Any:
    field = paths.field_at(model, relation) if model and relation else None
    return field.related_model if field and _is_to_many(field) else None


def _watched(adapter: Adapter) -> Iterator[Problem]:
    """Check the ways from other models to a cart, an order or a customer."""
    for label, path in adapter.watch.items():
        if problem := watching.problem(adapter, label, path):
            hint = "Name the foreign keys that lead there: {'shop.LineOption': 'line.cart'}."
            yield f"watch[{label!r}]", path, problem, hint


def check_items(adapter: Adapter) -> Iterator[CheckMessage]:
    """Check that `Adapter.items` is told all that it needs, unless it is overridden."""
    if type(adapter).items is not Adapter.items:
        return
    name = type(adapter).__name__
    for attribute in ("item", "order_item") if adapter.order_item else ("item",):
        mapping = getattr(adapter, attribute)
        missing = [key for key in ITEM_KEYS if key not in mapping]
        if missing:
            hint = "Say where a line has them, or override items()."
            yield check_error(11, f"{name}.{attribute} lacks {', '.join(missing)}.", hint)
        for key in sorted(set(mapping) - {*ITEM_KEYS, *MORE_ITEM_KEYS}):
            nearest = difflib.get_close_matches(key, [*ITEM_KEYS, *MORE_ITEM_KEYS], n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else "Put it into 'attributes'."
            yield check_error(20, f"{name}.{attribute} has no key {key!r}.", hint)
    if "returned" in adapter.item and (adapter.order_item or not adapter.order):
        hint = "Units come back from order lines: say it in order_item, and name the order model."
        yield check_error(21, f"{name}.item['returned'] is never read.", hint)
    for attribute in _unnamed(adapter):
        hint = "Name the reverse relation to the lines, or override items()."
        yield check_error(14, f"{name}.{attribute} is empty.", hint)


def _unnamed(adapter: Adapter) -> list[str]:
    """Return which of the relations that `Adapter.items` reads are not named."""
    needs_two = bool(adapter.order) and not adapter.is_one_model
    needed = ("cart_items", "order_items") if needs_two else ("cart_items",)
    return [attribute for attribute in needed if not getattr(adapter, attribute)]
