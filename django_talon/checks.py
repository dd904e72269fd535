"""What is wrong, said before the first request.

An id has one meaning for ever: a check that goes takes its id with it.
"""

from __future__ import annotations

import decimal
import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.db import connections, router
from django.utils.module_loading import import_string

from django_talon import conf as configuration
from django_talon.conf import TalonConfigurationError, application_settings, conf
from django_talon.models import OutboxRow
from django_talon.outbox.sessions import GUEST, moment
from django_talon.shop import paths
from django_talon.shop.adapter import ITEM_KEYS, Adapter, created_field, flat
from django_talon.shop.registry import registered

CHOICES: dict[str, tuple[str, ...]] = {
    "GUESTS": ("guest_id", "anonymous", "off"),
    "ON_FAILURE": ("open", "last_known", "closed"),
    "ROUNDING": tuple(name for name in vars(decimal) if name.startswith("ROUND_")),
}
SECONDS = ("DEADLINE", "CHECKOUT_BUDGET", "EVALUATION_MAX_AGE", "DEBOUNCE", "LEASE", "HOLD")


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"django_talon.E{number:03}")


def _warning(number: int, message: str, hint: str) -> CheckMessage:
    return CheckWarning(message, hint=hint, id=f"django_talon.W{number:03}")


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the ``TALON_ONE`` dict: its keys, addresses, keys and values."""
    chosen = getattr(settings, "TALON_ONE", None)
    if not isinstance(chosen, Mapping):
        hint = 'TALON_ONE = {"BASE_URL": "https://...", "API_KEY": "..."}'
        return [_error(1, "The setting TALON_ONE is missing, or not a dict.", hint)]
    if not _are_dicts(chosen.get("APPLICATIONS", {})):
        hint = 'Write {"default": {"BASE_URL": "https://...", "API_KEY": "..."}}.'
        return [_error(1, "TALON_ONE['APPLICATIONS'] is not a dict of dicts.", hint)]
    found = [*_unknown_keys(chosen), *_values(chosen), *_since(), *_router()]
    if conf.ENABLED:
        found += [
            m for alias, app in application_settings().items() for m in _application(alias, app)
        ]
    return found


def _are_dicts(named: Any) -> bool:
    return isinstance(named, Mapping) and all(isinstance(app, Mapping) for app in named.values())


def _unknown_keys(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    known = {"TALON_ONE": configuration.KEYS}
    places: list[tuple[str, Iterable[str], Iterable[str]]] = [
        ("TALON_ONE", chosen, known["TALON_ONE"])
    ]
    for alias, app in application_settings().items():
        places.append((f"TALON_ONE's application {alias!r}", app, configuration.APPLICATION_KEYS))
    for place, keys, allowed in places:
        for key in sorted(set(keys) - set(allowed)):
            nearest = difflib.get_close_matches(key, allowed, n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else "Take it out."
            yield _error(2, f"{place} has no key {key!r}.", hint)


def _application(alias: str, app: Mapping[str, Any]) -> Iterator[CheckMessage]:
    where = f"Talon.One application {alias!r}"
    base_url = app.get("BASE_URL")
    off = "Or stop talking to Talon.One: TALON_ONE['ENABLED'] = False."
    if not base_url:
        hint = f"Set it to the address of your Talon.One deployment. {off}"
        yield _error(3, f"The {where} lacks BASE_URL.", hint)
    elif not _is_web_address(str(base_url)):
        hint = f"It looks like 'https://yourbaseurl.talon.one'. {off}"
        yield _error(3, f"BASE_URL of the {where} is not a web address: {base_url!r}.", hint)
    if not app.get("API_KEY"):
        hint = f"Make one in the Campaign Manager and read it from the environment. {off}"
        yield _error(4, f"The {where} lacks API_KEY.", hint)
    if app.get("DIALECT", "current") != "current":
        hint = "Leave it out, or set it to 'current'. The client alone speaks '2020' already."
        yield _error(5, f"DIALECT of the {where} is not supported by the outbox yet.", hint)


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _values(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key, allowed in CHOICES.items():
        value = chosen.get(key, allowed[0])
        if value not in allowed:
            listed = ", ".join(map(repr, allowed))
            yield _error(6, f"TALON_ONE[{key!r}] is {value!r}.", f"It is one of {listed}.")
    if conf.ID_PREFIX.startswith(GUEST):
        hint = "Ids of guests begin so; choose another prefix."
        yield _error(6, f"TALON_ONE['ID_PREFIX'] is {conf.ID_PREFIX!r}.", hint)
    for key in SECONDS:
        value = chosen.get(key, 1)
        if not _is_seconds(value):
            yield _error(6, f"TALON_ONE[{key!r}] is {value!r}.", "It is a number of seconds.")
    timeout = conf.TIMEOUT
    is_pair = isinstance(timeout, list | tuple) and len(timeout) == 2
    if not is_pair or not all(map(_is_seconds, timeout)):
        hint = "It is a pair of seconds: (to connect, to read)."
        yield _error(6, f"TALON_ONE['TIMEOUT'] is {timeout!r}.", hint)
    if all(map(_is_seconds, (conf.LEASE, conf.DEADLINE))) and conf.LEASE <= conf.DEADLINE:
        hint = "A worker gives up its lane after LEASE; no call may take longer than that."
        yield _error(7, "TALON_ONE['LEASE'] is not longer than 'DEADLINE'.", hint)


def _since() -> Iterator[CheckMessage]:
    try:
        moment(conf.SYNC_ORDERS_SINCE)
    except TalonConfigurationError as error:
        yield _error(6, str(error), "It is an ISO date, a datetime or None.")


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


def _router() -> Iterator[CheckMessage]:
    if isinstance(conf.ROUTER, str):
        try:
            import_string(conf.ROUTER)
        except ImportError as error:
            yield _error(8, f"TALON_ONE['ROUTER'] cannot be imported: {error}.", "Mend the path.")
    elif conf.ROUTER is not None and not callable(conf.ROUTER):
        hint = "It is a function of a shop row, or the dotted path of one."
        yield _error(8, f"TALON_ONE['ROUTER'] is {conf.ROUTER!r}.", hint)


def check_adapters(**_: Any) -> list[CheckMessage]:
    """Check every adapter: its models, and each path against the models' fields."""
    if not registered():
        hint = "Write a talon.py in your shop's app; see the README for one of 20 lines."
        return [_warning(1, "No adapter is registered, so nothing is sent.", hint)]
    return [message for adapter in registered() for message in _adapter(adapter)]


