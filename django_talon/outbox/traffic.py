"""What was called in the last 24 hours, and where a shop and Talon.One differ since.

As in `vital_signs`, the number of queries is the same however many rows there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import timezone as dt_timezone
from decimal import Decimal

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import TruncHour

from django_talon.conf import currency_of
from django_talon.models import CustomerSession, DeliveryLog
from django_talon.outbox.calls import DELIVERED


@dataclass(frozen=True)
class Hour:
    """The calls of one hour."""

    start: datetime
    delivered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Outcome:
    """How often calls ended so; ``name`` is "delivered" or the class of an error."""

    name: str
    status: int | None
    count: int
    last: datetime
    #: How many of them Talon.One may have done all the same.
    ambiguous: int = 0


@dataclass(frozen=True)
class Traffic:
    """The calls of the last 24 hours."""

    #: Oldest first; the last is the hour under way.
    hours: Sequence[Hour]
    #: Most frequent first.
    outcomes: Sequence[Outcome]
    #: Milliseconds within which half of the calls of the last hour ended, and 95 of 100.
    median: int | None
    p95: int | None

    @property
    def delivered(self) -> int:
        return sum(hour.delivered for hour in self.hours)

    @property
    def failed(self) -> int:
        return sum(hour.failed for hour in self.hours)

    @property
    def ambiguous(self) -> int:
        """Calls that Talon.One may have done although no answer says so."""
        return sum(outcome.ambiguous for outcome in self.outcomes)

    @property
    def conflicts(self) -> int:
        """Answers 409: somebody else calls for the same customers, or a worker lost its lease."""
        return sum(outcome.count for outcome in self.outcomes if outcome.status == 409)

    @property
    def error_rate(self) -> float | None:
        """The share of calls that failed, from 0 to 1; ``None`` if there were none."""
        calls = self.delivered + self.failed
        return round(self.failed / calls, 4) if calls else None


def traffic(now: datetime) -> Traffic:
    """Return the calls of the last 24 hours: at most five queries."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    calls = DeliveryLog.objects.filter(created_at__gte=start)
    recent = calls.filter(created_at__gte=now - timedelta(hours=1)).order_by("milliseconds")
    count = recent.count()
    return Traffic(
        hours=_hours(calls, start),
        outcomes=_outcomes(calls),
        median=_at(recent, count // 2, count),
        p95=_at(recent, count * 95 // 100, count),
    )


def _hours(calls: QuerySet[DeliveryLog], start: datetime) -> list[Hour]:
    # In UTC: MySQL knows no other time zone unless it was taught them.
    hour = TruncHour("created_at", tzinfo=dt_timezone.utc)
    found: Counter[tuple[datetime, bool]] = Counter()
    for moment, outcome, count in (
        calls.annotate(hour=hour)
        .values_list("hour", "outcome")
        .annotate(count=Count("id"))
        .order_by("hour")
    ):
        found[moment.astimezone(dt_timezone.utc), outcome == DELIVERED] += count
    moments = [start.astimezone(dt_timezone.utc) + timedelta(hours=n) for n in range(24)]
    return [Hour(moment, found[moment, True], found[moment, False]) for moment in moments]


def _outcomes(calls: QuerySet[DeliveryLog]) -> list[Outcome]:
    grouped = calls.values_list("outcome", "status").order_by("outcome", "status")
    unsure = Count("id", filter=Q(ambiguous=True))
    rows = grouped.annotate(count=Count("id"), last=Max("created_at"), unsure=unsure)
    return sorted((Outcome(*row) for row in rows), key=lambda outcome: -outcome.count)


def _at(calls: QuerySet[DeliveryLog], index: int, count: int) -> int | None:
    if not count:
        return None
    return calls.values_list("milliseconds", flat=True)[min(index, count - 1)]


@dataclass(frozen=True)
class Drift:
    """An order that was edited after its session was closed. Totals are before discounts."""

    session: CustomerSession
    currency: str
    at: datetime

    @property
    def order(self) -> str:
        return self.session.order or self.session.cart

    @property
    def ours(self) -> Decimal | None:
        """What lines and costs sum up to in the shop."""
        return self.session.drift_total

    @property
    def theirs(self) -> Decimal | None:
        """What they summed up to when Talon.One closed the session."""
        return self.session.closed_total

    @property
    def difference(self) -> Decimal | None:
        if self.ours is None or self.theirs is None:
            return None
        return self.ours - self.theirs


def drifted() -> QuerySet[CustomerSession]:
    """Return the sessions whose order differs from what Talon.One closed."""
    return CustomerSession.objects.exclude(drift_at=None).order_by("-drift_at")


def drifts(most: int = 50) -> list[Drift]:
    """Return the latest differences: one query."""
    return [
        Drift(session, currency_of(session.application), session.drift_at)
        for session in drifted()[:most]
        if session.drift_at is not None
    ]
