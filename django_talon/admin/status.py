"""The status page: throughput, age, outcomes, endpoints, drift. Needs no internet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from django_talon.admin.links import link_to, link_to_key, list_url
from django_talon.admin.records import RecordAdmin, may
from django_talon.models import DeadLetter, DeliveryLog, Erasure, OutboxRow, Status
from django_talon.models.outbox import Health
from django_talon.outbox import traffic, vital_signs
from django_talon.outbox.vital_signs import MOST

#: Height of the chart's highest bar, in its own units.
HEIGHT = 100
WIDTH = 20


@dataclass(frozen=True)
class Bar:
    """One hour of the chart: a bar of two parts, failed calls on top."""

    hour: traffic.Hour
    x: int
    delivered_y: float
    delivered_height: float
    failed_y: float
    failed_height: float


@admin.register(Status)
class StatusAdmin(RecordAdmin):
    """One page in place of a list."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show how delivery fares."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Status of Talon.One"),
            "opts": self.opts,
            "media": self.media,
            **self._found(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/django_talon/status.html", context)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """There are no rows to open: show the page."""
        return self.changelist_view(request)

    def _found(self, request: HttpRequest) -> dict[str, Any]:
        signs = vital_signs.read()
        calls = traffic.traffic(signs.at)
        return {
            "signs": signs,
            "problems": list(vital_signs.problems(signs)),
            "traffic": calls,
            "bars": bars(calls.hours),
            "chart": {"width": WIDTH * len(calls.hours), "height": HEIGHT},
            "busiest": max(hour.delivered + hour.failed for hour in calls.hours),
            "endpoints": [(sign, Health(sign.health).label) for sign in signs.endpoints],
            "drifts": self._drifts(),
            "drift_count": vital_signs.capped(traffic.drifted()),
            "most": MOST,
            "lists": {
                "waiting": list_url(self.admin_site, OutboxRow),
                "dead_letters": list_url(self.admin_site, DeadLetter, "?decision=none"),
                "erasures": list_url(self.admin_site, Erasure),
                "log": list_url(self.admin_site, DeliveryLog),
            },
            "may_pause": may(request, "pause_endpoint"),
            "may_resume": may(request, "resume_endpoint"),
            "may_test": may(request, "test_endpoint"),
        }

    def _drifts(self) -> list[dict[str, Any]]:
        return [
            {
                "order": link_to_key(self.admin_site, drift.order),
                "session": link_to(self.admin_site, drift.session),
                "drift": drift,
            }
            for drift in traffic.drifts()
        ]


def bars(hours: Sequence[traffic.Hour]) -> list[Bar]:
    """Return where the bars of a chart stand; the busiest hour is as high as the chart."""
    scale = HEIGHT / max(1, *(hour.delivered + hour.failed for hour in hours))
    found = []
    for index, hour in enumerate(hours):
        delivered, failed = hour.delivered * scale, hour.failed * scale
        top = HEIGHT - delivered
        found.append(Bar(hour, index * WIDTH, top, delivered, top - failed, failed))
    return found
