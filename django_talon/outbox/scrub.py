"""What this shop's own tables hold of people who are erased: deleted, or made nameless.

Closes and cancellations are business facts and still go out, rendered anew
without the person. Ids, states and amounts of sessions stay for the books.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.core.exceptions import EmptyResultSet, FieldError, ValidationError
from django.db.models import F, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.lookups import In

from django_talon.conf import application_settings, environment_of
from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Evaluation,
    Lane,
    OutboxRow,
    Selection,
)
from django_talon.models.identity import Installation, SessionState
from django_talon.models.outbox import TRANSITIONS, Kind
from django_talon.models.privacy import pseudonym
from django_talon.outbox import lanes, statements
from django_talon.outbox.sessions import GUEST
from django_talon.shop.registry import adapters

#: Keys of one statement.
CHUNK = 500
#: Characters of the hash under which the delivery log and the lists remember a person.
SHORT = 12


@dataclass(frozen=True)
class Person:
    """A customer by the id at Talon.One, and by the shop's key where that is known."""

    profile_id: str
    #: Aggregate key such as ``customer:auth.user:3``.
    customer: str = ""


def forget(people: Sequence[Person]) -> None:
    """Drop what the tables hold of people; the number of statements does not grow with them.

    Only their open sessions keep the profile id, until a worker has cancelled them.
    """
    ids = [person.profile_id for person in people]
    keys = [person.customer for person in people if person.customer]
    theirs = CustomerSession.objects.filter(_among("profile_id", ids))
    _forget_waiting(ids, keys, theirs)
    _forget_letters(ids, keys, theirs)
    Evaluation.objects.filter(session__in=theirs.values("pk")).delete()
    EffectRecord.objects.filter(session__in=theirs.values("pk")).update(effect="")
    for name in ("cart", "order"):
        keys_of_theirs = theirs.exclude(**{name: ""}).values(name)
        CodeEntry.objects.filter(cart__in=keys_of_theirs).delete()
    for carts in _chunks(_carts(keys)):
        CodeEntry.objects.filter(cart__in=carts).delete()
        OutboxRow.objects.filter(lane__in=carts, kind=Kind.EVENT).delete()
        DeadLetter.objects.filter(aggregate__in=carts, kind=Kind.EVENT).delete()
    CustomerProfile.objects.filter(_among("profile_id", ids)).update(fingerprint="")
    Selection.objects.filter(_among("keys__0", ids), model__endswith=Selection.BY_ID).delete()
    _rename_in_log(people)
    Lane.objects.filter(_among("key", keys), token=None).delete()


def _forget_waiting(ids: list[str], keys: list[str], theirs: QuerySet[Any]) -> None:
    events = OutboxRow.objects.filter(kind=Kind.EVENT)
    events.filter(_names(ids)).delete()
    events.filter(_about(theirs)).delete()
    in_lanes = OutboxRow.objects.filter(_among("lane", keys))
    in_lanes.filter(kind__in=(Kind.MARK, Kind.EVENT)).delete()
    frozen = OutboxRow.objects.filter(kind__in=TRANSITIONS)
    frozen.filter(_names(ids) | _about(theirs)).update(payload=None)


def _forget_letters(ids: list[str], keys: list[str], theirs: QuerySet[Any]) -> None:
    whose = _names(ids) | _about(theirs)
    letters = DeadLetter.objects.filter(kind=Kind.EVENT)
    letters.filter(whose | _among("aggregate", keys)).delete()
    DeadLetter.objects.filter(_among("aggregate", keys), kind=Kind.MARK).delete()
    DeadLetter.objects.filter(whose, kind__in=TRANSITIONS).update(payload=None)


class _Among(In):
    """``IN``, with one parameter for all texts where the database can read a list."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return self._as_one(compiler, connection, "= ANY(%s)", list(self.rhs))

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        texts = json.dumps(list(self.rhs))
        return self._as_one(compiler, connection, "IN (SELECT value FROM json_each(%s))", texts)

    def _as_one(
        self, compiler: Any, connection: Any, condition: str, texts: Any
    ) -> tuple[str, list[Any]]:
        if not self.rhs:
            raise EmptyResultSet
        column, params = self.process_lhs(compiler, connection)
        return f"{column} {condition}", [*params, texts]


def _among(name: str, texts: list[str]) -> Q:
    """Return a condition: a field, or ``payload__profile_id``, is one of these texts.

    A parameter costs more than the row it finds, and a chunk would have thousands.
    """
    return Q(_Among(KT(name) if "__" in name else F(name), texts))


def _names(ids: list[str]) -> Q:
    """Return a condition: the row's payload names one of these customers."""
    return _among("payload__profile_id", ids)


def _about(theirs: QuerySet[Any]) -> Q:
    """Return a condition: the row is about a cart or order of these sessions."""
    carts = theirs.exclude(cart="").values("cart")
    orders = theirs.exclude(order="").values("order")
    return Q(aggregate__in=carts) | Q(aggregate__in=orders)


def _carts(keys: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the shop's carts of these customers, also of those without a session."""
    for adapter in adapters():
        start = adapter.key("customer", "")
        pks = [key.removeprefix(start) for key in keys if key.startswith(start)]
        if not pks or not adapter.cart_customer:
            continue
        lookup = adapter.cart_customer.replace(".", "__") + "__in"
        with suppress(FieldError, ValueError, ValidationError):  # a property, no relation
            carts = adapter.cart_model._base_manager.filter(**{lookup: pks})
            for pk in carts.values_list("pk", flat=True).iterator(CHUNK):
                yield adapter.key("cart", pk)


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    keys = iter(keys)
    while chunk := list(islice(keys, CHUNK)):
        yield chunk


def nameless(profile_id: str, salt: str | None = None) -> str:
    """Return what stands in the delivery log for an erased customer."""
    return f"erased:{pseudonym(profile_id, salt)[:SHORT]}"


def _rename_in_log(people: Sequence[Person]) -> None:
    salt = Installation.current().salt
    names = {p.customer: nameless(p.profile_id, salt) for p in people if p.customer}
    if names:
        statements.change_each(statements.RENAME, names)


def _rename_guests_session(theirs: QuerySet[Any], person: Person) -> None:
    """Let go of a cancelled session's id, if the guest's is made of it.

    Nothing will be sent of it any more. That of an order is needed for what follows.
    """
    if not person.profile_id.startswith(GUEST):
        return
    session_id = person.profile_id.removeprefix(GUEST)
    name = f"erased:{pseudonym(session_id)}"[:64]
    its_own = theirs.filter(integration_id=session_id)
    its_own.filter(state=SessionState.CANCELLED).update(integration_id=name)
    if not its_own.exists():
        DeliveryLog.objects.filter(session_id=session_id).update(session_id=name)


def finish(person: Person, environment: str) -> None:
    """Forget a person whose data is deleted at Talon.One, and the id with them."""
    forget([person])
    others = [alias for alias in application_settings() if environment_of(alias) != environment]
    theirs = CustomerSession.objects.filter(profile_id=person.profile_id)
    theirs = theirs.exclude(application__in=others)
    _rename_guests_session(theirs, person)
    theirs.update(profile_id="")
    CustomerProfile.objects.filter(environment=environment, profile_id=person.profile_id).delete()
    lanes.forget(lanes.profile_lane(environment, person.profile_id))
