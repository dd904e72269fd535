"""What waits, for whom, since when and why. Ids only: no list shows personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin import asking
from django_talon.admin.links import link_to_key
from django_talon.admin.records import RecordAdmin, may
from django_talon.conf import applications, conf
from django_talon.models import DeliveryLog, Endpoint, Lane, OutboxRow
from django_talon.models.outbox import SCHEMA, TRANSITIONS, Health, Why
from django_talon.outbox.replay import give_up_chosen, hurry_chosen


@admin.register(OutboxRow)
class OutboxRowAdmin(RecordAdmin):
    """The changes that Talon.One has not heard of yet."""

    list_display = (
        "about",
        "kind",
        "application",
        "created_at",
        "due_at",
        "attempts",
        "why_it_waits",
    )
    list_display_links = ("kind",)
    list_filter = ("kind", "application")
    search_fields = ("aggregate", "lane")
    ordering = ("due_at", "id")
    fields = (*list_display, "lane")
    readonly_fields = ("about", "why_it_waits")
    actions = ("hurry", "discard")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxRow]:
        """Bring lane and endpoint along: one query, however many rows there are."""
        return with_reasons(super().get_queryset(request))

    @admin.display(description=_("about"), ordering="aggregate")
    def about(self, row: OutboxRow) -> str:
        return link_to_key(self.admin_site, row.aggregate)

    @admin.display(description=_("why it waits"))
    def why_it_waits(self, row: Any) -> str:
        return why(row, timezone.now())

    def has_hurry_permission(self, request: HttpRequest) -> bool:
        return may(request, "hurry_outboxrow")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return may(request, "discard_outboxrow")

    @admin.action(description=_("Try now"), permissions=["hurry"])
    def hurry(self, request: HttpRequest, queryset: QuerySet[OutboxRow]) -> None:
        """Have the chosen rows tried at once, and say which were left."""
        plain = OutboxRow.objects.filter(pk__in=queryset.values("pk"))
        self.carry_out(
            request,
            plain,
            hurry_chosen(plain),
            noted="Tried now",
            done=lambda count: (
                ngettext("%d change is due now.", "%d changes are due now.", count) % count
            ),
            left=gettext(
                "Left as they are, because they are due already, are erasures, or a call for them"
                " may still be under way: %d."
            ),
        )

    @admin.action(description=_("Discard..."), permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[OutboxRow]) -> HttpResponse | None:
        """Ask for the reason, then take the chosen rows out and keep them as dead letters."""
        return asking.discard(
            self,
            request,
            OutboxRow.objects.filter(pk__in=queryset.values("pk")),
            give_up_chosen,
            title=gettext("Discard waiting changes?"),
            consequences=[
                gettext("They are kept among the dead letters, with your name and the reason."),
                gettext("A call that is under way is not called back."),
                gettext("Erasures are left: they must be done."),
            ],
            done=lambda count: (
                ngettext(
                    "%d change is discarded; see the dead letters.",
                    "%d changes are discarded; see the dead letters.",
                    count,
                )
                % count
            ),
            left=gettext("Left as they are, because they are erasures or are gone by now: %d."),
        )


def with_reasons(rows: QuerySet[OutboxRow]) -> QuerySet[OutboxRow]:
    """Annotate waiting rows with what `why` wants to know of their lane and endpoint."""
    lane = Lane.objects.filter(key=OuterRef("lane"))
    endpoint = Endpoint.objects.filter(application=OuterRef("application"))
    current = endpoint.filter(key__in=[app.endpoint for app in applications()])
    stopped = endpoint.exclude(stopped_at=None)
    return rows.annotate(
        lane_why=Subquery(lane.values("why")[:1]),
        lane_blocked_until=Subquery(lane.values("blocked_until")[:1]),
        lane_lease_until=Subquery(lane.exclude(token=None).values("lease_until")[:1]),
        endpoint_health=Subquery(current.values("health")[:1]),
        endpoint_until=Subquery(current.values("until")[:1]),
        stopped_by=Subquery(stopped.values("stopped_by")[:1]),
    )


def why(row: Any, now: datetime) -> str:
    """Say why a row of `with_reasons` has not been delivered yet."""
    if not conf.ENABLED:
        return gettext("TALON_ONE['ENABLED'] is off")
    if row.schema > SCHEMA:
        return gettext("written by a newer release, whose workers deliver it")
    if row.stopped_by is not None:
        return gettext("%s paused the calls to this Application") % (row.stopped_by or "?")
    if row.endpoint_health not in {None, Health.HEALTHY}:
        return _with_time(Health(row.endpoint_health).label, row.endpoint_until)
    return _why_of_lane(row, now)


def _why_of_lane(row: Any, now: datetime) -> str:
    if row.lane_lease_until and row.lane_lease_until > now:
        return gettext("a worker is at it")
    if row.lane_blocked_until and row.lane_blocked_until > now:
        return _with_time(Why(row.lane_why or Why.BACKOFF).label, row.lane_blocked_until)
    if row.due_at > now and row.kind in TRANSITIONS:
        return gettext("waiting for the rest of the order")
    if row.due_at > now and not row.attempts:
        return gettext("not due yet: more changes may follow")
    if row.due_at > now:
        return gettext("not due yet")
    return gettext("due; no worker has taken it up yet")


def _with_time(text: Any, until: datetime | None) -> str:
    if until is None:
        return str(text)
    return f"{text} ({gettext('next try')}: {localize(timezone.localtime(until))})"


@admin.register(DeliveryLog)
class DeliveryLogAdmin(RecordAdmin):
    """The calls of the last days, and how they ended."""

    list_display = (
        "created_at",
        "operation",
        "about",
        "application",
        "state",
        "outcome",
        "status",
        "milliseconds",
    )
    list_display_links = ("created_at",)
    list_filter = ("outcome", "status", "operation", "state", "application", "created_at")
    search_fields = ("aggregate", "session_id")
    ordering = ("-id",)
    fields = (*list_display, "session_id")
    readonly_fields = ("about",)

    @admin.display(description=_("about"), ordering="aggregate")
    def about(self, row: DeliveryLog) -> str:
        return link_to_key(self.admin_site, row.aggregate)


def waiting_for(keys: list[str], most: int) -> list[tuple[OutboxRow, str]]:
    """Return what waits for these carts, orders or customers, each with the reason: one query."""
    now = timezone.now()
    rows = with_reasons(OutboxRow.objects.filter(aggregate__in=keys)).order_by("due_at", "id")
    return [(row, why(row, now)) for row in rows[:most]]
