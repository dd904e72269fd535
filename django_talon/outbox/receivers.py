"""The signal receivers that notice changes of the shop's rows.

They build no payload, run no query but one INSERT, and raise nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db import models
from django.db.models.signals import (
    m2m_changed,
    post_delete,
    post_init,
    post_save,
    pre_delete,
    pre_save,
)

from django_talon.conf import conf
from django_talon.outbox import submitting
from django_talon.outbox.marks import rows_for
from django_talon.outbox.parts import Part
from django_talon.outbox.relations import Relation
from django_talon.outbox.rows import losses, lost_the_transaction
from django_talon.shop import watching
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters

_connected: list[tuple[Any, type[models.Model], str]] = []
_UID = "django_talon"


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
    """Watch the carts, orders and customers of one adapter, and what belongs to them."""
    for role in watching.ROLES:
        model = adapter.model(role)
        if model is not None and _is_the_one_to_watch(adapter, role):
            changed = partial(_owner_changed, adapter, role)
            for family in _family(model):
                _listen(post_save, family, changed, adapter, role)
                _listen(post_delete, family, changed, adapter, role)
    for model, owners in watching.parts(adapter).items():
        _connect_part(adapter, model, Part(adapter, model, owners))
    for relation in watching.many_to_many(adapter):
        role = f"{relation.model._meta.label}.{relation.own}"
        receiver = Relation(adapter, relation).changed
        _listen(m2m_changed, relation.through, receiver, adapter, role)


def _is_the_one_to_watch(adapter: Adapter, role: str) -> bool:
    """Whether this adapter speaks for the model: the first that names it does."""
    if role == "order" and adapter.is_one_model:
        return False
    label = adapter.label(role)
    return next(other for other in adapters() if other.label(role) == label) is adapter


def _connect_part(adapter: Adapter, model: type[models.Model], part: Part) -> None:
    for family in _family(model):
        for signal, receiver in (
            (pre_save, part.before_save),
            (post_save, part.saved),
            (pre_delete, part.before_delete),
            (post_delete, part.deleted),
        ):
            _listen(signal, family, receiver, adapter, f"part.{model._meta.label}")
        # Every row that is loaded pays for it, so it is called without a guard.
        _connect(post_init, family, part.remember, adapter, f"part.{model._meta.label}")


def _family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield a model, and those whose saves change its rows but name another sender.

    Proxies, models that inherit from it, and the models with tables that it inherits from.
    """
    yield model
    yield from _children(model)
    for parent in model._meta.all_parents:
        if model._meta.pk.remote_field is not None:  # else its key is not the parent's
            yield parent


def _children(model: type[models.Model]) -> Iterator[type[models.Model]]:
    for child in model.__subclasses__():
        if not child._meta.abstract:
            yield child
        yield from _children(child)


def _listen(
    signal: Any,
    model: type[models.Model],
    receiver: Callable[..., None],
    adapter: Adapter,
    role: str,
) -> None:
    _connect(signal, model, _harmless(adapter, receiver), adapter, role)


def _connect(
    signal: Any,
    model: type[models.Model],
    receiver: Callable[..., None],
    adapter: Adapter,
    role: str,
) -> None:
    uid = f"{_UID}.{type(adapter).__module__}.{type(adapter).__qualname__}.{role}"
    # weak=False: nothing but the signal holds on to the closure.
    signal.connect(receiver, sender=model, weak=False, dispatch_uid=uid)
    _connected.append((signal, model, uid))


def _harmless(adapter: Adapter, receiver: Callable[..., None]) -> Callable[..., None]:
    """Leave out what is no news, and count what a receiver raises instead of passing it on."""

    def guarded(*, raw: bool = False, update_fields: Any = None, **told: Any) -> None:
        try:
            if not _is_noise(adapter, raw, update_fields):
                receiver(update_fields=update_fields, **told)
        except Exception as error:
            if lost_the_transaction(error):
                raise
            losses.add(error)

    return guarded


def _is_noise(adapter: Adapter, raw: bool, update_fields: Any) -> bool:
    """Whether a signal tells nothing new: ``loaddata``, or a stamp such as ``last_login``."""
    if raw or not conf.ENABLED or submitting.is_forgetful():
        return True
    return bool(update_fields) and set(update_fields) <= set(adapter.ignore_fields)


def _owner_changed(adapter: Adapter, role: str, *, instance: Any, using: str, **_: Any) -> None:
    submitting.submit(rows_for(adapter, role, instance), using)
