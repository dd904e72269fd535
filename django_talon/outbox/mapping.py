"""From a pointer in Talon.One's complaint to the mapping entry of the shop that caused it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django_talon.models import DeadLetter
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_of_key

_SESSIONS = {"updateCustomerSession", "updateCustomerSessionV2"}
_PROFILES = {"updateCustomerProfile", "updateCustomerProfileV2", "updateCustomerProfilesV2"}
_EVENTS = {"trackEvent", "trackEventV2", "trackEventV3"}


@dataclass(frozen=True)
class Complaint:
    """One thing that Talon.One did not like, and where in the shop it comes from."""

    pointer: str
    title: str
    #: Such as ``customer_attributes['tier'] = 'profile.tier'``; empty if unknown.
    entry: str = ""
    #: Such as ``shop/talon.py, class Shop``; empty if unknown.
    place: str = ""

    def __str__(self) -> str:
        said = f"{self.pointer} {self.title}".strip()
        if not self.entry:
            return said
        return f"{said}: {self.entry} ({self.place})" if self.place else f"{said}: {self.entry}"


def complaints(letter: DeadLetter) -> list[Complaint]:
    """Return what Talon.One complained about in a dead letter; no queries, no values."""
    return [
        Complaint(str(pointer), str(title), *_origin(letter, str(pointer)))
        for pointer, title in letter.pointers
    ]


def _origin(letter: DeadLetter, pointer: str) -> tuple[str, str]:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if not parts:
        return "", ""
    if letter.operation in _EVENTS:
        return _of_event(letter, parts), ""
    try:
        adapter = adapter_of_key(letter.aggregate)
    except (LookupError, ValueError):
        return "", ""
    role = letter.aggregate.split(":", 1)[0]
    entry = ""
    if letter.operation in _PROFILES:
        entry = _of_profile(adapter, parts)
    elif letter.operation in _SESSIONS:
        entry = _of_session(adapter, role, parts)
    return entry, _place(adapter) if entry else ""


def _of_event(letter: DeadLetter, parts: list[str]) -> str:
    kind = (letter.payload or {}).get("type", "...")
    match parts:
        case ["attributes", name, *_]:
            return f"talon.track({kind!r}, {{{name!r}: ...}})"
        case ["type", *_]:
            return f"talon.track({kind!r}, ...)"
    return ""


def _of_profile(adapter: Adapter, parts: list[str]) -> str:
    match parts:
        case ["attributes", name, *_]:
            return _entry("customer_attributes", adapter.customer_attributes, name)
    return ""


def _of_session(adapter: Adapter, role: str, parts: list[str]) -> str:
    is_order = role == "order" and not adapter.is_one_model
    parts = parts[1:] if parts[0] == "customerSession" else parts
    entry = ""
    match parts:
        case ["attributes", name, *_]:
            mapping = "order_attributes" if is_order else "cart_attributes"
            entry = _entry(mapping, getattr(adapter, mapping), name)
        case ["cartItems", *rest]:
            entry = _of_line(adapter, is_order, rest[1:])
        case ["additionalCosts", name, *_]:
            entry = f"additional_costs() -> {name!r}"
        case ["profileId", *_]:
            entry = "profile_id()"
        case ["state", *_]:
            entry = f"order_states = {dict(adapter.order_states)!r}"
        case ["couponCodes" | "coupon", *_]:
            entry = "talon.evaluate(enter=...)"
    return entry


def _of_line(adapter: Adapter, is_order: bool, parts: list[str]) -> str:
    lines = "order_item" if is_order and adapter.order_item else "item"
    mapping = getattr(adapter, lines)
    match parts:
        case ["attributes", name, *_]:
            return _entry(f"{lines}['attributes']", mapping.get("attributes", {}), name)
        case [name, *_]:
            return _entry(lines, mapping, name)
    relation = "order_items" if is_order else "cart_items"
    return f"{relation} = {getattr(adapter, relation)!r}"


def _entry(mapping: str, entries: Any, name: str) -> str:
    path = entries.get(name)
    if path is None:
        return f"{mapping}[{name!r}] (by an overridden method)"
    return f"{mapping}[{name!r}] = {path!r}"


def _place(adapter: Adapter) -> str:
    """Return file and class of an adapter, the file as it is imported: ``shop/talon.py``."""
    module = type(adapter).__module__
    path = getattr(sys.modules.get(module), "__file__", None) or module
    depth = module.count(".") + 1
    return f"{'/'.join(Path(path).parts[-depth:])}, class {type(adapter).__qualname__}"
