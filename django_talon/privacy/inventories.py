"""What Talon.One tells of a customer, and what this shop holds beside it."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils import timezone

from django_talon.client import TalonError, TalonRejected, encode
from django_talon.conf import (
    Application,
    TalonConfigurationError,
    application,
    application_settings,
    environment_of,
)
from django_talon.models.privacy import pseudonym
from django_talon.outbox import calls
from django_talon.outbox.scrub import SHORT, Person
from django_talon.privacy.held import held
from django_talon.privacy.people import environments, people_of

SECTIONS = ("profile", "referrals", "coupons", "loyalty", "giveaways", "achievements")


def inventory(customer: Any, *, operator: str = "") -> dict[str, Any]:
    """Return everything about a customer as plain JSON data: Talon.One's, and ours.

    ``environments`` has what each environment tells; ``None`` stands for one that does
    not know the customer, and ``unknown_in`` names those. ``unanswered`` has why an
    environment told nothing. ``held_by_this_shop`` is `held`. Raises `TalonError` if none
    answers; Talon.One is asked, so call it outside transactions. The delivery log has
    for whom (`operator`) whose inventory was asked for, by hash.
    """
    [person] = people_of([customer])
    found, unanswered = _ask(person, operator)
    return {
        "profile_id": person.profile_id,
        "retrieved_at": timezone.now().isoformat(),
        "unknown_in": [environment for environment, data in found.items() if data is None],
        "unanswered": unanswered,
        "environments": found,
        "held_by_this_shop": held(person),
    }


def talon_one_knows(found: dict[str, Any]) -> bool:
    """Return whether any environment of an `inventory` knows the customer."""
    return len(found["unknown_in"]) < len(found["environments"])


def _ask(person: Person, operator: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what each environment tells, and why the others tell nothing."""
    found, errors = {}, {}
    for app in environments():
        try:
            found[app.environment] = _inventory(app, person.profile_id, operator)
        except TalonError as error:
            errors[app.environment] = error
    if errors and not found:
        raise next(iter(errors.values()))
    why = {environment: told(error) for environment, error in errors.items()}
    return found, {**_out_of_reach(), **why}


def _out_of_reach() -> dict[str, str]:
    """Return the environments that this process cannot call, and why."""
    usable = {app.environment for app in environments()}
    found: dict[str, str] = {}
    for alias in application_settings():
        try:
            application(alias)
        except TalonConfigurationError as error:
            found.setdefault(environment_of(alias) or alias, str(error))
    return {environment: why for environment, why in found.items() if environment not in usable}


def told(error: TalonError) -> str:
    """Name an error without a word of an answer."""
    return f"{type(error).__name__} {error.status or ''}".strip()


def _inventory(app: Application, profile_id: str, operator: str) -> Any:
    wanted = dict.fromkeys(SECTIONS, True)
    about = f"inventory of {pseudonym(profile_id)[:SHORT]}"
    about = f"{about} for {operator}"[:190] if operator else about
    try:
        found = calls.call(app, about, "get_customer_inventory", profile_id, **wanted)
    except TalonRejected as error:
        if error.status == 404:
            return None
        raise
    return msgspec.json.decode(encode(found))
