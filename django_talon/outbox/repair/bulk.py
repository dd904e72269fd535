"""Customers by the bulk call: a thousand profiles at once, as safe as one at a time.

A page is leased like the lane of a single customer, in four queries for all of
it, and read again under the lease. So no worker talks about one of them at the
same time, and none is overtaken by an older picture. Whoever is busy just now
gets a mark instead, and a worker sends them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, transaction
from django.db.models import Q

from django_talon.client import TalonError
from django_talon.conf import Application, conf, route
from django_talon.models import CustomerProfile, DeadLetter, Erasure, Installation, Lane
from django_talon.models.outbox import Kind, Why
from django_talon.models.privacy import pseudonym
from django_talon.outbox import clock, endpoint, lanes, outcomes, rows, sessions
from django_talon.outbox.repair.gaps import LOWEST
from django_talon.outbox.repair.patience import Again, CannotGoOn, Patience
from django_talon.outbox.repair.progress import Run
from django_talon.outbox.repair.scan import Target
from django_talon.outbox.repair.scan import rows as rows_of
from django_talon.outbox.rows import Row
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.snapshots import ProfileSnapshot
from django_talon.signals import delivery_failed

METHOD = "update_customer_profiles_v2"

#: What became of a customer.
SENT, UNCHANGED, ERASED, REFUSED = "sent", "unchanged", "erased", "refused"
BUSY = "left to the workers"

#: Seconds beyond a hold, so that it is over.
MARGIN = 0.1


@dataclass(frozen=True)
class Entry:
    """One customer of a page, rendered."""

    key: str
    snapshot: ProfileSnapshot
    fingerprint: str
    #: Whether something is known to have been sent before.
    is_known: bool = False

    @property
    def body(self) -> dict[str, Any]:
        return {
            "integrationId": self.snapshot.profile_id,
            "attributes": dict(self.snapshot.attributes),
        }


class BulkSender:
    """Sends pages of customers to one Application, and counts what became of each."""

    def __init__(
        self,
        app: Application,
        patience: Patience,
        *,
        resend: bool = False,
        most_refused: int = 100,
        report: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._app = app
        self._patience = patience
        self._resend = resend
        self._most_refused = most_refused
        self._report = report
        self._refused = 0
        #: What became of each customer of the page at hand.
        self._outcomes: dict[str, str] = {}

    def send(self, run: Run, target: Target, page: list[Any]) -> Counter[str]:
        """Bring a page of customers to Talon.One, however long that takes; return the counts.

        Raises `Stopped` and `CannotGoOn`; what was sent by then is known.
        """
        self._outcomes, attempts = {}, 0
        while True:
            probes = self._patience.usable(self._app)
            try:
                self._attempt(run, target, page, attempts)
                return Counter(self._outcomes.values())
            except Again as again:
                attempts += 1
                self._patience.wait(again.verdict.lane_delay + MARGIN)
            finally:
                endpoint.give_back(probes)

    def preview(self, target: Target, page: list[Any]) -> tuple[Counter[str], list[Entry]]:
        """Return what would become of a page of customers, and what would be sent."""
        self._outcomes = {}
        mine = self._ids(target, page, self._unfit)
        chosen = [customer for customer in page if customer.pk in mine]
        entries = list(self._entries(target, chosen, self._unfit))
        self._outcomes.update({entry.key: SENT for entry in entries})
        return Counter(self._outcomes.values()), entries

    def _attempt(self, run: Run, target: Target, page: list[Any], attempts: int) -> None:
        """Lease, read again, send what is not there yet, and give back."""
        ids = self._ids(target, page, self._bury)
        lease = PageLease(self._app, run, ids.values())
        try:
            mine = lease.take(self._patience)
            free = [pk for pk, profile_id in ids.items() if profile_id in mine]
            self._leave_to_workers(target, set(ids) - set(free))
            fresh = list(rows_of(target).filter(pk__in=free).order_by("pk"))
            self._deliver(lease, list(self._entries(target, fresh, self._bury)), attempts)
        except Again as again:
            if again.is_ambiguous:
                lease.hold()
            raise
        finally:
            lease.release()

    def _ids(
        self, target: Target, page: list[Any], failed: Callable[[str, Exception], None]
    ) -> dict[Any, str]:
        """Return the profile ids of the customers of a page that belong to the Application."""
        found = {}
        for customer in page:
            if route(customer) != self._app.alias or self._is_done(target.key(customer.pk)):
                continue
            try:
                if target.adapter.may_be_sent(customer):
                    found[customer.pk] = sessions.checked_profile_id(target.adapter, customer)
            except Exception as error:  # noqa: BLE001  one row of a million
                failed(target.key(customer.pk), error)
        return found

    def _is_done(self, key: str) -> bool:
        """Whether an attempt before this one sent a customer, or had it refused."""
        return self._outcomes.get(key) in {SENT, REFUSED}

    def _leave_to_workers(self, target: Target, busy: set[Any]) -> None:
        """Mark customers that a worker is busy with, or that are blocked."""
        keys = [target.key(pk) for pk in sorted(busy, key=str)]
        fresh = [key for key in keys if self._outcomes.get(key) != BUSY]
        if fresh:
            rows.enqueue(Row(key, key, priority=LOWEST) for key in fresh)
        self._outcomes.update(dict.fromkeys(keys, BUSY))

    def _entries(
        self, target: Target, fresh: list[Any], failed: Callable[[str, Exception], None]
    ) -> Iterator[Entry]:
        """Yield the customers of a page that have to be sent, and note the others."""
        ids = {customer.pk: target.adapter.profile_id(customer) for customer in fresh}
        erased = _erased(self._app, list(ids.values()))
        known = _known(self._app, list(ids.values()))
        for customer in fresh:
            profile_id, key = ids[customer.pk], target.key(customer.pk)
            if profile_id in erased:
                self._outcomes[key] = ERASED
                continue
            try:
                snapshot = ProfileSnapshot(profile_id, target.adapter.attributes(customer))
                before = known.get(profile_id, "")
                entry = Entry(key, snapshot, fingerprint(snapshot), is_known=bool(before))
            except Exception as error:  # noqa: BLE001  one row of a million
                failed(key, error)
                continue
            if before == entry.fingerprint and not self._resend:
                self._outcomes[key] = UNCHANGED
            else:
                yield entry

    def _deliver(self, lease: PageLease, entries: Sequence[Entry], attempts: int) -> None:
        """Send entries; of those refused together, find the ones that are to blame."""
        if not entries:
            return
        lease.keep()
        _forget(self._app, entries)  # until there is an answer nobody knows what Talon.One has
        body = {"customerProfiles": [entry.body for entry in entries]}
        try:
            self._patience.once(
                self._app, "customers", METHOD, body, silent=True, attempts=attempts
            )
        except TalonError as error:
            if len(entries) == 1:
                self._bury(entries[0].key, error)
                return
            middle = len(entries) // 2
            self._deliver(lease, entries[:middle], attempts)
            self._deliver(lease, entries[middle:], attempts)
        else:
            _remember(self._app, entries)
            self._outcomes.update({entry.key: SENT for entry in entries})

    def _unfit(self, key: str, error: Exception) -> None:
        self._outcomes[key] = REFUSED
        self._report(f"{key}: {outcomes.reason(error)}")

    def _bury(self, key: str, error: Exception) -> None:
        """Make a dead letter of one customer, and stop where too many are refused."""
        letter = _bury(self._app, key, error)
        self._outcomes[key] = REFUSED
        self._refused += 1
        self._report(f"{key} became dead letter {letter.pk}: {letter.reason}")
        if self._refused >= self._most_refused:
            raise CannotGoOn(
                f"{self._refused} customers were refused, the last for: {letter.reason}. Mend the"
                " cause, then give the same command again: it goes on where it stopped."
            )


class PageLease:
    """The customers' lanes of one page, leased together."""

    def __init__(self, app: Application, run: Run, profile_ids: Any) -> None:
        self._token, self._previous = run.token, run.previous
        self._lanes = {lanes.profile_lane(app.environment, who): who for who in profile_ids}
        self._expires = 0.0

    def take(self, patience: Patience) -> set[str]:
        """Return the profile ids whose lanes are ours now; nobody is waited for.

        But for a run that was killed: its call may still be under way.
        """
        self._wait_for_the_dead(patience)
        now = clock.now()
        self._expires = time.monotonic() + conf.LEASE
        missing = [Lane(key=key) for key in self._lanes]
        Lane.objects.bulk_create(missing, ignore_conflicts=True)
        free = Q(token=None) | Q(lease_until__lte=now)
        open_ = Q(blocked_until=None) | Q(blocked_until__lte=now)
        self._all().filter(free & open_).update(
            token=self._token, lease_until=self._until(now), served_at=now
        )
        ours = self._all().filter(token=self._token).values_list("key", flat=True)
        return {self._lanes[key] for key in ours}

    def _wait_for_the_dead(self, patience: Patience) -> None:
        if self._previous is None:
            return
        left = self._all().filter(token=self._previous).values_list("lease_until", flat=True)
        ends = max((moment for moment in left if moment), default=None)
        if ends is not None:
            patience.until(ends, "a call of the run that was killed may still be under way")

    def keep(self) -> None:
        """Make sure that a call can be made within the lease."""
        if self._expires - time.monotonic() > 2 * conf.DEADLINE:
            return
        now = clock.now()
        self._expires = time.monotonic() + conf.LEASE
        self._mine().update(lease_until=self._until(now))

    def hold(self) -> None:
        """Keep everybody away for as long as Talon.One may work on a call without an answer."""
        until = clock.now() + timedelta(seconds=conf.HOLD)
        self._mine().update(blocked_until=until, why=Why.HOLD, token=None, lease_until=None)

    def release(self) -> None:
        """Give the lanes back. They hold no rows, so nothing is lost with theirs."""
        self._mine().delete()

    def _all(self) -> Any:
        return Lane.objects.filter(key__in=list(self._lanes))

    def _mine(self) -> Any:
        return self._all().filter(token=self._token)

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=conf.LEASE)


