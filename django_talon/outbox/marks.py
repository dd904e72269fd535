"""Which rows a change puts into the outbox, and the doors by which shop code says so."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import DatabaseError, models, transaction

from django_talon.client.hushing import places
from django_talon.conf import TalonConfigurationError, route
from django_talon.models import CodeEntry
from django_talon.models.outbox import Kind
from django_talon.outbox import clock, selected
from django_talon.outbox.rows import Row, insert, losses
from django_talon.outbox.sessions import checked_profile_id
from django_talon.shop import watching
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for, adapters
from django_talon.shop.values import attribute, text
from django_talon.shop.watching import Owner

logger = logging.getLogger("django_talon")


def rows_for(adapter: Adapter, role: str, instance: Any) -> list[Row]:
    """Return what a change of a cart, an order or a customer puts into the outbox."""
    if role == "order" or (role == "cart" and adapter.is_one_model):
        return order_rows(adapter, instance)
    key = adapter.key(role, instance.pk)
    return [Row(lane=key, aggregate=key)]


def order_rows(adapter: Adapter, order: Any) -> list[Row]:
    """Return a fact if the order is closed or cancelled, otherwise a mark."""
    state = _state(adapter, order)
    if adapter.is_one_model:
        key = adapter.key("cart", order.pk)
        lane = key
    else:
        key = adapter.key("order", order.pk)
        cart_pk = adapter.cart_pk_of(order)
        lane = key if cart_pk is None else adapter.key("cart", cart_pk)
    kind = Kind.MARK if state == "open" else Kind(state)
    return [Row(lane=lane, aggregate=key, kind=kind)]


def _state(adapter: Adapter, order: Any) -> str:
    """Return the state of an order, "open" where it cannot be told: the worker looks again."""
    try:
        return adapter.state(order)
    except Exception as error:  # noqa: BLE001  shop code: the worker asks it again
        logger.debug(
            "The state of an order could not be told at its save: %s (%s).",
            type(error).__name__,
            " > ".join(places(error)),
        )
        return "open"


def mark(what: models.Model | models.QuerySet[Any]) -> None:
    """Say that carts, orders, customers or their lines may have changed.

    For what no signal tells: ``queryset.update()``, ``bulk_create()``, raw SQL.
    Give a row or a queryset. Within the transaction that is open, a queryset of
    carts, customers or lines costs one INSERT ... SELECT however many they are;
    one of orders is read, 500 at a time. ``paused`` does not hold it back.
    Raises `LookupError` for a model that no adapter names or watches.
    """
    if isinstance(what, models.QuerySet):
        _mark_queryset(what)
    else:
        # Not the database it was read from, which may be a replica.
        _mark_instance(what)


def _mark_instance(instance: models.Model) -> None:
    adapter, role = _adapter_of(type(instance))
    if role:
        insert(rows_for(adapter, role, instance), clock.outbox_alias())
    else:
        _mark_queryset(type(instance)._base_manager.filter(pk=instance.pk))


def _mark_queryset(queryset: models.QuerySet[Any]) -> None:
    """Mark what a queryset finds, as the outbox's database has it and not a replica."""
    outbox = clock.outbox_alias()
    adapter, role = _adapter_of(queryset.model)
    if queryset.query.combinator or queryset._db not in (None, outbox):  # type: ignore[attr-defined]
        everything = queryset.model._base_manager.using(outbox)
        for pks in selected.chunks(queryset.values_list("pk", flat=True).iterator(selected.CHUNK)):
            _mark_queryset(everything.filter(pk__in=pks))
    elif role == "order" or (role == "cart" and adapter.is_one_model):
        # Whether an order is closed is not for the database to say.
        for orders in selected.chunks(queryset.using(outbox).iterator(selected.CHUNK)):
            insert([row for order in orders for row in order_rows(adapter, order)], outbox)
    else:
        ways = [(role, "pk")] if role else _ways(adapter, queryset.model)
        for owner, lookup in ways:
            found = queryset.using(outbox)
            selected.mark_owners(adapter, owner, found, lookup, outbox, put=insert)


def _ways(adapter: Adapter, model: type[models.Model]) -> list[tuple[str, str]]:
    return [(owner.role, owner.lookup) for owner in watching.owners(adapter, model)]


