"""The signal receivers that notice changes of the shop's rows.

They build no payload, run no query but one INSERT, and raise nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from django.db import models
from django.db.models.signals import post_delete, post_init, post_save

from django_talon.conf import conf
from django_talon.models.outbox import Kind
from django_talon.outbox import clock
from django_talon.outbox.marks import owner_rows, rows_for
from django_talon.outbox.rows import Row, insert, losses
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for, adapters

#: Rows that wait for the end of a ``paused`` block that flushes, by database.
_paused: ContextVar[list[tuple[str, Row]] | None] = ContextVar("talon_paused", default=None)
_muted: ContextVar[frozenset[str]] = ContextVar("talon_muted", default=frozenset())

_connected: list[tuple[Any, type[models.Model], str]] = []
_UID = "django_talon"


def _harmless(receiver: Callable[..., None]) -> Callable[..., None]:
    """Count what a receiver raises instead of passing it on to the shop."""

    @wraps(receiver)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            receiver(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  a shop's save never fails because of us
            losses.add(error)

    return guarded


def connect_all() -> None:
    """Watch the models of every registered adapter."""
    for adapter in adapters():
        connect(adapter)


def disconnect_all() -> None:
    """Stop watching."""
    while _connected:
        signal, model, uid = _connected.pop()
        signal.disconnect(sender=model, dispatch_uid=uid)


def connect(adapter: Adapter) -> None:
    """Watch the carts, orders, customers and lines of one adapter."""
    for role in ("cart", "order", "customer"):
        model = adapter.model(role)
        if model is None or not _is_the_one_to_watch(adapter, role):
            continue
        changed = _harmless(partial(_owner_changed, adapter, role))
        for family in _family(model):
            _listen(post_save, family, changed, adapter, role)
            _listen(post_delete, family, changed, adapter, role)
    for model, owners in adapter.parts().items():
        for family in _family(model):
            _connect_part(adapter, family, owners)


def _is_the_one_to_watch(adapter: Adapter, role: str) -> bool:
    """Whether this adapter speaks for the model: the first that names it does."""
    if role == "order" and adapter.is_one_model:
        return False
    label = adapter.label(role)
    return next(other for other in adapters() if other.label(role) == label) is adapter


def _connect_part(
    adapter: Adapter, model: type[models.Model], owners: list[tuple[str, str]]
) -> None:
    remember = _harmless(partial(_remember_owners, [attname for _role, attname in owners]))
    changed = _harmless(partial(_part_changed, adapter, owners))
    _listen(post_init, model, remember, adapter, "part")
    _listen(post_save, model, changed, adapter, "part")
    _listen(post_delete, model, changed, adapter, "part")


def _family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield a model and its subclasses: a proxy's or child's signals name it as the sender."""
    yield model
    for subclass in model.__subclasses__():
        if not subclass._meta.abstract:
            yield from _family(subclass)


def _listen(
    signal: Any, model: type[models.Model], receiver: Any, adapter: Adapter, role: str
) -> None:
    uid = f"{_UID}.{type(adapter).__module__}.{type(adapter).__qualname__}.{role}"
    # weak=False: nothing but the signal holds on to the closure.
    signal.connect(receiver, sender=model, weak=False, dispatch_uid=uid)
    _connected.append((signal, model, uid))


def _is_noise(adapter: Adapter, raw: bool, update_fields: Any) -> bool:
    """Whether a signal tells nothing new: ``loaddata``, or a stamp such as ``last_login``."""
    if raw or not conf.ENABLED:
        return True
    return bool(update_fields) and set(update_fields) <= set(adapter.ignore_fields)


def _owner_changed(
    adapter: Adapter,
    role: str,
    *,
    instance: Any,
    using: str,
    raw: bool = False,
    update_fields: Any = None,
    **_: Any,
) -> None:
    if not _is_noise(adapter, raw, update_fields):
        submit(rows_for(adapter, role, instance), using)


def _remember_owners(attnames: list[str], *, instance: Any, **_: Any) -> None:
    """Keep the owners that a line was loaded with, to tell both when it moves."""
    loaded = instance.__dict__
    loaded["_talon_owners"] = {name: loaded.get(name) for name in attnames}


def _part_changed(
    adapter: Adapter,
    owners: list[tuple[str, str]],
    *,
    instance: Any,
    using: str,
    raw: bool = False,
    update_fields: Any = None,
    **_: Any,
) -> None:
    if _is_noise(adapter, raw, update_fields):
        return
    rows: list[Row] = []
    before = instance.__dict__.get("_talon_owners", {})
    for role, attname in owners:
        rows += owner_rows(adapter, role, attname, instance)
        old = before.get(attname)
        if old is not None and old != instance.__dict__.get(attname):
            key = adapter.key(role, old)
            rows.append(Row(lane=key, aggregate=key))
    _remember_owners([attname for _role, attname in owners], instance=instance)
    submit(rows, using)


def submit(rows: list[Row], using: str) -> None:
    """Insert rows, unless they are marks of a muted cart, or marking is paused."""
    rows = [row for row in rows if row.kind != Kind.MARK or row.aggregate not in _muted.get()]
    waiting = _paused.get()
    if waiting is None:
        insert(rows, using)
    else:
        waiting.extend((using, row) for row in rows)


@contextmanager
def paused(*, flush: bool = False) -> Iterator[None]:
    """Notice no changes within this block, as for a bulk import.

    With ``flush=True`` what changed is noted at the end, once for each cart,
    order and customer; after an exception too, since rows may have been saved.
    Blocks can be nested; an inner one without ``flush`` forgets its own changes.
    """
    outer = _paused.get()
    waiting: list[tuple[str, Row]] = []
    token = _paused.set(waiting)
    try:
        yield
    finally:
        _paused.reset(token)
        if flush:
            _flush(waiting, outer)


def _flush(waiting: list[tuple[str, Row]], outer: list[tuple[str, Row]] | None) -> None:
    once = {(using, row.aggregate, row.kind): (using, row) for using, row in waiting}
    if outer is not None:
        outer.extend(once.values())
        return
    for database in {using for using, _row in once.values()}:
        insert([row for using, row in once.values() if using == database], database)


@contextmanager
def muted(cart: Any) -> Iterator[None]:
    """Note the changes of one cart within this block once, at its end.

    For handlers that write to the cart what Talon.One answered.
    """
    adapter = adapter_for(cart)
    key = adapter.key("cart", cart.pk)
    token = _muted.set(_muted.get() | {key})
    try:
        yield
    finally:
        _muted.reset(token)
        submit([Row(lane=key, aggregate=key)], clock.outbox_alias())
