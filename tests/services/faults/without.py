"""The rules of delivery, each of which can be taken out: ``TALON_TEST_WITHOUT=<rule>``.

It holds for every process of the tests. ``test_rules_taken_out.py`` sees a fault test fail so.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import urllib3
from django.apps import AppConfig

from tests.services import model_worker


def lease() -> None:
    """Every worker gets every lane."""
    model_worker.without_lease()


def hold() -> None:
    """After an answer that got lost the lane is open at once."""
    model_worker.without_hold(builtins)


def ids_seen() -> None:
    """All rows up to the last one that was read are deleted."""
    model_worker.without_ids_seen(builtins)


def savepoint() -> None:
    """On PostgreSQL, a mark is inserted without a savepoint around it."""
    from django_talon.outbox import rows

    def insert(connection: Any, statement: str, params: list[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)

    rows._guarded = insert


def thread() -> None:
    """The wake-up is published by whoever commits."""
    from django_talon.outbox import wake

    wake.ring = wake.publish


def _no_health(unwanted: Any) -> None:
    from django_talon.outbox import backoff

    known = backoff._health
    backoff._health = lambda error: None if known(error) == unwanted else known(error)


def refused() -> None:
    """A refused key is an error of the row."""
    from django_talon.models.outbox import Health

    _no_health(Health.REFUSED)


def paused() -> None:
    """Retry-After is not looked at."""
    from django_talon.models.outbox import Health

    _no_health(Health.PAUSED)


def misconfigured() -> None:
    """A certificate, a redirect or a wrong address is an error of the row."""
    from django_talon.models.outbox import Health

    _no_health(Health.MISCONFIGURED)


def failing() -> None:
    """An endpoint is called however often it failed."""
    from django_talon.outbox import endpoint

    endpoint.BREAKER = 1_000_000


def trust_env() -> None:
    """The client goes by the proxies of the environment."""
    from django_talon.client.network import Network

    made = Network.__init__
    Network.__init__ = lambda self, url, **_: made(self, url, trust_env=True)  # type: ignore[method-assign]


def redirects() -> None:
    """The client follows redirects."""
    from django_talon.client import network

    ask = network._Pool.urlopen

    def follow(self: Any, method: str, url: str, **options: Any) -> Any:
        options |= {"redirect": True, "retries": urllib3.Retry(3)}
        return ask(self, method, url, **options)

    network._Pool.urlopen = follow  # type: ignore[method-assign]


def frozen() -> None:
    """A close is rendered anew for each try."""
    from django_talon.outbox import delivery

    deliver = delivery.deliver_transition

    def anew(trip: Any) -> None:
        trip.row.payload = None
        deliver(trip)

    delivery.deliver_transition = anew


def same_key() -> None:
    """Each try of an event has a key of its own."""
    from django_talon.outbox import delivery

    deliver = delivery.deliver_event

    def anew(trip: Any) -> None:
        trip.row.uid = uuid4()
        deliver(trip)

    delivery.deliver_event = anew


def made_good() -> None:
    """What another worker sent during a call of unknown outcome is not sent again."""
    from django_talon.outbox import outcomes

    outcomes.make_good = lambda trip: None


def ambiguous() -> None:
    """An answer that cannot be read, or only half, is taken for a plain error."""
    from django_talon.outbox import backoff

    judge = backoff.judge

    def certain(error: Exception, attempts: int) -> backoff.Verdict:
        verdict = judge(error, attempts)
        return replace(verdict, is_dead=True) if getattr(error, "ambiguous", False) else verdict

    backoff.judge = certain


def robust() -> None:
    """A wake-up that cannot be rung raises into the shop's commit."""
    from django_talon.outbox import transactions, wake

    transactions.ring_after_commit = lambda connection: connection.on_commit(wake.ring)


def schema() -> None:
    """A worker takes up the rows of a newer release, too."""
    from django_talon.outbox import claim, delivery

    claim.SCHEMA = delivery.SCHEMA = 32_000


def quarantine() -> None:
    """A row may end its worker as often as it likes."""
    from django_talon.outbox import delivery

    delivery.QUARANTINE = 1_000_000


def deadline() -> None:
    """Each read of an answer may take its time; nobody looks at all of them together."""
    from http.client import HTTPResponse

    from django_talon.client import network

    network._Connection.response_class = HTTPResponse


RULES: dict[str, Callable[[], None]] = {
    rule.__name__: rule
    for rule in (
        lease, hold, ids_seen, savepoint, thread, refused, paused,
        misconfigured, failing, trust_env, redirects, frozen,
        same_key, made_good, ambiguous, robust, schema, quarantine,
        deadline,
    )
}  # fmt: skip


class Without(AppConfig):
    """An app that takes the rule out when Django is set up."""

    name = "tests.services.faults"
    label = "without_a_rule"

    def ready(self) -> None:
        RULES[os.environ["TALON_TEST_WITHOUT"]]()
