"""Who is meant: a customer's row, a row of ours about them, or the id at Talon.One."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from django_talon.conf import (
    Application,
    TalonConfigurationError,
    application_settings,
    applications,
    environment_of,
)
from django_talon.models import CustomerProfile
from django_talon.outbox.scrub import Person
from django_talon.outbox.sessions import checked_profile_id
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for


def environments() -> list[Application]:
    """Return one Application of each environment that this process can ask."""
    return list({app.environment: app for app in reversed(applications())}.values())[::-1]


def places() -> dict[str, str]:
    """Return each environment that ``TALON_ONE`` names, with the alias of an Application there.

    One that this process cannot call, as it has no key, is called by the workers. Raises
    `TalonConfigurationError` if an Application tells no environment: data may be there.
    """
    usable = {app.environment: app.alias for app in environments()}
    found = dict(usable)
    for alias in application_settings():
        environment = environment_of(alias)
        if not environment:
            raise TalonConfigurationError(
                f"TALON_ONE does not say where to erase data: the application {alias!r} has"
                " neither BASE_URL nor ENVIRONMENT. Set one of them; no key is needed for it."
            )
        found.setdefault(environment, alias)
    return found


def profile_id_of(customer: Any) -> str:
    """Return the integration id of a customer.

    Give the shop's row, a `CustomerProfile`, or the id itself. Raises
    `SnapshotError` if the adapter makes ids of e-mail addresses.
    """
    return _person(customer, {}).profile_id


def file_name(customer: Any) -> str:
    """Return the name of the file that holds a customer's inventory."""
    return f"inventory-{quote(profile_id_of(customer), safe='')}.json"


def people_of(customers: Iterable[Any]) -> list[Person]:
    """Return each customer once, with the shop's key where it is known; one query at most."""
    found = {person.profile_id: person for _customer, person in named(customers)}
    keyless = [profile_id for profile_id, person in found.items() if not person.customer]
    if keyless:
        known = CustomerProfile.objects.filter(profile_id__in=keyless).exclude(customer="")
        for profile_id, key in known.values_list("profile_id", "customer"):
            found[profile_id] = Person(profile_id, key)
    return list(found.values())


def named(customers: Iterable[Any]) -> Iterator[tuple[Any, Person]]:
    """Yield each customer with who that is. Raises `SnapshotError` as `profile_id_of` does.

    The adapter of a model is looked up once.
    """
    known: dict[type, Adapter] = {}
    for customer in customers:
        yield customer, _person(customer, known)


def _person(customer: Any, known: dict[type, Adapter]) -> Person:
    if isinstance(customer, Person):
        return customer
    if isinstance(customer, str):
        return Person(customer)
    if isinstance(customer, CustomerProfile):
        return Person(customer.profile_id, customer.customer)
    adapter = known.get(type(customer)) or adapter_for(customer)
    known[type(customer)] = adapter
    profile_id = checked_profile_id(adapter, customer)
    return Person(profile_id, adapter.key("customer", customer.pk))