def _adapter_of(model: type[models.Model]) -> tuple[Adapter, str]:
    """Return the adapter that watches a model, and the role if it is no part of another."""
    for adapter in adapters():
        role = adapter.role_of(model())
        if role or watching.owners(adapter, model):
            return adapter, role
    return adapter_for(model()), ""  # raises the LookupError that says what to do


def owner_rows(adapter: Adapter, owner: Owner, part: Any) -> list[Row]:
    """Return the rows for the owner that a column of a line or other part names, if any."""
    pk = part.__dict__.get(owner.attname)
    if pk is None:
        return []
    if may_name_a_lane(adapter, owner):
        relation = next(f.name for f in part._meta.concrete_fields if f.attname == owner.attname)
        order = part._state.fields_cache.get(relation)
        if order is not None:
            lane = order_rows(adapter, order)[0].lane
            return [Row(lane=lane, aggregate=adapter.key("order", pk))]
    return [pk_row(adapter, owner.role, pk)]


def may_name_a_lane(adapter: Adapter, owner: Owner) -> bool:
    """Whether a line may have its order at hand, and with it the lane of the order's cart."""
    return owner.role == "order" and not adapter.is_one_model


def pk_row(adapter: Adapter, role: str, pk: Any) -> Row:
    """Return the mark of a cart, an order or a customer of which only the key is known."""
    key = adapter.key("cart" if adapter.is_one_model and role == "order" else role, pk)
    return Row(lane=key, aggregate=key)


def link(cart: Any, order: Any) -> None:
    """Say that this order came of this cart, where no field of the order says so.

    Call it right after the order and its lines were saved: it has to arrive
    with them, before a session of its own is made for the order.
    """
    adapter = adapter_for(cart)
    [row] = order_rows(adapter, order)
    key = adapter.key("cart", cart.pk)
    # In both lanes: whichever is served first has to know.
    links = [
        Row(lane=lane, aggregate=row.aggregate, kind=Kind.LINK, payload={"cart": key})
        for lane in dict.fromkeys([row.lane, key])
    ]
    insert([*links, row], clock.outbox_alias())


def merged(source: Any, target: Any) -> None:
    """Say that one cart went up in another, as at login: entered codes move along."""
    adapter = adapter_for(target)
    using = clock.outbox_alias()
    keys = [adapter.key("cart", cart.pk) for cart in (source, target)]
    try:
        with transaction.atomic(using):
            CodeEntry.objects.using(using).filter(cart=keys[0]).update(cart=keys[1])
    except DatabaseError as error:
        losses.add(error)
    # The surviving cart first: the customer keeps the codes before the dead cart lets go.
    insert([Row(lane=key, aggregate=key) for key in reversed(keys)], using)


def track(
    event_type: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    customer: Any = None,
    cart: Any = None,
) -> None:
    """Tell Talon.One that something happened: a custom event.

    It is frozen now, sent once the transaction commits, in order with the other
    changes of its cart or customer. Raises `ValueError` if neither is given, or an
    attribute has a value that cannot be sent. Of a customer who may not be sent
    nothing is told; their cart's event goes with the cart's guest.
    """
    owner = cart if cart is not None else customer
    if owner is None:
        raise ValueError(
            f"track({event_type!r}) was given neither cart nor customer. Talon.One needs to"
            " know whose event it is: pass customer=... or cart=..."
        )
    adapter = adapter_for(owner)
    is_nobody = customer is None or not adapter.may_be_sent(customer)
    payload = {
        "type": text(event_type),
        "attributes": {name: _frozen(name, value) for name, value in (attributes or {}).items()},
        "profile_id": "" if is_nobody else checked_profile_id(adapter, customer),
    }
    if is_nobody and cart is None:
        return
    key = adapter.key("cart" if cart is not None else "customer", owner.pk)
    row = Row(
        lane=key, aggregate=key, kind=Kind.EVENT, payload=payload, application=_alias_of(owner)
    )
    insert([row], clock.outbox_alias())


def _alias_of(owner: Any) -> str:
    """Return the Application of an event's owner; empty where the worker has to ask again."""
    try:
        return route(owner)
    except TalonConfigurationError:
        return ""


def _frozen(name: str, value: Any) -> Any:
    try:
        return _json(attribute(value))
    except ValueError as error:
        raise ValueError(f"track(): attribute {name!r} {error}") from None


def _json(value: Any) -> Any:
    """Return a value that a JSON column takes; amounts as text would change their type."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    return value