def _adapter(adapter: Adapter) -> list[CheckMessage]:
    name = type(adapter).__name__
    if wrong := adapter.wrong_model():
        return [_error(9, f"{name}.{wrong}", _nearest_model(wrong.split("'")[1]))]
    models = {role: adapter.model(role) for role in ("cart", "order", "customer")}
    found = [
        _error(10, f"{name}.{attribute} = {path!r}: {problem}", "Paths are dotted names.")
        for attribute, model, path in _paths(adapter, models)
        if (problem := paths.problem(model, path))
    ]
    return [*found, *_item_keys(adapter), *_states(adapter), *_databases(adapter, models)]


def _nearest_model(name: str) -> str:
    labels = {model._meta.label_lower: model._meta.label for model in apps.get_models()}
    nearest = difflib.get_close_matches(name.lower(), labels, n=1)
    if nearest:
        return f"Did you mean {labels[nearest[0]]!r}?"
    return "Write models as 'app_label.Model', as in INSTALLED_APPS and models.py."


def _paths(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield attribute, model and path of everything an adapter names."""
    cart, order = models["cart"], models["order"]
    for model, attributes in (
        (cart, ("cart_customer", "cart_items")),
        (order, ("order_cart", "order_customer", "order_items", "order_state", "order_created")),
    ):
        for attribute in attributes:
            path = getattr(adapter, attribute)
            if model is not None and path and (attribute != "order_state" or adapter.order_states):
                yield attribute, model, path
    for role in ("cart", "order", "customer"):
        for path in flat(getattr(adapter, f"{role}_attributes")):
            if models[role] is not None:
                yield f"{role}_attributes", models[role], path
    yield from _item_paths(adapter, models)


def _item_paths(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for role, relation, attribute in (
        ("cart", adapter.cart_items, "item"),
        ("order", adapter.order_items, "order_item" if adapter.order_item else "item"),
    ):
        field = paths.field_at(models[role], relation) if models[role] and relation else None
        line = getattr(field, "related_model", None)
        if line is not None:
            for path in flat(getattr(adapter, attribute)):
                yield attribute, line, path


def _item_keys(adapter: Adapter) -> Iterator[CheckMessage]:
    if type(adapter).items is not Adapter.items:
        return
    name = type(adapter).__name__
    for attribute in ("item", "order_item") if adapter.order_item else ("item",):
        mapping = getattr(adapter, attribute)
        missing = [key for key in ITEM_KEYS if key not in mapping]
        if missing:
            hint = "Say where a line has them, or override items()."
            yield _error(11, f"{name}.{attribute} lacks {', '.join(missing)}.", hint)
    for attribute in _relations(adapter):
        hint = "Name the reverse relation to the lines, or override items()."
        yield _error(14, f"{name}.{attribute} is empty.", hint)


def _relations(adapter: Adapter) -> list[str]:
    """Return which of the relations that `Adapter.items` reads are not named."""
    needs_two = bool(adapter.order) and not adapter.is_one_model
    needed = ("cart_items", "order_items") if needs_two else ("cart_items",)
    return [attribute for attribute in needed if not getattr(adapter, attribute)]


def _states(adapter: Adapter) -> Iterator[CheckMessage]:
    name = type(adapter).__name__
    wrong = sorted(set(adapter.order_states.values()) - {"open", "closed", "cancelled"})
    if wrong:
        hint = "A customer session is 'open', 'closed' or 'cancelled'."
        yield _error(12, f"{name}.order_states has {', '.join(map(repr, wrong))}.", hint)
    model = adapter.order_model
    if model is not None and not (adapter.order_created or created_field(model)):
        hint = "Without it, orders older than this installation would be sent when saved."
        yield _warning(2, f"{name}.order_created does not say when an order was made.", hint)


def _databases(adapter: Adapter, models: Mapping[str, Any]) -> Iterator[CheckMessage]:
    outbox = router.db_for_write(OutboxRow)
    for model in {model for model in models.values() if model is not None}:
        alias = router.db_for_write(model)
        if alias != outbox:
            hint = "A mark must live and die with the shop's transaction: use one database."
            yield _error(
                13, f"{model._meta.label} is on database {alias!r}, the outbox on {outbox!r}.", hint
            )


def check_database(**_: Any) -> list[CheckMessage]:
    """Check that SQLite takes its write lock when a transaction begins."""
    connection = connections[router.db_for_write(OutboxRow)]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or options.get("transaction_mode") == "IMMEDIATE":
        return []
    hint = "Set OPTIONS = {'transaction_mode': 'IMMEDIATE', 'timeout': 20} on the database."
    return [
        _warning(
            3, "SQLite begins transactions without the write lock: 'database is locked'.", hint
        )
    ]


CHECKS: list[Callable[..., list[CheckMessage]]] = [
    check_settings,
    check_adapters,
    check_database,
]