def _erased(app: Application, ids: list[str]) -> set[str]:
    standing = Erasure.objects.filter(environment=app.environment, lifted_at=None)
    if not standing.exists():
        return set()
    salt = Installation.current().salt
    hashed = {pseudonym(profile_id, salt): profile_id for profile_id in ids}
    found = standing.filter(pseudonym__in=list(hashed))
    return {hashed[one] for one in found.values_list("pseudonym", flat=True)}


def _profiles(app: Application, ids: list[str]) -> Any:
    return CustomerProfile.objects.filter(environment=app.environment, profile_id__in=ids)


def _known(app: Application, ids: list[str]) -> dict[str, str]:
    return dict(_profiles(app, ids).values_list("profile_id", "fingerprint"))


def _forget(app: Application, entries: Sequence[Entry]) -> None:
    if ids := [entry.snapshot.profile_id for entry in entries if entry.is_known]:
        _profiles(app, ids).exclude(fingerprint="").update(fingerprint="")


def _remember(app: Application, entries: Sequence[Entry]) -> None:
    """Store what was sent, so that no delivery sends it again; drop what it mends."""
    now = clock.now()
    made = [
        CustomerProfile(
            environment=app.environment,
            profile_id=entry.snapshot.profile_id,
            customer=entry.key,
            fingerprint=entry.fingerprint,
            sent_at=now,
        )
        for entry in entries
    ]
    using = clock.outbox_alias()
    names_target = connections[using].features.supports_update_conflicts_with_target
    with transaction.atomic(using=using):
        CustomerProfile.objects.bulk_create(
            made,
            update_conflicts=True,
            update_fields=["customer", "fingerprint", "sent_at"],
            unique_fields=["environment", "profile_id"] if names_target else None,
        )
        if DeadLetter.objects.filter(replayed_at=None).exists():
            _letters([entry.key for entry in entries]).delete()


def _letters(keys: list[str]) -> Any:
    return DeadLetter.objects.filter(kind=Kind.MARK, aggregate__in=keys, replayed_at=None)


def _bury(app: Application, key: str, error: Exception) -> DeadLetter:
    _letters([key]).delete()
    letter = DeadLetter.objects.create(
        application=app.alias,
        lane=key,
        kind=Kind.MARK,
        aggregate=key,
        uid=Row(key, key).sure_uid,
        status=getattr(error, "status", None),
        operation=getattr(error, "operation", ""),
        reason=outcomes.reason(error)[:500],
        pointers=[[detail.pointer, detail.title] for detail in getattr(error, "errors", [])],
    )
    delivery_failed.send_robust(sender=DeadLetter, dead_letter=letter)
    return letter
