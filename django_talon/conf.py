"""The settings: one dict, ``TALON_ONE``, read at every use.

Nothing is cached, so ``override_settings`` works and a changed key is used by
the next call. What is wrong in the dict is said by the system checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

T = TypeVar("T")

DEFAULT_APPLICATION = "default"
APPLICATION_KEYS = ("BASE_URL", "API_KEY", "CURRENCY", "ENVIRONMENT", "DIALECT")


class TalonConfigurationError(Exception):
    """A setting is missing or wrong, and the call cannot be made without it."""


@dataclass(frozen=True)
class Application:
    """One Talon.One Application: where it is, its key and its currency."""

    alias: str
    base_url: str
    api_key: str = field(repr=False)
    #: ISO 4217 code. All amounts of the Application are in this currency.
    currency: str = "EUR"
    #: The Applications that share customer profiles at Talon.One.
    environment: str = ""
    dialect: Literal["current", "2020"] = "current"

    @property
    def endpoint(self) -> str:
        """Name base URL and key together without giving the key away."""
        digest = hashlib.sha256(f"{self.base_url}\0{self.api_key}".encode())
        return f"{self.alias}-{digest.hexdigest()[:16]}"


def talon_one() -> Mapping[str, Any]:
    """Return the shop's ``TALON_ONE`` dict, or an empty one."""
    value = getattr(settings, "TALON_ONE", None)
    return value if isinstance(value, Mapping) else {}


class _Key(Generic[T]):
    """One key of ``TALON_ONE`` with its default."""

    def __init__(self, default: T) -> None:
        self.default = default
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> T:
        return cast(T, talon_one().get(self.name, self.default))


class Conf:
    """Every key of ``TALON_ONE`` that is not about one Application."""

    #: The kill switch: ``False`` stops marking, delivering and asking.
    ENABLED = _Key(True)
    #: Callable or dotted path: shop row -> application alias. It must not query.
    ROUTER: _Key[Callable[[Any], str] | str | None] = _Key(None)
    #: ``"guest_id"``, ``"anonymous"`` or ``"off"``.
    GUESTS = _Key("guest_id")
    #: Put before customer ids where several shops share one environment.
    ID_PREFIX = _Key("")
    #: Orders created before this are history, not news. ISO date, datetime or ``None``.
    SYNC_ORDERS_SINCE: _Key[Any] = _Key(None)
    #: Seconds to connect and to wait for each read.
    TIMEOUT: _Key[tuple[float, float]] = _Key((2.0, 5.0))
    #: Seconds that one delivery may take in all.
    DEADLINE = _Key(10.0)
    #: Seconds that ``evaluate`` may take of a shopper's time.
    CHECKOUT_BUDGET = _Key(1.5)
    #: What ``evaluate`` gives when no answer comes: ``"open"``, ``"last_known"``, ``"closed"``.
    ON_FAILURE = _Key("open")
    #: Seconds for which a stored answer is used again while the cart is the same.
    EVALUATION_MAX_AGE = _Key(300.0)
    #: Seconds to wait for more changes of the same cart.
    DEBOUNCE = _Key(1.0)
    #: Seconds for which a worker owns a lane.
    LEASE = _Key(60.0)
    #: Seconds for which a late request may still be worked on at Talon.One.
    HOLD = _Key(30.0)
    #: A ``decimal`` rounding mode.
    ROUNDING = _Key("ROUND_HALF_UP")
    #: Days to keep the delivery log and replayed dead letters.
    RETENTION_DAYS = _Key(30)
    #: Path of a file (JSON lines) that repeats erasures after a database restore.
    ERASURE_LOG = _Key("")
    #: Add our actions to the admin of the shop's customer model.
    ADMIN_ACTIONS = _Key(True)


conf = Conf()

KEYS = frozenset(
    {name for name in vars(Conf) if name.isupper()} | {"APPLICATIONS", *APPLICATION_KEYS}
)


def application_settings() -> dict[str, dict[str, Any]]:
    """Return the settings of each Application, short forms written out."""
    chosen = talon_one()
    found = {alias: dict(values) for alias, values in chosen.get("APPLICATIONS", {}).items()}
    short = {key: chosen[key] for key in APPLICATION_KEYS if key in chosen}
    if short or not found:
        found[DEFAULT_APPLICATION] = {**found.get(DEFAULT_APPLICATION, {}), **short}
    return found


def currency_of(alias: str) -> str:
    """Return the ISO 4217 code of an Application's currency, which needs no address or key."""
    return str(application_settings().get(alias, {}).get("CURRENCY") or "EUR").upper()


def application(alias: str) -> Application:
    """Return the Application called ``alias``.

    Raises `TalonConfigurationError` if there is none or it lacks an address or key.
    """
    values = application_settings().get(alias)
    if values is None:
        known = ", ".join(sorted(application_settings()))
        raise TalonConfigurationError(
            f"There is no Talon.One application {alias!r} in TALON_ONE['APPLICATIONS']"
            f" (there are: {known}). Add it, or change what ROUTER returns."
        )
    base_url, api_key = str(values.get("BASE_URL") or ""), values.get("API_KEY") or ""
    if not base_url or not api_key:
        raise TalonConfigurationError(
            f"The Talon.One application {alias!r} lacks BASE_URL or API_KEY."
            " Run `manage.py check` to see which."
        )
    return Application(
        alias=alias,
        base_url=base_url,
        api_key=str(api_key() if callable(api_key) else api_key),
        currency=currency_of(alias),
        environment=str(values.get("ENVIRONMENT") or urlsplit(base_url).netloc),
        dialect=values.get("DIALECT", "current"),
    )


def applications() -> list[Application]:
    """Return every Application that has an address and a key."""
    found = []
    for alias in application_settings():
        try:
            found.append(application(alias))
        except TalonConfigurationError:
            continue  # a system check has said so; the other Applications go on
    return found


def route(instance: Any) -> str:
    """Return the alias of the Application that a shop row belongs to."""
    router = conf.ROUTER
    if router is None:
        return DEFAULT_APPLICATION
    if isinstance(router, str):
        router = cast(Callable[[Any], str], import_string(router))
    return router(instance)
