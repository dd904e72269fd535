"""State as plain JSON values and back: by the types that ``state`` declares.

A field that has its default is left out; names are written as the wire writes them.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct, structs

from .errors import SeedError
from .seed_fields import many, number
from .state import Json
from .times import moment

_ABSENT = (MISSING, NODEFAULT)
_UNIONS = (Union, types.UnionType)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class Field:
    """A field of a class of ``state``: its name here and on the wire, its type and default."""

    def __init__(self, name: str, kind: Any, default: Any, make: Callable[[], Any] | None) -> None:
        self.name, self.wire, self.kind = name, _camel(name), kind
        self.default, self.make = default, make
        self.is_required = default is MISSING and make is None

    def is_default(self, value: Any) -> bool:
        """Say whether a value need not be written."""
        return bool(value == (self.make() if self.make else self.default))


@lru_cache(maxsize=64)
def shape(cls: Any) -> list[Field]:
    """Return the fields of a dataclass or struct."""
    hints = get_type_hints(cls)
    declared = structs.fields(cls) if issubclass(cls, Struct) else fields(cls)
    made = []
    for one in declared:
        factory = None if one.default_factory in _ABSENT else one.default_factory
        default = MISSING if one.default in _ABSENT else one.default
        made.append(Field(one.name, hints[one.name], default, factory))
    return made


def is_shaped(kind: Any) -> bool:
    """Say whether a type is a dataclass or struct."""
    return isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, Struct))


def written(at: datetime) -> str:
    """Return RFC 3339 with microseconds, in UTC."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def out(value: Any, skip: frozenset[str] = frozenset()) -> Any:
    """Return a value of ``state`` as JSON."""
    if isinstance(value, datetime):
        return written(value)
    cls: Any = type(value)
    if is_shaped(cls):
        shown = [one for one in shape(cls) if one.name not in skip]
        return {
            one.wire: _out(held, one.kind)
            for one in shown
            if not one.is_default(held := getattr(value, one.name))
        }
    if isinstance(value, list | tuple):
        return [out(entry) for entry in value]
    if isinstance(value, dict):
        return {name: out(held) for name, held in value.items()}
    return value


def _out(value: Any, kind: Any) -> Any:
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, Counter) or not isinstance(value, dict) or kind is Json:
        return dict(value) if isinstance(value, Counter) else out(value)
    keys, values = get_args(kind) or (str, Any)
    if values is type(None):
        return list(value)
    if keys is str:
        return {key: _out(held, values) for key, held in value.items()}
    return [[out(key), _out(held, values)] for key, held in value.items()]


def into(cls: type, value: Any, path: str, given: Json) -> Any:
    """Return an object of a class from JSON; ``given`` are values that JSON need not name."""
    if not isinstance(value, dict):
        raise SeedError(path, "must be an object")
    known = _by_wire(cls)
    if unknown := value.keys() - known.keys():
        raise SeedError(f"{path}.{min(unknown)}", "is not known here")
    made = {known[n].name: read(held, known[n].kind, f"{path}.{n}") for n, held in value.items()}
    for one in known.values():
        if one.name in given:
            made.setdefault(one.name, given[one.name])
        elif one.is_required and one.name not in made:
            raise SeedError(path, f"{one.wire} is missing")
    return cls(**made)


@lru_cache(maxsize=64)
def _by_wire(cls: Hashable) -> dict[str, Field]:
    return {one.wire: one for one in shape(cls)}


def read(held: Any, kind: Any, path: str) -> Any:
    """Return a value of a type from JSON; raise SeedError with its path."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is Json:
        return held
    if is_shaped(kind):
        return into(kind, held, path, {})
    if origin is None:
        return key(held) if kind is Hashable else _into_plain(held, kind, path)
    if origin in _UNIONS:
        return _into_one_of(held, arguments, path)
    into_kind = _into_mapping if origin in {dict, Counter} else _into_many
    return into_kind(held, origin, arguments, path)


def _into_one_of(value: Any, kinds: tuple[Any, ...], path: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    chosen = [kind for kind in kinds if kind is not type(None)]
    if len(chosen) > 1 and isinstance(value, int):
        return value
    return read(value, next((k for k in chosen if k is not int), chosen[0]), path)


def _into_many(value: Any, origin: Any, arguments: tuple[Any, ...], path: str) -> Any:
    rows = many(value, path)
    if origin is tuple and arguments[-1] is not Ellipsis:
        arguments = arguments if len(arguments) == len(rows) else (Any,) * len(rows)
        return tuple(read(v, k, w) for (w, v), k in zip(rows, arguments, strict=True))
    return origin(read(entry, arguments[0], where) for where, entry in rows)


def _into_mapping(value: Any, origin: Any, arguments: tuple[Any, ...], path: str) -> Any:
    if origin is Counter:
        return Counter(value)
    keys, values = arguments
    if values is type(None):
        return dict.fromkeys(entry for _, entry in many(value, path))
    if keys is str:
        if not isinstance(value, dict):
            raise SeedError(path, "must be an object")
        return {key: read(held, values, f"{path}.{key}") for key, held in value.items()}
    pairs = [(where, pair) for where, pair in many(value, path)]
    return {key(pair[0]): read(pair[1], values, where) for where, pair in pairs}


def key(held: Any) -> Hashable:
    """Return a key of a mapping from JSON: lists are tuples."""
    if isinstance(held, list):
        return tuple(key(entry) for entry in held)
    plain: Hashable = held
    return plain


def _into_plain(value: Any, kind: Any, path: str) -> Any:
    if kind is datetime:
        return moment(value, path)
    if kind is Decimal:
        is_debt = isinstance(value, int | Decimal) and value < 0
        return -number(-value, path) if is_debt else number(value, path)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SeedError(path, f"must be of the type {kind.__name__}")
    return value
