"""Attributes that look like personal data: they leave the shop, so somebody has to mean it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage
from django.db import models

from django_talon.checks.messages import check_warning
from django_talon.shop import paths
from django_talon.shop.adapter import Adapter

#: What the end of a path, or an attribute's name, may say, and what it is then.
KINDS = {
    "an e-mail address": "e?mail",
    "a name": "(first|last|full|short|middle|maiden|given|family|user)_?name|surname",
    "a phone number": "phone|telephone|mobile|cellphone|fax",
    "an address": "address|addr|street|postcode|post_code|postal_?code|zip|zip_?code",
    "a date of birth": "birth|birthday|birthdate|dob",
}
_PATTERNS = {kind: re.compile(rf"(^|_)({names})(_|\d|$)") for kind, names in KINDS.items()}
#: Says that something is so, not what it is.
_FLAG = re.compile(r"^(is|has)_|_(verified|confirmed|consent|opt_?in)$")


def check_personal(adapter: Adapter, starts: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Warn of each attribute of customers, carts, orders and lines that looks personal."""
    hint = "It leaves the shop: list it only with consent; then silence this check."
    for listed, model, mapping in _mappings(adapter, starts):
        for attribute, path in mapping.items():
            if kind := _kind(model, attribute, path):
                told = attribute if callable(path) else path
                where = f"{type(adapter).__name__}.{listed}"
                text = f"{where} has {attribute!r}: {told!r} looks like {kind}."
                yield check_warning(6, text, hint)


def _mappings(
    adapter: Adapter, starts: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    for role in ("customer", "cart", "order"):
        yield f"{role}_attributes", starts[role], getattr(adapter, f"{role}_attributes")
    for listed in ("item", "order_item"):
        yield f"{listed}['attributes']", None, getattr(adapter, listed).get("attributes", {})


def _kind(model: Any, attribute: str, path: Any) -> str:
    """Return what a path, or the attribute a function gives, looks like; empty if harmless."""
    if not callable(path) and _is_flag(model, path):
        return ""
    words = [attribute] if callable(path) else [attribute, path.rpartition(".")[2]]
    plain = [_plain(word) for word in words]
    if any(map(_FLAG.search, plain)):
        return ""
    for kind, pattern in _PATTERNS.items():
        if any(map(pattern.search, plain)):
            return kind
    return ""


def _plain(word: str) -> str:
    """Return ``eMail`` and ``e_mail`` as ``email``, ``firstName`` as ``first_name``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower().replace("e_mail", "email")


def _is_flag(model: Any, path: str) -> bool:
    *way, name = path.split(".")
    owner = paths.model_at(model, ".".join(way)) if model and way else model
    field = paths.field_at(owner, name) if owner else None
    return isinstance(field, models.BooleanField)
