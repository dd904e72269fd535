"""Which rows a change puts into the outbox, and the doors by which shop code says so."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import DatabaseError, models, transaction

from django_talon.models import CodeEntry
from django_talon.models.outbox import Kind
from django_talon.outbox import clock
from django_talon.outbox.rows import Row, insert, losses
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for, adapters
from django_talon.shop.values import attribute

#: Rows of one INSERT, where many change at once.
CHUNK = 500


def rows_for(adapter: Adapter, role: str, instance: Any) -> list[Row]:
    """Return what a change of a cart, an order or a customer puts into the outbox."""
    if role == "order" or (role == "cart" and adapter.is_one_model):
        return order_rows(adapter, instance)
    key = adapter.key(role, instance.pk)
    return [Row(lane=key, aggregate=key)]


def order_rows(adapter: Adapter, order: Any) -> list[Row]:
    """Return a fact if the order is closed or cancelled, otherwise a mark."""
    state = adapter.state(order)
    if adapter.is_one_model:
        key = adapter.key("cart", order.pk)
        lane = key
    else:
        key = adapter.key("order", order.pk)
        cart_pk = adapter.cart_pk_of(order)
        lane = key if cart_pk is None else adapter.key("cart", cart_pk)
    kind = Kind.MARK if state == "open" else Kind(state)
    return [Row(lane=lane, aggregate=key, kind=kind)]


def mark(what: models.Model | models.QuerySet[Any]) -> None:
    """Say that carts, orders, customers or their lines may have changed.

    For what no signal tells: ``queryset.update()``, ``bulk_create()``, raw SQL.
    Give a row or a queryset. Costs one INSERT for each 500 rows, within the
    transaction that is open. Raises `LookupError` for a model that no adapter
    names.
    """
    if isinstance(what, models.QuerySet):
        _mark_queryset(what)
    else:
        # Not the database it was read from, which may be a replica.
        insert(_rows_of(what), clock.outbox_alias())


def _mark_queryset(queryset: models.QuerySet[Any]) -> None:
    rows = (row for instance in queryset.iterator(CHUNK) for row in _rows_of(instance))
    seen: set[tuple[str, str]] = set()
    while chunk := list(islice(rows, CHUNK)):
        fresh = [row for row in chunk if _first_time(row, seen)]
        insert(fresh, clock.outbox_alias())


def _first_time(row: Row, seen: set[tuple[str, str]]) -> bool:
    name = (row.aggregate, row.kind)
    if name in seen:
        return False
    seen.add(name)
    return True


def _rows_of(instance: models.Model) -> list[Row]:
    for adapter in adapters():
        role = adapter.role_of(instance)
        if role:
            return rows_for(adapter, role, instance)
        owners = adapter.owners(type(instance))
        if owners:
            return [
                row for role, name in owners for row in owner_rows(adapter, role, name, instance)
            ]
    adapter_for(instance)  # raises the LookupError that says what to do
    return []


def owner_rows(adapter: Adapter, role: str, attname: str, part: Any) -> list[Row]:
    """Return the rows for the owner of a line or of another part, without a query."""
    pk = part.__dict__.get(attname)
    if pk is None:
        return []
    if role == "order" and not adapter.is_one_model:
        relation = next(f.name for f in part._meta.concrete_fields if f.attname == attname)
        order = part._state.fields_cache.get(relation)
        if order is not None:
            lane = order_rows(adapter, order)[0].lane
            return [Row(lane=lane, aggregate=adapter.key("order", pk))]
    key = adapter.key("cart" if adapter.is_one_model and role == "order" else role, pk)
    return [Row(lane=key, aggregate=key)]


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
    changes of its cart or customer. Raises `ValueError` if neither is given.
    """
    owner = cart if cart is not None else customer
    if owner is None:
        raise ValueError(
            f"track({event_type!r}) was given neither cart nor customer. Talon.One needs to"
            " know whose event it is: pass customer=... or cart=..."
        )
    adapter = adapter_for(owner)
    payload = {
        "type": event_type,
        "attributes": {name: _json(attribute(value)) for name, value in (attributes or {}).items()},
        "profile_id": adapter.profile_id(customer) if customer is not None else "",
    }
    key = adapter.key("cart" if cart is not None else "customer", owner.pk)
    row = Row(lane=key, aggregate=key, kind=Kind.EVENT, payload=payload)
    insert([row], clock.outbox_alias())


def _json(value: Any) -> Any:
    """Return a value that a JSON column takes; amounts as text would change their type."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    return value
