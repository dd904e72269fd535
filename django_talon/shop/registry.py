"""The adapters that the shop's ``talon.py`` modules registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from django_talon.shop.adapter import Adapter

A = TypeVar("A", bound=type[Adapter])

TEXTS = (
    *("cart", "cart_customer", "cart_items", "order", "order_cart", "order_customer"),
    *("order_items", "order_state", "order_created"),
    *("cart_updated", "order_updated", "customer_updated"),
)
#: What an adapter names; an erasure, which has a lane of its own, is no row of the shop.
ROLES = ("cart", "order", "customer")
MAPPINGS = (
    "item",
    "order_item",
    "cart_attributes",
    "order_attributes",
    "customer_attributes",
    "watch",
)

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
    """Return the registered adapters that can be used; a system check names the others."""
    return [adapter for adapter in registered() if _is_usable(adapter)]


def _is_usable(adapter: Adapter) -> bool:
    return not any(wrong_types(adapter)) and not adapter.wrong_model()


def wrong_types(adapter: Adapter) -> Iterator[str]:
    """Say which attributes are of a type that nothing can be read from."""
    for name in TEXTS:
        value = getattr(adapter, name)
        if not isinstance(value, str):
            yield f"{name} = {value!r} is not text."
    for name in MAPPINGS:
        is_item = name.endswith("item")
        yield from _wrong_paths(
            name, getattr(adapter, name), may_nest=is_item, may_call=not is_item
        )
    if not isinstance(adapter.order_states, Mapping):
        yield f"order_states = {adapter.order_states!r} is not a dict."
    if not isinstance(adapter.ignore_fields, set | frozenset | list | tuple):
        yield f"ignore_fields = {adapter.ignore_fields!r} is not a set."


def _wrong_paths(
    name: str, mapping: Any, *, may_nest: bool = False, may_call: bool = False
) -> Iterator[str]:
    if not isinstance(mapping, Mapping):
        yield f"{name} = {mapping!r} is not a dict."
        return
    for key, path in mapping.items():
        if may_nest and key == "attributes":
            yield from _wrong_paths(f"{name}['attributes']", path, may_call=True)
        elif not isinstance(path, str) and not (may_call and callable(path)):
            yield f"{name}[{key!r}] = {path!r} is not a path."


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
    for adapter in adapters() if role in ROLES else ():
        if adapter.label(role) == label:
            return adapter
    raise LookupError(
        f"No adapter names the {role} model {label!r} any more. Register it again, or"
        " discard what waits for it."
    )
