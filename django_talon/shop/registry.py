"""The adapters that the shop's ``talon.py`` modules registered."""

from __future__ import annotations

from typing import Any, TypeVar

from django_talon.shop.adapter import Adapter

A = TypeVar("A", bound=type[Adapter])

_adapters: dict[str, Adapter] = {}


def register(adapter: A) -> A:
    """Use this adapter; a class decorator for the shop's ``talon.py``.

    Registering a class of the same module and name again replaces the first.
    """
    _adapters[f"{adapter.__module__}.{adapter.__qualname__}"] = adapter()
    return adapter


def unregister(adapter: type[Adapter]) -> None:
    """Forget an adapter (for tests)."""
    _adapters.pop(f"{adapter.__module__}.{adapter.__qualname__}", None)


def registered() -> list[Adapter]:
    """Return every registered adapter, oldest first."""
    return list(_adapters.values())


def adapters() -> list[Adapter]:
    """Return the registered adapters whose models exist; a system check names the others."""
    return [adapter for adapter in registered() if not adapter.wrong_model()]


def adapter_for(instance: Any) -> Adapter:
    """Return the adapter whose cart, order or customer this row is.

    Raises `LookupError` if no adapter names its model.
    """
    for adapter in adapters():
        if adapter.role_of(instance):
            return adapter
    raise LookupError(
        f"No adapter names {instance._meta.label}. Say in the shop's talon.py which of"
        " its models are carts, orders and customers."
    )


def adapter_of_key(key: str) -> Adapter:
    """Return the adapter that an aggregate key such as ``cart:shop.cart:5`` belongs to.

    Raises `LookupError` if the adapter has been removed.
    """
    role, label, _pk = key.split(":", 2)
    for adapter in adapters():
        if adapter.label(role) == label:
            return adapter
    raise LookupError(
        f"No adapter names the {role} model {label!r} any more. Register it again, or"
        " discard what waits for it."
    )
