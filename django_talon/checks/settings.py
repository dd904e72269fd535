"""The setting ``TALON_ONE``: its keys, addresses and values."""

from __future__ import annotations

import decimal
import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from django_talon import conf as configuration
from django_talon.checks.messages import check_error
from django_talon.conf import (
    TalonConfigurationError,
    application_settings,
    conf,
    has_sandbox_key,
    not_live,
)
from django_talon.outbox.sessions import GUEST, moment

CHOICES: dict[str, tuple[str, ...]] = {
    "GUESTS": ("guest_id", "anonymous", "off"),
    "EVENTS": ("v2", "v3"),
    "ON_FAILURE": ("open", "last_known", "closed"),
    "ROUNDING": tuple(name for name in vars(decimal) if name.startswith("ROUND_")),
}
SECONDS = ("DEADLINE", "CHECKOUT_BUDGET", "EVALUATION_MAX_AGE", "DEBOUNCE", "LEASE", "HOLD")
DAYS = (
    "RETENTION_DAYS",
    "DEAD_LETTER_RETENTION_DAYS",
    "SESSION_RETENTION_DAYS",
    "ERASURE_DEADLINE_DAYS",
)


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the ``TALON_ONE`` dict: its keys, addresses, keys and values."""
    chosen = getattr(settings, "TALON_ONE", None)
    if not isinstance(chosen, Mapping):
        hint = 'TALON_ONE = {"BASE_URL": "https://...", "API_KEY": "..."}'
        return [check_error(1, "The setting TALON_ONE is missing, or not a dict.", hint)]
    if not _are_dicts(chosen.get("APPLICATIONS", {})):
        hint = 'Write {"default": {"BASE_URL": "https://...", "API_KEY": "..."}}.'
        return [check_error(1, "TALON_ONE['APPLICATIONS'] is not a dict of dicts.", hint)]
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
            yield check_error(2, f"{place} has no key {key!r}.", hint)


def _application(alias: str, app: Mapping[str, Any]) -> Iterator[CheckMessage]:
    where = f"Talon.One application {alias!r}"
    base_url = app.get("BASE_URL")
    off = "Or stop talking to Talon.One: TALON_ONE['ENABLED'] = False."
    if not base_url:
        hint = f"Set it to the address of your Talon.One deployment. {off}"
        yield check_error(3, f"The {where} lacks BASE_URL.", hint)
    elif not _is_web_address(str(base_url)):
        hint = f"It looks like 'https://yourbaseurl.talon.one'. {off}"
        yield check_error(3, f"BASE_URL of the {where} is not a web address: {base_url!r}.", hint)
    elif (bare := _bare(str(base_url))) != str(base_url).rstrip("/"):
        # What is too much may be a secret, so it is not shown.
        yield check_error(
            3, f"BASE_URL of the {where} is more than a host.", f"Did you mean {bare!r}?"
        )
    if not app.get("API_KEY"):
        hint = f"Make one in the Campaign Manager and read it from the environment. {off}"
        yield check_error(4, f"The {where} lacks API_KEY.", hint)
    yield from _place(where, app)
    dialect = app.get("DIALECT", "current")
    if dialect not in ("current", "2020"):
        hint = "It is one of 'current', '2020'."
        yield check_error(6, f"DIALECT of the {where} is {dialect!r}.", hint)


def _place(where: str, app: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Check that a key is used where it belongs."""
    if app.get("LIVE") and (place := not_live()):
        hint = "Use the sandbox or a test Application here. Calls are refused until then."
        yield check_error(30, f"The {where} is LIVE, and {place}.", hint)
    base_url = str(app.get("BASE_URL") or "")
    is_told = not callable(app.get("API_KEY"))
    if is_told and has_sandbox_key(app) and base_url.endswith(".talon.one"):
        hint = "Keys that begin with sbx- are the sandbox's. Set the key of your deployment."
        yield check_error(31, f"The {where} has a key of the sandbox.", hint)


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _bare(address: str) -> str:
    """Return scheme, host and port: the client adds the path itself."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _values(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key, allowed in CHOICES.items():
        value = chosen.get(key, allowed[0])
        if value not in allowed:
            listed = ", ".join(map(repr, allowed))
            yield check_error(6, f"TALON_ONE[{key!r}] is {value!r}.", f"It is one of {listed}.")
    if conf.ID_PREFIX.startswith(GUEST):
        hint = "Ids of guests begin so; choose another prefix."
        yield check_error(6, f"TALON_ONE['ID_PREFIX'] is {conf.ID_PREFIX!r}.", hint)
    for key in SECONDS:
        value = chosen.get(key, 1)
        if not _is_seconds(value):
            yield check_error(6, f"TALON_ONE[{key!r}] is {value!r}.", "It is a number of seconds.")
    for key in DAYS:
        value = chosen.get(key, 1)
        if not _is_seconds(value):
            yield check_error(6, f"TALON_ONE[{key!r}] is {value!r}.", "It is a number of days.")
    yield from _patience(chosen)
    timeout = conf.TIMEOUT
    is_pair = isinstance(timeout, list | tuple) and len(timeout) == 2
    if not is_pair or not all(map(_is_seconds, timeout)):
        hint = "It is a pair of seconds: (to connect, to read)."
        yield check_error(6, f"TALON_ONE['TIMEOUT'] is {timeout!r}.", hint)
    if all(map(_is_seconds, (conf.LEASE, conf.DEADLINE))) and conf.LEASE <= conf.DEADLINE:
        hint = "A worker gives up its lane after LEASE; no call may take longer than that."
        yield check_error(7, "TALON_ONE['LEASE'] is not longer than 'DEADLINE'.", hint)


def _patience(chosen: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Check for how long, and how often, events and carts are told."""
    for key in ("EVENT_MAX_AGE", "CART_EXPIRES_DAYS"):
        value = chosen.get(key)
        if value is not None and not _is_seconds(value):
            yield check_error(6, f"TALON_ONE[{key!r}] is {value!r}.", "It is a number, or None.")
    types = conf.EVENTS_AT_MOST_ONCE
    if isinstance(types, str) or not isinstance(types, Collection):
        hint = "It is a list of event types."
        yield check_error(6, f"TALON_ONE['EVENTS_AT_MOST_ONCE'] is {types!r}.", hint)


def _since() -> Iterator[CheckMessage]:
    try:
        moment(conf.SYNC_ORDERS_SINCE)
    except TalonConfigurationError as error:
        yield check_error(6, str(error), "It is an ISO date, a datetime or None.")


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


def _router() -> Iterator[CheckMessage]:
    if isinstance(conf.ROUTER, str):
        try:
            import_string(conf.ROUTER)
        except ImportError as error:
            yield check_error(
                8, f"TALON_ONE['ROUTER'] cannot be imported: {error}.", "Mend the path."
            )
    elif conf.ROUTER is not None and not callable(conf.ROUTER):
        hint = "It is a function of a shop row, or the dotted path of one."
        yield check_error(8, f"TALON_ONE['ROUTER'] is {conf.ROUTER!r}.", hint)
