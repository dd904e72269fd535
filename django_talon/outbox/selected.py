"""Marks of owners that only the database knows: one INSERT ... SELECT, and no other query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import F, Value
from django.db.models.functions import Cast, Concat

from django_talon.models import OutboxRow
from django_talon.outbox import rows, submitting
from django_talon.outbox.rows import Row
from django_talon.shop.adapter import Adapter

T = TypeVar("T")

#: Rows of one INSERT, and keys of one look-up, where many change at once.
CHUNK = 500


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of so many values at a time."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def mark_owners(
    adapter: Adapter,
    role: str,
    queryset: models.QuerySet[Any],
    lookup: str,
    using: str,
    *,
    put: Callable[[Sequence[Row], str], None] = submitting.submit,
) -> None:
    """Mark the carts, orders or customers whose keys ``lookup`` reads from a queryset.

    Memory does not grow with their number. Where the database writes keys in
    another way than Python does (UUIDs on SQLite and MySQL), and while a block
    keeps rows back, the keys are read first, which is a query more.
    """
    is_order = role == "order" and not adapter.is_one_model
    prefix = adapter.key("order" if is_order else "customer" if role == "customer" else "cart", "")
    is_plain = put is not submitting.submit or submitting.is_plain()
    if is_plain and _reads_alike(queryset.model, lookup, using):
        _insert_select(queryset, prefix, lookup, using)
    else:
        keys = queryset.values_list(lookup, flat=True).iterator(CHUNK)
        for chunk in chunks(f"{prefix}{key}" for key in keys if key is not None):
            once = dict.fromkeys(chunk)
            put([Row(lane=key, aggregate=key) for key in once], using)


def _reads_alike(model: type[models.Model], lookup: str, using: str) -> bool:
    """Whether the database makes the same text of a key as Python does."""
    field: Any = None
    for name in lookup.split("__"):
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        model = field.related_model or model
    while field.remote_field is not None:
        field = field.target_field
    if hasattr(field, "from_db_value"):
        return False
    if isinstance(field, models.UUIDField):
        return connections[using].features.has_native_uuid_field
    return isinstance(field, models.IntegerField | models.CharField)


def _insert_select(queryset: models.QuerySet[Any], prefix: str, lookup: str, using: str) -> None:
    text = models.TextField()
    key = Concat(Value(prefix), Cast(F(lookup), text), output_field=text)
    found = queryset.annotate(_talon_pk=F(lookup), _talon_key=key)
    try:
        sql, params = (
            found.values("_talon_pk", "_talon_key").query.get_compiler(using=using).as_sql()
        )
    except EmptyResultSet:
        return
    connection = connections[using]
    quote = connection.ops.quote_name
    given = rows.values(Row(lane="", aggregate=""), connection)
    kept = {name: value for name, value in given.items() if name not in _FOUND}
    now_sql, moments = rows.moments(connection)
    columns = [*_FOUND, *kept, "created_at", "due_at"]
    chosen = [*[quote("_talon_key")] * len(_FOUND), *["%s"] * len(kept), now_sql]
    statement = (
        f"INSERT INTO {quote(OutboxRow._meta.db_table)} ({', '.join(map(quote, columns))})"  # noqa: S608
        f" SELECT {', '.join(chosen)} FROM (SELECT DISTINCT {quote('_talon_key')}"
        f" FROM ({sql}) talon_found WHERE {quote('_talon_pk')} IS NOT NULL) talon_marked"
    )
    rows.insert_sql(statement, [*kept.values(), *moments, *params], using)


#: The columns that the key goes to. ``payload`` of a mark is null.
_FOUND = ("lane", "aggregate")
