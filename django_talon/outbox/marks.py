"""What a shop's transaction leaves behind: one narrow INSERT for each change.

No upsert, no unique key, nothing to wait for. Whatever goes wrong here is
counted and logged, and never reaches the shop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from django.db import DatabaseError, connections, models, transaction
from django.utils import timezone

from django_talon.conf import DEFAULT_APPLICATION, conf
from django_talon.models import CodeEntry, OutboxRow
from django_talon.models.outbox import SCHEMA, Kind
from django_talon.outbox import clock, wake
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for, adapters
from django_talon.shop.values import attribute

logger = logging.getLogger("django_talon")

CHUNK = 500
_COLUMNS = (
    "application",
    "lane",
    "kind",
    "aggregate",
    "payload",
    "uid",
    "priority",
    "schema",
    "claims",
    "attempts",
)
_SAVEPOINT = "talon_mark"


@dataclass(frozen=True)
class Row:
    """One outbox row to insert."""

    lane: str
    aggregate: str
    kind: str = Kind.MARK
    payload: Mapping[str, Any] | None = None
    priority: int = 0
    #: Empty where the router has to be asked; the worker does that.
    application: str = ""
    uid: UUID = field(default_factory=uuid4)


class Losses:
    """Counts the marks that could not be written, and logs at most once a minute."""

    def __init__(self) -> None:
        self.count = 0
        self._logged_at = -math.inf

    def add(self, error: Exception) -> None:
        self.count += 1
        if time.monotonic() - self._logged_at < 60:
            return
        self._logged_at = time.monotonic()
        logger.error(
            "django-talon could not note a change (%s); %d so far in this process. The shop"
            " went on. talon.mark() repairs what was missed.",
            type(error).__name__,
            self.count,
        )


losses = Losses()


def insert(rows: Sequence[Row], using: str) -> None:
    """Write rows into the transaction that is open on ``using``, and wake a worker after it.

    Raises nothing: a database error is counted in `losses`, and the shop's
    transaction stays usable.
    """
    if not rows or not conf.ENABLED or connections[using].needs_rollback:
        return
    try:
        _execute(rows, using)
        _wake_after_commit(using)
    except Exception as error:  # noqa: BLE001  a shop's save never fails because of us
        losses.add(error)


def _execute(rows: Sequence[Row], using: str) -> None:
    connection = connections[using]
    statement, params = _statement(rows, connection)
    in_transaction = connection.in_atomic_block or not connection.get_autocommit()
    if connection.vendor != "postgresql" or not in_transaction:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
    else:
        _guarded(connection, statement, params)


def _guarded(connection: Any, statement: str, params: list[Any]) -> None:
    """Insert behind a savepoint: a failed statement would poison the shop's transaction."""
    steps = [f"SAVEPOINT {_SAVEPOINT}", statement, f"RELEASE SAVEPOINT {_SAVEPOINT}"]
    one_trip = not connection.settings_dict["OPTIONS"].get("server_side_binding")
    with connection.cursor() as cursor:
        try:
            if one_trip:
                cursor.execute("; ".join(steps), params)
            else:
                for step in steps:
                    cursor.execute(step, params if step is statement else None)
        except Exception:
            cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise


def _statement(rows: Sequence[Row], connection: Any) -> tuple[str, list[Any]]:
    now_sql, params = _moments(connection)
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in (*_COLUMNS, "created_at", "due_at"))
    values = "({}, {})".format(", ".join(["%s"] * len(_COLUMNS)), now_sql)
    table = quote(OutboxRow._meta.db_table)
    every = [value for row in rows for value in (*_values(row, connection), *params)]
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([values] * len(rows))}", every  # noqa: S608


def _moments(connection: Any) -> tuple[str, list[Any]]:
    """Return SQL and parameters of ``created_at`` and ``due_at``."""
    found = clock.sql(connection.vendor)
    if found:
        return f"{found[0]}, {found[1]}", [conf.DEBOUNCE]
    adapt = connection.ops.adapt_datetimefield_value
    due = timezone.now() + timedelta(seconds=conf.DEBOUNCE)
    return "%s, %s", [adapt(timezone.now()), adapt(due)]


def _values(row: Row, connection: Any) -> list[Any]:
    chosen = {
        "application": row.application or (DEFAULT_APPLICATION if conf.ROUTER is None else ""),
        "lane": row.lane,
        "kind": str(row.kind),
        "aggregate": row.aggregate,
        "payload": row.payload,
        "uid": row.uid,
        "priority": row.priority,
        "schema": SCHEMA,
        "claims": 0,
        "attempts": 0,
    }
    fields = {field.name: field for field in OutboxRow._meta.concrete_fields}
    return [fields[name].get_db_prep_save(chosen[name], connection) for name in _COLUMNS]


def _wake_after_commit(using: str) -> None:
    connection = connections[using]
    if not connection.get_autocommit() and not connection.in_atomic_block:
        return  # manual transactions know no on_commit; the sweep finds the row
    transaction.on_commit(wake.ring, using=using, robust=True)


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
    """Say that this order came of this cart, where no field of the order says so."""
    adapter = adapter_for(cart)
    [row] = order_rows(adapter, order)
    lane = adapter.key("cart", cart.pk)
    insert([Row(lane=lane, aggregate=row.aggregate, kind=row.kind)], clock.outbox_alias())


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
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    return value


def enqueue(rows: Iterable[Row]) -> None:
    """Insert rows for workers and operators themselves: erasures, replays and repairs.

    Unlike `insert` it raises a database error, and also works while ``ENABLED``
    is off: what an operator asked for waits, it is not dropped.
    """
    using = clock.outbox_alias()
    _execute(list(rows), using)
    _wake_after_commit(using)
