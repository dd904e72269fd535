"""
What every request and answer type has in common, and how they meet JSON.

Python names and wire names meet here: ``coupon_codes`` is ``couponCodes`` by
the ``rename`` rule below, and the few irregular ones say so at their field.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")

#: A field that may be left out (`UNSET`), null (``None``) or have a value.
#: Both of the former are falsy, so ``if session.updated:`` is enough to read it.
Opt = Union[T, None, UnsetType]  # noqa: UP007 - an alias with a type variable

JSON = Mapping[str, Any]

_UNKNOWN = " unknown"

_encoder = msgspec.json.Encoder(decimal_format="number")


class Model(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    dict=True,
    forbid_unknown_fields=True,
):
    """The base of all request and answer types: immutable, keywords only.

    Its ``repr`` names the fields that are present and none of their values,
    for they may be personal data.
    """

    @property
    def unknown(self) -> JSON:
        """The fields of an answer this version does not know, by their wire names.

        They are for reading: `encode` leaves them out, and two values that
        differ in nothing else are equal.
        """
        found: JSON = self.__dict__.get(_UNKNOWN, {})
        return found

    def __repr__(self) -> str:
        names = (n for n in self.__struct_fields__ if getattr(self, n) is not UNSET)
        return f"<{type(self).__name__}: {', '.join(names)}>"


def encode(value: Any) -> bytes:
    """Return the JSON of a struct, or of plain data that may contain structs.

    Decimals become JSON numbers with the very same digits. Raises ValueError
    or TypeError for what JSON cannot hold (NaN, infinity, lone surrogates, sets).
    """
    data = _encoder.encode(value)
    if b"NaN" in data or b"Infinity" in data:
        _check(data)
    return data


def _check(data: bytes) -> None:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise ValueError("NaN and infinity are not JSON numbers") from None


def decode_plain(data: bytes | msgspec.Raw) -> Any:
    """Return JSON as plain data: whole numbers as int, all others as Decimal."""
    return decoder(Any).decode(data)


def decode(data: bytes | msgspec.Raw, kind: Any) -> Any:
    """Return JSON as an instance of `kind`, making the best of what does not fit.

    A nested value of an unexpected type is kept as plain data, a nested required
    field that is missing is `UNSET`, and what `kind` does not know is in its
    `unknown`: the decoders refuse it only to send us here. Raises `msgspec.DecodeError` if
    the data is not JSON, not an object, or lacks a field `kind` requires.
    """
    try:
        return decoder(kind).decode(data)
    except msgspec.ValidationError:
        found = decode_plain(data)
        missing = _required(kind) - (found.keys() if isinstance(found, dict) else set())
        if missing or not isinstance(found, dict):
            raise
    value = salvage(data, kind)
    if not _usable(value, kind):
        raise msgspec.ValidationError(f"no usable {kind.__name__}")
    return value


@lru_cache(maxsize=256)
def decoder(kind: Any, *, strict: bool = True) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=strict, float_hook=Decimal)


def prepare(kind: type[Model] = Model) -> None:
    """Build the decoders of all types now, while the import keeps other threads out.

    msgspec builds what it knows of a struct at its first use, and crashes the
    interpreter if two threads do that at once.
    """
    for found in kind.__subclasses__():
        decoder(found)
        prepare(found)


@lru_cache(maxsize=256)
def _fields(kind: type[Model]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _required(kind: type[Model]) -> set[str]:
    return {field.encode_name for field in _fields(kind) if field.required}


def _usable(value: Any, kind: type[Model]) -> bool:
    """Do the required lists and objects have at least that form?"""
    for field in _fields(kind):
        found = getattr(value, field.name)
        if get_origin(field.type) is Sequence and not isinstance(found, Sequence):
            return False
        if field.required and _is_model(field.type) and not isinstance(found, field.type):
            return False
    return True


def salvage(data: bytes | msgspec.Raw, kind: Any) -> Any:
    """Return `data` as `kind` as far as its types fit, from the outside in."""
    for strict in (True, False):
        try:
            return decoder(kind, strict=strict).decode(data)
        except msgspec.ValidationError:
            continue
    for part in _parts(kind):
        try:
            return _salvage_part(data, part)
        except (msgspec.ValidationError, TypeError):
            continue
    return decode_plain(data)


def _parts(kind: Any) -> tuple[Any, ...]:
    is_union = get_origin(kind) in (Union, types.UnionType)
    return get_args(kind) if is_union else (kind,)


def _salvage_part(data: bytes | msgspec.Raw, kind: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Sequence, list):
        items = decoder(list[msgspec.Raw] | None).decode(data) or []
        return [salvage(item, args[0]) for item in items]
    if origin not in (Mapping, dict) and not _is_model(kind):
        raise TypeError
    raw = decoder(dict[str, msgspec.Raw]).decode(data)
    if _is_model(kind):
        return _salvage_model(raw, kind)
    return {key: salvage(value, args[1]) for key, value in raw.items()}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _salvage_model(raw: dict[str, msgspec.Raw], kind: type[Model]) -> Model:
    values: dict[str, Any] = {}
    for field in _fields(kind):
        if field.encode_name in raw:
            values[field.name] = salvage(raw.pop(field.encode_name), field.type)
        elif field.required:
            values[field.name] = UNSET
    model = kind(**values)
    if raw:
        model.__dict__[_UNKNOWN] = {name: decode_plain(value) for name, value in raw.items()}
    return model
