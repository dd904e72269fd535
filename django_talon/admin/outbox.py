"""What waits, what failed, and why. Ids only: no list shows personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin.records import RecordAdmin
from django_talon.conf import applications, conf
from django_talon.models import DeadLetter, DeliveryLog, Endpoint, Lane, OutboxRow
from django_talon.models.outbox import SCHEMA, Health, Why
from django_talon.outbox.replay import replay


@admin.register(OutboxRow)
class OutboxRowAdmin(RecordAdmin):
    """The changes that Talon.One has not heard of yet."""

    list_display = (
        "aggregate",
        "kind",
        "application",
        "created_at",
        "due_at",
        "attempts",
        "why_it_waits",
    )
    list_filter = ("kind", "application")
    search_fields = ("aggregate", "lane")
    ordering = ("due_at", "id")
    fields = (*list_display, "lane")
    readonly_fields = ("why_it_waits",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxRow]:
        """Bring lane and endpoint along: one query, however many rows there are."""
        lane = Lane.objects.filter(key=OuterRef("lane"))
        endpoint = Endpoint.objects.filter(
            application=OuterRef("application"), key__in=[app.endpoint for app in applications()]
        )
        rows: QuerySet[OutboxRow] = super().get_queryset(request)
        return rows.annotate(
            lane_why=Subquery(lane.values("why")[:1]),
            lane_blocked_until=Subquery(lane.values("blocked_until")[:1]),
            lane_lease_until=Subquery(lane.exclude(token=None).values("lease_until")[:1]),
            endpoint_health=Subquery(endpoint.values("health")[:1]),
            endpoint_until=Subquery(endpoint.values("until")[:1]),
        )

    @admin.display(description=_("why it waits"))
    def why_it_waits(self, row: Any) -> str:
        return why(row, timezone.now())


def why(row: Any, now: datetime) -> str:
    """Say why a row of `OutboxRowAdmin.get_queryset` has not been delivered yet."""
    if not conf.ENABLED:
        return gettext("TALON_ONE['ENABLED'] is off")
    if row.schema > SCHEMA:
        return gettext("written by a newer release, whose workers deliver it")
    if row.endpoint_health not in {None, Health.HEALTHY}:
        return _with_time(Health(row.endpoint_health).label, row.endpoint_until)
    return _why_of_lane(row, now)


def _why_of_lane(row: Any, now: datetime) -> str:
    if row.lane_lease_until and row.lane_lease_until > now:
        return gettext("a worker is at it")
    if row.lane_blocked_until and row.lane_blocked_until > now:
        return _with_time(Why(row.lane_why or Why.BACKOFF).label, row.lane_blocked_until)
    if row.due_at > now:
        return gettext("not due yet")
    return gettext("due; no worker has taken it up yet")


def _with_time(text: Any, until: datetime | None) -> str:
    if until is None:
        return str(text)
    return f"{text} ({gettext('next try')}: {localize(timezone.localtime(until))})"


@admin.register(DeadLetter)
class DeadLetterAdmin(RecordAdmin):
    """What failed for good, and the action that tries it once more."""

    list_display = (
        "aggregate",
        "kind",
        "application",
        "operation",
        "status",
        "reason",
        "complaints",
        "created_at",
        "replayed_at",
    )
    list_filter = ("kind", "application", "status", ("replayed_at", admin.EmptyFieldListFilter))
    search_fields = ("aggregate", "reason")
    ordering = ("-id",)
    fields = (*list_display, "lane")
    readonly_fields = ("complaints",)
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_talon.change_deadletter")

    @admin.display(description=_("where in the request"))
    def complaints(self, letter: DeadLetter) -> str:
        return "; ".join(" ".join(map(str, complaint)) for complaint in letter.pointers)

    @admin.action(description=_("Replay"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Put the chosen ones back into the outbox, and say what was left out."""
        fresh = list(queryset.filter(replayed_at=None))
        left = queryset.count() - len(fresh)
        count = replay(fresh)
        left += len(fresh) - count
        for letter in fresh:
            self.log_change(request, letter, "Replayed")
        if count:
            text = ngettext(
                "%d dead letter is in the outbox again.",
                "%d dead letters are in the outbox again.",
                count,
            )
            self.message_user(request, text % count)
        if left:
            text = gettext("Left as they are, because they were replayed before: %d.")
            self.message_user(request, text % left, messages.WARNING)


@admin.register(DeliveryLog)
class DeliveryLogAdmin(RecordAdmin):
    """The calls of the last days, and how they ended."""

    list_display = (
        "created_at",
        "operation",
        "aggregate",
        "application",
        "outcome",
        "status",
        "milliseconds",
    )
    list_filter = ("outcome", "operation", "application")
    search_fields = ("aggregate",)
    ordering = ("-id",)


@admin.register(Endpoint)
class EndpointAdmin(RecordAdmin):
    """Which Applications answer, and which do not."""

    list_display = (
        "application",
        "base_url",
        "health",
        "reason",
        "failures",
        "until",
        "changed_at",
    )
    list_filter = ("health",)
    ordering = ("application", "key")
    fields = list_display
