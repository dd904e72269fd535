"""Each Application: does it answer, take its key, and agree about the time?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

from django.utils import timezone

from django_talon.client import (
    TalonAuthError,
    TalonError,
    TalonRedirected,
    TalonTlsError,
    TalonUnreadableAnswer,
)
from django_talon.conf import (
    Application,
    KeyUnavailable,
    TalonConfigurationError,
    application,
    application_settings,
    conf,
)
from django_talon.doctor.findings import Finding, of
from django_talon.models import Endpoint
from django_talon.models.outbox import Health
from django_talon.outbox import endpoint

#: Seconds by which two clocks may differ.
SKEW = 30.0


def find() -> Iterator[Finding]:
    """Ask every Application for a customer that nobody is: a question without effect."""
    for alias in application_settings():
        yield from of(f"Application {alias!r}", _of(alias))


def _of(alias: str) -> Iterator[Finding]:
    try:
        app = application(alias)
    except KeyUnavailable as away:
        do = "See that it can be fetched, as `manage.py shell` shows it, and ask again."
        yield Finding("django_talon.E126", f"Application {alias!r}: {away}", do)
        return
    except TalonConfigurationError:
        return  # a system check says it
    error, seconds = _ask(app)
    if error is not None:
        yield from _said(app, error)
        yield from _skewed(app, error)
    yield from _slow(app, seconds)
    yield from _resting(app)


def _ask(app: Application) -> tuple[TalonError | None, float]:
    """Return what came of the first key that is not refused, as workers do, and after how long."""
    for one in endpoint.by_key(app):
        asked = time.monotonic()
        error = _answer(one)
        seconds = time.monotonic() - asked
        if not isinstance(error, TalonAuthError):
            break
    return error, seconds


def _answer(app: Application) -> TalonError | None:
    try:
        endpoint.client(app).get_customer_inventory(f"talon-check-{uuid4()}")
    except TalonError as error:
        return error
    return None


def _said(app: Application, error: TalonError) -> Iterator[Finding]:
    name = f"Application {app.alias!r}"
    if isinstance(error, TalonAuthError):
        do = "Make a key for this Application in the Campaign Manager; keys expire."
        yield Finding("django_talon.E102", f"{name} refuses its API key ({error.status}).", do)
    elif isinstance(error, TalonRedirected | TalonTlsError | TalonUnreadableAnswer):
        do = "Set BASE_URL to the address of your deployment, like https://yours.talon.one."
        what = f"{name} is not at {app.base_url}: {type(error).__name__}."
        yield Finding("django_talon.E103", what, do)
    elif error.status is None:
        host = urlsplit(app.base_url).netloc
        do = "Look at the address, the name server, the firewall, and Talon.One's status page."
        what = f"{name} at {host} does not answer: {type(error).__name__}."
        yield Finding("django_talon.E104", what, do)
    elif error.status != 404:
        do = "Look at Talon.One's status page. Rows wait and use up no attempts."
        yield Finding("django_talon.W102", f"{name} answers with {error.status}.", do)


def _skewed(app: Application, error: TalonError) -> Iterator[Finding]:
    if error.answered_at is None:
        return
    seconds = abs((timezone.now() - error.answered_at).total_seconds())
    if seconds > SKEW:
        what = f"The clocks of this host and of {app.alias!r} are {seconds:.0f} s apart."
        yield Finding("django_talon.W103", what, "Let both keep time by NTP; start with this host.")


def _slow(app: Application, seconds: float) -> Iterator[Finding]:
    if seconds > float(conf.CHECKOUT_BUDGET):
        what = (
            f"Application {app.alias!r} took {seconds:.1f} s for an easy question;"
            f" CHECKOUT_BUDGET is {conf.CHECKOUT_BUDGET} s."
        )
        do = "Look at the network between them, or let shoppers wait longer."
        yield Finding("django_talon.W104", what, do)


def _resting(app: Application) -> Iterator[Finding]:
    row: Endpoint | None = endpoint.row_of(app)
    if row is not None and row.health != Health.HEALTHY:
        what = f"The workers let application {app.alias!r} rest: {row.health} ({row.reason})."
        do = "Mend what is said above of it; a probe finds out by itself, and all rows follow."
        yield Finding("django_talon.W105", what, do)
