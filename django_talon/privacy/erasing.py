"""Requests to erase, for one customer or many, and the end of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from django_talon.models import DeadLetter, Erasure, Installation
from django_talon.models.outbox import Kind
from django_talon.models.privacy import pseudonym
from django_talon.outbox import clock, erasure_log, scrub
from django_talon.outbox.rows import Row, enqueue
from django_talon.outbox.scrub import Person
from django_talon.privacy.people import named, people_of, places, profile_id_of

#: Customers of one transaction.
CHUNK = 500


@dataclass
class Outcome:
    """What became of a request for many: how many were requested, how many left as they were."""

    requested: int = 0
    #: Their erasure is under way already.
    left: int = 0


@dataclass
class _Request:
    """The erasures of one chunk of people."""

    #: All of them, those under way included.
    erasures: list[Erasure] = field(default_factory=list)
    #: Those that are new or begin again after a refusal.
    begun: list[Erasure] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Who asked for an erasure, why, and when; by default now."""

    operator: str = ""
    reason: str = ""
    at: datetime | None = None


def erase(customer: Any, *, operator: str = "", reason: str = "") -> list[Erasure]:
    """Request the deletion of a customer's data, in every environment.

    Give the shop's row, a `CustomerProfile` or the id at Talon.One. Everything
    that must happen is written down in one transaction and then delivered by the
    workers: open sessions are cancelled, the data is deleted, deleted once more
    when no late call can bring it back, and read back as the proof. From now on
    no profile id and no attribute of this person is sent. Raises
    `TalonConfigurationError` if an Application tells no environment.
    """
    asked = Asked(operator, reason)
    return _request(people_of([customer]), lambda *_: asked).erasures


def erase_all(
    customers: Iterable[Any],
    *,
    operator: str = "",
    reason: str = "",
    then: Callable[[Sequence[Any]], None] | None = None,
    asked: Callable[[str, str], Asked] | None = None,
) -> Outcome:
    """Request the erasure of many customers, 500 in one transaction each.

    Their number does not change the number of statements of a transaction. `then`
    is called with the customers of each, inside it. Running it again after an
    interruption leaves those alone whose erasure is under way. Where requests differ,
    `asked` tells of each environment and profile id who asked.
    """
    outcome, same = Outcome(), Asked(operator, reason)
    asked = asked or (lambda *_: same)
    customers = iter(customers)
    while chunk := list(islice(customers, CHUNK)):
        with transaction.atomic(using=clock.outbox_alias()):
            pairs = list(named(chunk))
            people = people_of(person for _customer, person in pairs)
            begun = {e.profile_id for e in _request(people, asked).begun}
            fresh = [customer for customer, person in pairs if person.profile_id in begun]
            if then is not None and fresh:
                then(fresh)
        outcome.requested += len(begun)
        outcome.left += len(people) - len(begun)
    return outcome


def _request(people: Sequence[Person], asked: Callable[[str, str], Asked]) -> _Request:
    aliases = places()
    with transaction.atomic(using=clock.outbox_alias()):
        scrub.forget(people)
        request = _begin(people, aliases, asked)
        rows = [_row(erasure, aliases[erasure.environment]) for erasure in request.begun]
        if rows:
            enqueue(rows)
        erasure_log.after_commit(request.begun, "requested")
    return request


def _begin(
    people: Sequence[Person], environments: Iterable[str], asked: Callable[[str, str], Asked]
) -> _Request:
    salt = Installation.current().salt
    known = _known([pseudonym(person.profile_id, salt) for person in people])
    request, fresh = _Request(), []
    for environment in environments:
        for person in people:
            erasure = known.get((environment, pseudonym(person.profile_id, salt)))
            if erasure is None:
                one = asked(environment, person.profile_id)
                fresh.append(_new(environment, person, salt, one))
            else:
                request.erasures.append(erasure)
    again = _begin_again([e for e in request.erasures if e.status == Erasure.Status.FAILED])
    request.begun = _create(fresh) + again
    request.erasures = request.begun + [e for e in request.erasures if e not in again]
    return request


def _known(pseudonyms: list[str]) -> dict[tuple[str, str], Erasure]:
    """Return the erasures that are not finished, by environment and customer."""
    unfinished = Erasure.objects.filter(pseudonym__in=pseudonyms, lifted_at=None)
    rows = unfinished.exclude(status=Erasure.Status.DONE).order_by("pk")
    return {(erasure.environment, erasure.pseudonym): erasure for erasure in rows}


def _new(environment: str, person: Person, salt: str, asked: Asked) -> Erasure:
    return Erasure(
        environment=environment,
        pseudonym=pseudonym(person.profile_id, salt),
        profile_id=person.profile_id,
        customer=person.customer,
        operator=asked.operator[:190],
        reason=asked.reason[:255],
        requested_at=asked.at or timezone.now(),
    )


def _create(fresh: list[Erasure]) -> list[Erasure]:
    made = Erasure.objects.bulk_create(fresh)
    if all(erasure.pk for erasure in made):
        return made
    # Some databases do not tell the keys of many new rows.
    whose = [erasure.pseudonym for erasure in fresh]
    requested = Erasure.objects.filter(status=Erasure.Status.REQUESTED, lifted_at=None)
    return list(requested.filter(pseudonym__in=whose))


def _begin_again(failed: list[Erasure]) -> list[Erasure]:
    """Start refused erasures anew; what the operator read in their dead letters is answered."""
    if failed:
        Erasure.objects.filter(pk__in=[e.pk for e in failed]).update(
            status=Erasure.Status.REQUESTED
        )
        keys = [_key(erasure) for erasure in failed]
        DeadLetter.objects.filter(kind=Kind.ERASE, aggregate__in=keys).delete()
    return failed


def _key(erasure: Erasure) -> str:
    return f"erasure:django_talon.erasure:{erasure.pk}"


def _row(erasure: Erasure, alias: str) -> Row:
    return Row(
        lane=_key(erasure),
        aggregate=_key(erasure),
        kind=Kind.ERASE,
        payload={"erasure": erasure.pk},
        priority=-1,
        application=alias,
    )


def lift(customer: Any, *, reason: str, operator: str = "") -> int:
    """Let an erased customer be known to Talon.One again; return how many erasures that ends.

    Raises `ValueError` without a reason.
    """
    found = Erasure.objects.filter(pseudonym=pseudonym(profile_id_of(customer)))
    return lift_all(found, reason=reason, operator=operator)


def lift_all(erasures: QuerySet[Erasure], *, reason: str, operator: str = "") -> int:
    """End erasures: from now on these customers are sent again. Return how many ended.

    One that is not finished is given up. Raises `ValueError` without a reason.
    """
    if not reason.strip():
        raise ValueError("Lifting needs a reason: it is kept with the erasure.")
    with transaction.atomic(using=clock.outbox_alias()):
        standing = list(erasures.filter(lifted_at=None).select_for_update())
        for erasure in standing:
            erasure.lifted_at = timezone.now()
            erasure.lifted_by = operator[:190]
            erasure.lifted_reason = reason.strip()[:255]
            erasure.profile_id = erasure.customer = ""
        fields = ["lifted_at", "lifted_by", "lifted_reason", "profile_id", "customer"]
        Erasure.objects.bulk_update(standing, fields, batch_size=CHUNK)
        erasure_log.after_commit(standing, "lifted")
    return len(standing)


def overdue() -> QuerySet[Erasure]:
    """Return the erasures whose proof is missing ``ERASURE_DEADLINE_DAYS`` after the request."""
    return Erasure.overdue()
