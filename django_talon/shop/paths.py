"""Dotted paths from a shop row to a value: ``"product.brand.name"``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models


def resolve(instance: Any, path: str) -> Any:
    """Follow ``path`` through fields, properties, dict keys and methods without arguments.

    A missing row or key on the way gives ``None``; a name that does not exist
    raises `ValueError`.
    """
    value = instance
    for name in path.split("."):
        if value is None:
            return None
        value = _step(value, name)
    return value


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    try:
        found = getattr(value, name)
    except ObjectDoesNotExist:
        return None
    except AttributeError as error:
        raise ValueError(f"{type(value).__name__} has no {name!r}") from error
    if callable(found) and not isinstance(found, models.Manager):
        return found()
    return found


def field_at(model: type[models.Model], name: str) -> Any:
    """Return the field, forward or reverse, that ``name`` reads, or ``None``."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return _reverse(model, name)
    # A query may say ``cart`` where Python says ``cart_set``: the latter is read here.
    is_reverse = found.auto_created and not found.concrete
    return _reverse(model, name) if is_reverse else found


def model_at(model: type[models.Model], path: str) -> type[models.Model] | None:
    """Return the model that ``path`` leads to, or ``None`` where fields do not tell."""
    for name in path.split("."):
        found = getattr(field_at(model, name), "related_model", None)
        if found is None:
            return None
        model = found
    return model


def _reverse(model: type[models.Model], name: str) -> Any:
    for relation in model._meta.related_objects:
        if relation.get_accessor_name() == name:
            return relation
    return None


def problem(model: type[models.Model], path: str) -> str:
    """Say why ``path`` cannot be read from ``model``; an empty string if it can.

    Behind a property or method nothing is known, so the rest is believed.
    """
    for name in path.split("."):
        found = field_at(model, name)
        if found is None:
            return "" if hasattr(model, name) else _no_such(model, name)
        if not found.is_relation:
            return ""
        if found.related_model is None:
            return ""
        model = found.related_model
    return ""


def _no_such(model: type[models.Model], name: str) -> str:
    nearest = difflib.get_close_matches(name, names(model), n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"{model._meta.label} has no {name!r}.{hint}"


def names(model: type[models.Model]) -> list[str]:
    """Return every name that a path may read from ``model``."""
    fields = [field.name for field in model._meta.concrete_fields]
    fields += [field.name for field in model._meta.private_fields]
    reverse = [relation.get_accessor_name() for relation in model._meta.related_objects]
    own = [name for name in vars(model) if not name.startswith("_")]
    return sorted({name for name in [*fields, *reverse, *own] if name})


def joins(model: type[models.Model], paths: Iterable[str]) -> list[str]:
    """Return the foreign keys to follow with ``select_related`` for these paths."""
    return sorted({join for path in paths if (join := _join(model, path))})


def _join(model: type[models.Model], path: str) -> str:
    followed: list[str] = []
    for name in path.split(".")[:-1]:
        found = field_at(model, name)
        if found is None or not (found.many_to_one or found.one_to_one):
            break
        if found.related_model is None:
            break
        followed.append(name)
        model = found.related_model
    return "__".join(followed)
