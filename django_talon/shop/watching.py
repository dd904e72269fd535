"""Whose rows are watched: the way from a row to the cart, order or customer it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from django_talon.shop import paths
from django_talon.shop.adapter import Adapter, flat

ROLES = ("cart", "order", "customer")


@dataclass(frozen=True)
class Owner:
    """The way from a row of one model to the cart, order or customer it belongs to."""

    role: str
    #: Column of the row itself in which the way begins.
    attname: str
    #: What a query on the row's model reads the owner's key by.
    lookup: str
    #: Whether the column holds the owner's key, so that nothing has to be looked up.
    is_at_hand: bool

    def further(self, field: Any) -> Owner:
        """Return the way that goes through ``field`` of another model first."""
        return Owner(self.role, field.attname, f"{field.name}__{self.lookup}", False)


@dataclass(frozen=True)
class ManyToMany:
    """A many-to-many relation between a watched model and any other."""

    model: type[models.Model]
    through: type[models.Model]
    #: Names of the foreign keys of ``through`` to the watched model and to the other.
    own: str
    other: str
    #: Whether the field stands on the other model.
    is_reverse: bool


def parts(adapter: Adapter) -> dict[type[models.Model], list[Owner]]:
    """Return the models whose rows belong to a cart, an order or a customer.

    Lines, what paths of attributes and items are read from, and what ``watch`` names.
    """
    found: dict[type[models.Model], list[Owner]] = {}
    for model, owner in (*_lines_and_attributes(adapter), *_of_lines(adapter), *_watched(adapter)):
        owners = found.setdefault(model, [])
        if owner not in owners:
            owners.append(owner)
    return found


def owners(adapter: Adapter, model: type[models.Model]) -> list[Owner]:
    """Return the owners that a row of this model may have."""
    found = parts(adapter)
    return [owner for base in model.__mro__ for owner in found.get(base, [])]


def _lines_and_attributes(adapter: Adapter) -> Iterator[tuple[type[models.Model], Owner]]:
    for role, name in _names(adapter):
        model = adapter.model(role)
        relation = _reverse(model, name) if model else None
        if relation is not None:
            yield relation.related_model, _way(role, [relation.field])


def _names(adapter: Adapter) -> Iterable[tuple[str, str]]:
    yield "cart", adapter.cart_items
    if adapter.order and not adapter.is_one_model:
        yield "order", adapter.order_items
    for role in ROLES:
        mapping = getattr(adapter, f"{role}_attributes")
        yield from dict.fromkeys((role, path.split(".")[0]) for path in flat(mapping))


def _of_lines(adapter: Adapter) -> Iterator[tuple[type[models.Model], Owner]]:
    """Yield what the paths of a line read from rows that point at the line."""
    for role in ("cart", "order"):
        mapping = (adapter.order_item if role == "order" else None) or adapter.item
        model, items = adapter.model(role), getattr(adapter, f"{role}_items")
        lines = _reverse(model, items) if model and items else None
        if lines is None:
            continue
        for name in dict.fromkeys(path.split(".")[0] for path in flat(mapping)):
            relation = _reverse(lines.related_model, name)
            if relation is not None:
                way = _way(role, [relation.field, lines.field])
                yield relation.related_model, way


def _watched(adapter: Adapter) -> Iterator[tuple[type[models.Model], Owner]]:
    for label, path in adapter.watch.items():
        if not problem(adapter, label, path):
            model = apps.get_model(label)
            fields = list(_fields(model, path))
            yield model, _way(_role(adapter, fields[-1].related_model), fields)


def problem(adapter: Adapter, label: str, path: str) -> str:
    """Say why an entry of ``watch`` leads to no owner; an empty string if it does."""
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return f"{label!r} names no model."
    fields = list(_fields(model, path))
    if len(fields) < len(path.split(".")):
        owner = fields[-1].related_model if fields else model
        name = path.split(".")[len(fields)]
        return paths.problem(owner, name) or f"{owner._meta.label}.{name} is no foreign key."
    if not _role(adapter, fields[-1].related_model):
        return f"it ends at {fields[-1].related_model._meta.label}, no cart, order or customer."
    return ""


def _fields(model: type[models.Model], path: str) -> Iterator[Any]:
    """Yield the foreign keys of a path, up to the first name that is none."""
    for name in path.split("."):
        field = paths.field_at(model, name)
        if field is None or not field.concrete or not (field.many_to_one or field.one_to_one):
            return
        yield field
        model = field.related_model


def _role(adapter: Adapter, model: type[models.Model]) -> str:
    for role in ROLES:
        named = adapter.model(role)
        if named is not None and (issubclass(named, model) or issubclass(model, named)):
            return role
    return ""


def _reverse(model: type[models.Model], name: str) -> Any:
    """Return the relation by which rows with a foreign key point at ``model``, or ``None``."""
    relation = paths.field_at(model, name) if name else None
    if relation is None or not relation.auto_created or relation.many_to_many:
        return None
    return relation if getattr(relation, "field", None) is not None else None


def _way(role: str, fields: list[Any]) -> Owner:
    *before, last = fields
    owner = Owner(role, last.attname, f"{last.name}__pk", last.target_field.primary_key)
    for field in reversed(before):
        owner = owner.further(field)
    return owner


def many_to_many(adapter: Adapter) -> Iterator[ManyToMany]:
    """Yield the many-to-many relations of carts, orders and whatever belongs to them.

    Of customers only those that an attribute is read from: a change of the user's
    permissions is nobody's news.
    """
    whole = dict.fromkeys(adapter.model(role) for role in ("cart", "order"))
    for model in (*whole, *parts(adapter)):
        if model is not None:
            yield from _relations(model)
    read = {path.split(".")[0] for path in flat(adapter.customer_attributes)}
    customer = adapter.model("customer")
    if customer is not None and customer not in whole:
        yield from (
            relation for relation in _relations(customer) if _accessor(relation, customer) in read
        )


def _relations(model: type[models.Model]) -> Iterator[ManyToMany]:
    for field in model._meta.many_to_many:
        yield _relation(model, field, is_reverse=False)
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.many_to_many and relation.auto_created:
            yield _relation(model, relation.remote_field, is_reverse=True)


def _relation(model: type[models.Model], field: Any, *, is_reverse: bool) -> ManyToMany:
    names = [field.m2m_field_name(), field.m2m_reverse_field_name()]
    own, other = reversed(names) if is_reverse else names
    return ManyToMany(model, field.remote_field.through, own, other, is_reverse)


def _accessor(relation: ManyToMany, model: type[models.Model]) -> str:
    """Return the name by which a row of the watched model reads the relation."""
    if not relation.is_reverse:
        fields = {field.remote_field.through: field.name for field in model._meta.many_to_many}
        return fields[relation.through]
    for found in model._meta.related_objects:
        if getattr(found, "through", None) is relation.through:
            return found.get_accessor_name() or ""
    return ""
