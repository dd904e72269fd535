"""Through the shop's tables in small pages: constant memory, whatever their size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from django.db import models
from django.db.models import Q

from django_talon.outbox import clock
from django_talon.shop import paths
from django_talon.shop.adapter import Adapter, created_field, flat
from django_talon.shop.registry import adapters

#: Rows of one page, where each row costs queries of its own.
PAGE = 200


@dataclass(frozen=True)
class Target:
    """One model of the shop to walk through, and its adapter."""

    adapter: Adapter
    #: ``"cart"``, ``"order"`` or ``"customer"``.
    role: str

    @cached_property
    def model(self) -> type[models.Model]:
        return cast(type[models.Model], self.adapter.model(self.role))

    @cached_property
    def name(self) -> str:
        """Name the place in a stored position, such as ``cart:shop.cart``."""
        return f"{self.role}:{self.adapter.label(self.role)}"

    @property
    def updated(self) -> str:
        """Name of the field that changes with the row, if the adapter names one."""
        return _moment_field(self.model, getattr(self.adapter, f"{self.role}_updated"))

    @property
    def created(self) -> str:
        """Name of the field that says when a row was made, if there is one."""
        named = self.adapter.order_created if self.role == "order" else ""
        return _moment_field(self.model, named or created_field(self.model))

    def key(self, pk: Any) -> str:
        return f"{self.name}:{pk}"

    def made_at(self, instance: Any) -> datetime | None:
        """Return when a row was made, or ``None`` where the shop does not say."""
        if self.role == "order":
            return self.adapter.created(instance)
        value = getattr(instance, self.created) if self.created else None
        return value if isinstance(value, datetime) else None


@dataclass(frozen=True)
class Window:
    """Rows changed, or where the shop does not say made, in a span of time."""

    since: datetime | None = None
    until: datetime | None = None

    def of(self, target: Target) -> Q:
        field = target.updated or target.created
        chosen = Q()
        if field and self.since:
            chosen &= Q(**{f"{field}__gte": self.since})
        if field and self.until:
            chosen &= Q(**{f"{field}__lt": self.until})
        return chosen


def _moment_field(model: type[models.Model], name: str) -> str:
    field = paths.field_at(model, name) if name else None
    return name if isinstance(field, models.DateTimeField) else ""


def targets(*roles: str) -> list[Target]:
    """Return the models of these roles, each once: the first adapter that names it speaks for it.

    A shop whose order is its cart has no orders beside its carts.
    """
    found: dict[tuple[str, str], Target] = {}
    for role in roles:
        for adapter in adapters():
            if adapter.model(role) is None or (role == "order" and adapter.is_one_model):
                continue
            found.setdefault((role, adapter.label(role)), Target(adapter, role))
    return list(found.values())


def rows(target: Target) -> models.QuerySet[Any]:
    """Return all rows of a model, with what rendering them needs of other tables."""
    adapter, model = target.adapter, target.model
    wanted = list(flat(getattr(adapter, f"{target.role}_attributes")))
    if target.role != "customer":
        customer = (adapter.order_customer if target.role == "order" else "") or (
            adapter.cart_customer
        )
        wanted += [f"{customer}.pk"] if customer else []
    found = model._base_manager.using(clock.outbox_alias())
    joins = paths.joins(model, wanted)
    return found.select_related(*joins) if joins else found.all()


def pages(
    target: Target,
    *,
    after: str = "",
    window: Window | None = None,
    size: int = PAGE,
    only_keys: bool = False,
) -> Iterator[list[Any]]:
    """Yield the rows of a model by primary key, from behind ``after`` on.

    With ``only_keys`` the other columns are read when somebody asks for them.
    """
    everything = target.model._base_manager.using(clock.outbox_alias()).only("pk")
    found = (
        (everything if only_keys else rows(target))
        .filter((window or Window()).of(target))
        .order_by("pk")
    )
    while page := list(_behind(found, target.model, after)[:size]):
        yield page
        after = str(page[-1].pk)


def _behind(
    found: models.QuerySet[Any], model: type[models.Model], after: str
) -> models.QuerySet[Any]:
    return found.filter(pk__gt=model._meta.pk.to_python(after)) if after else found


def changed(target: Target, since: datetime, after: str, size: int) -> list[Any]:
    """Return rows changed at or after a moment, oldest change first; ``after`` is a key at it."""
    field = target.updated
    later = Q(**{f"{field}__gt": since})
    same = Q(**{field: since})
    if after:
        same &= Q(pk__gt=target.model._meta.pk.to_python(after))
    return list(rows(target).filter(later | same).order_by(field, "pk")[:size])


def count(target: Target, window: Window | None = None) -> int:
    """Return how many rows there are to walk through."""
    return rows(target).filter((window or Window()).of(target)).order_by().count()
