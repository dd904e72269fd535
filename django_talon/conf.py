"""The settings: one dict, ``TALON_ONE``, read at every use.

Nothing is cached, so ``override_settings`` works and a changed key is used by
the next call. What is wrong in the dict is said by the system checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core import mail
from django.utils.module_loading import import_string

T = TypeVar("T")

#: Keys of the sandbox begin so.
SANDBOX_KEY = "sbx-"
DEFAULT_APPLICATION = "default"
APPLICATION_KEYS = ("BASE_URL", "API_KEY", "CURRENCY", "ENVIRONMENT", "DIALECT", "LIVE")


class TalonConfigurationError(Exception):
    """A setting is missing or wrong, and the call cannot be made without it."""


class KeyUnavailable(TalonConfigurationError):
    """The shop's function for ``API_KEY`` raised, as while a vault cannot be reached."""


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
    #: Keys to go on with if Talon.One refuses ``api_key``, in that order.
    other_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def endpoint(self) -> str:
        """Name base URL and key together without giving the key away."""
        digest = hashlib.sha256(f"{self.base_url}\0{self.api_key}".encode())
        return f"{self.alias}-{digest.hexdigest()[:16]}"


#: What is usual comes first: every mark asks.
_MAPPINGS = (dict, Mapping)


def talon_one() -> Mapping[str, Any]:
    """Return the shop's ``TALON_ONE`` dict, or an empty one."""
    value = getattr(settings, "TALON_ONE", None)
    return value if isinstance(value, _MAPPINGS) else {}


class _Key(Generic[T]):
    """One key of ``TALON_ONE`` with its default."""

    def __init__(self, default: T) -> None:
        self.default = default
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> T:
        found: T = talon_one().get(self.name, self.default)
        return found


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
    #: Let an update of a customer profile run the rules, too (``runRuleEngine``).
    RUN_RULE_ENGINE = _Key(False)
    #: ``"v2"`` or ``"v3"``: by which operation custom events are sent.
    EVENTS = _Key("v2")
    #: Types of events that are never sent twice where Talon.One cannot tell (dialect 2020).
    EVENTS_AT_MOST_ONCE: _Key[Collection[str]] = _Key(())
    #: Seconds after which an event that has not arrived is given up; ``None``: never.
    EVENT_MAX_AGE: _Key[float | None] = _Key(None)
    #: Days after which the session of a cart that nobody touches is cancelled; ``None``: never.
    CART_EXPIRES_DAYS: _Key[float | None] = _Key(None)
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
    #: Carts or customers that one worker process serves at a time where many wait.
    WORKER_THREADS = _Key(2)
    #: A ``decimal`` rounding mode.
    ROUNDING = _Key("ROUND_HALF_UP")
    #: Days to keep the delivery log and replayed dead letters.
    RETENTION_DAYS = _Key(30)
    #: Days to keep dead letters that nobody replayed.
    DEAD_LETTER_RETENTION_DAYS = _Key(90)
    #: Days after which a session keeps only its ids, states and amounts.
    SESSION_RETENTION_DAYS = _Key(365)
    #: Erase customers at Talon.One when the shop deletes them.
    ERASE_ON_DELETE = _Key(False)
    #: Days from the request by which an erasure must be proved.
    ERASURE_DEADLINE_DAYS = _Key(30)
    #: Path of a file (JSON lines) that repeats erasures after a database restore.
    ERASURE_LOG = _Key("")
    #: What a monitor sends as ``Authorization: Bearer`` to see the figures of the health view.
    HEALTH_TOKEN = _Key("")
    #: Add our actions to the admin of the shop's customer model.
    ADMIN_ACTIONS = _Key(True)
    #: Say on the admin's index when nobody delivers, a key is refused, an erasure is overdue.
    ADMIN_BANNER = _Key(True)


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


def host_of(alias: str) -> str:
    """Return host and port of an Application's address; empty if it has none."""
    try:
        return urlsplit(str(application_settings().get(alias, {}).get("BASE_URL") or "")).netloc
    except ValueError:
        return ""  # E003 says it


def environment_of(alias: str) -> str:
    """Return the environment of an Application, which needs no key; empty if nothing names it."""
    return str(application_settings().get(alias, {}).get("ENVIRONMENT") or host_of(alias))


def application(alias: str) -> Application:
    """Return the Application called ``alias``.

    Raises `TalonConfigurationError` if there is none, if it lacks an address or key, or
    if it is ``LIVE`` and this is no place for that.
    """
    values = application_settings().get(alias)
    if values is None:
        known = ", ".join(sorted(application_settings()))
        raise TalonConfigurationError(
            f"There is no Talon.One application {alias!r} in TALON_ONE['APPLICATIONS']"
            f" (there are: {known}). Add it, or change what ROUTER returns."
        )
    base_url, keys = str(values.get("BASE_URL") or ""), keys_of(values)
    if not base_url or not keys:
        raise TalonConfigurationError(
            f"The Talon.One application {alias!r} lacks BASE_URL or API_KEY."
            " Run `manage.py check` to see which."
        )
    if values.get("LIVE") and (place := not_live()):
        raise TalonConfigurationError(
            f"The Talon.One application {alias!r} is LIVE, and {place}. Use the sandbox, or a"
            " test Application, there."
        )
    return Application(
        alias=alias,
        base_url=base_url,
        api_key=keys[0],
        other_keys=keys[1:],
        currency=currency_of(alias),
        environment=environment_of(alias),
        dialect=values.get("DIALECT", "current"),
    )


def keys_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of an Application: one, or several while they are being rotated.

    Raises `KeyUnavailable` if the function that should give them raises.
    """
    given = values.get("API_KEY") or ()
    if callable(given):
        try:
            given = given()
        except Exception as error:
            raise KeyUnavailable(
                f"The function for API_KEY raised {type(error).__name__}; what waits is kept."
            ) from error
    listed = given if isinstance(given, list | tuple) else (given,)
    return tuple(str(key) for key in listed if key)


def has_sandbox_key(values: Mapping[str, Any]) -> bool:
    """Return whether a key of an Application is the sandbox's."""
    return any(key.startswith(SANDBOX_KEY) for key in keys_of(values))


def not_live() -> str:
    """Say why a ``LIVE`` Application must not be called here; empty where it may be."""
    if settings.DEBUG:
        return "DEBUG is on"
    # Django's and pytest's set-up of a test run replace the mail backend by this box.
    return "this is a test run" if hasattr(mail, "outbox") else ""


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
    """Return the alias of the Application that a shop row belongs to.

    A row that is gone belongs to the default one. Raises `TalonConfigurationError`
    if the router does: what waits for it stays until it is mended.
    """
    router = conf.ROUTER
    if router is None or instance is None:
        return DEFAULT_APPLICATION
    try:
        if isinstance(router, str):
            router = cast(Callable[[Any], str], import_string(router))
        return router(instance)
    except Exception as error:
        raise TalonConfigurationError(
            f"TALON_ONE['ROUTER'] raised {type(error).__name__} for {instance._meta.label}"
            f" {instance.pk}. It has to return the alias of an application."
        ) from error
