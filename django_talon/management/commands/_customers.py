"""Find customers by primary key, for the commands about a person's data."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from getpass import getuser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import models

from django_talon.shop.registry import adapters

#: Keys of one query.
CHUNK = 500


def add_arguments(parser: CommandParser) -> None:
    """Add how customers are named."""
    parser.add_argument(
        "customers", nargs="*", metavar="CUSTOMER", help="primary key of a customer"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="read more keys from a file, one a line; - is stdin"
    )
    parser.add_argument(
        "--profile-ids",
        action="store_true",
        help="what is named are ids at Talon.One, also of people whom the shop has deleted",
    )
    parser.add_argument(
        "--operator", default="", metavar="NAME", help="who does it (default: the system user)"
    )
    parser.add_argument(
        "--model", default="", metavar="APP.MODEL", help="where there are several of customers"
    )


def named(options: dict[str, Any]) -> list[Any]:
    """Return the customers that the arguments name. Raises `CommandError` if one is not there."""
    keys = list(dict.fromkeys([*options["customers"], *_lines(options["file"])]))
    if not keys:
        raise CommandError("Name at least one customer, or a --file of them.")
    return keys if options["profile_ids"] else find(keys, options["model"])


def _lines(path: str | None) -> list[str]:
    if not path:
        return []
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CommandError(f"Cannot read {path}: {error}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def find(keys: Sequence[str], label: str = "") -> list[Any]:
    """Return the customers with these primary keys, as named by the adapters.

    ``label`` (``app.Model``) chooses among several customer models. Raises
    `CommandError` if one is not there, or is there in several models.
    """
    models_ = {adapter.customer_model for adapter in adapters()}
    if label:
        models_ = {model for model in models_ if model._meta.label_lower == label.lower()}
    if not models_:
        raise CommandError("No adapter names such a customer model.")
    found = [dict(_rows(model, keys)) for model in models_]
    return [_the_one(key, [rows[key] for rows in found if key in rows]) for key in keys]


def _rows(model: type[models.Model], keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield key and row of those that are there."""
    values = {key: value for key in keys if (value := _value(model, key)) is not None}
    by_value = {value: key for key, value in values.items()}
    wanted = list(by_value)
    for start in range(0, len(wanted), CHUNK):
        for row in model._base_manager.filter(pk__in=wanted[start : start + CHUNK]):
            yield by_value[row.pk], row


def _value(model: type[models.Model], key: str) -> Any:
    try:
        return model._meta.pk.to_python(key)
    except (ValueError, ValidationError):
        return None  # not a key of this model


def _the_one(key: str, found: list[Any]) -> Any:
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"There is no customer {key}.")
    labels = ", ".join(sorted(row._meta.label for row in found))
    raise CommandError(f"There is a customer {key} in each of {labels}. Choose with --model.")


def operator(options: dict[str, Any]) -> str:
    """Return who runs the command, by ``--operator`` or by the login name of the system."""
    if options["operator"]:
        return str(options["operator"])
    try:
        return f"manage.py {getuser()}"
    except (ImportError, KeyError, OSError):
        return "manage.py"  # a container may have no name for its user
