"""What failed for good: replay it, or discard it with a reason."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin import asking
from django_talon.admin.links import link_to_key
from django_talon.admin.records import RecordAdmin, may
from django_talon.models import DeadLetter
from django_talon.outbox import mapping, redaction
from django_talon.outbox.replay import discard_chosen, replay_chosen


class DecisionFilter(admin.SimpleListFilter):
    """What operators decided about dead letters."""

    title = _("decision")
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("none", _("none yet")), ("replayed", _("replayed")), ("discarded", _("discarded"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = {
            "none": queryset.filter(replayed_at=None, discarded_at=None),
            "replayed": queryset.exclude(replayed_at=None),
            "discarded": queryset.exclude(discarded_at=None),
        }
        return rows.get(self.value() or "", queryset)


@admin.register(DeadLetter)
class DeadLetterAdmin(RecordAdmin):
    """The dead letters, newest first. A request is shown without values."""

    list_display = (
        "about",
        "kind",
        "reason",
        "complaints",
        "decision",
        "created_at",
        "status",
        "operation",
        "application",
    )
    list_display_links = ("kind",)
    list_filter = (DecisionFilter, "kind", "application", "status", "operation")
    search_fields = ("aggregate", "reason")
    ordering = ("-id",)
    actions = ("replay", "discard")
    fieldsets = (
        (None, {"fields": ("about", "kind", "application", "lane", "created_at")}),
        (_("Request"), {"fields": ("operation", "uid", "request_shown")}),
        (_("Answer"), {"fields": ("status", "reason", "complaints")}),
        (
            _("Decision"),
            {"fields": ("replayed_at", "discarded_at", "discarded_by", "discarded_reason")},
        ),
    )
    readonly_fields = ("about", "request_shown", "complaints", "uid")

    @admin.display(description=_("about"), ordering="aggregate")
    def about(self, letter: DeadLetter) -> str:
        return link_to_key(self.admin_site, letter.aggregate)

    @admin.display(description=_("where in the request, and in the shop"))
    def complaints(self, letter: DeadLetter) -> str:
        found = mapping.complaints(letter)
        return format_html_join("", "<div>{}</div>", ((str(complaint),) for complaint in found))

    @admin.display(description=_("decision"))
    def decision(self, letter: DeadLetter) -> str:
        if letter.discarded_at:
            return gettext("discarded")
        return gettext("replayed") if letter.replayed_at else ""

    @admin.display(description=_("request, values taken out"))
    def request_shown(self, letter: DeadLetter) -> str:
        text = redaction.request_of(letter)
        if not text:
            return gettext(
                "Not kept: carts, orders and customers are rendered anew whenever they are sent."
            )
        return format_html("<pre>{}</pre>", text)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return may(request, "replay_deadletter")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return may(request, "discard_deadletter")

    @admin.action(description=_("Replay..."), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Ask, then put the chosen ones back into the outbox, and say what was left out."""
        queryset = asking.shown(request, queryset)
        answer = asking.ask_about(
            self,
            request,
            queryset,
            action="replay",
            form_class=Form,
            title=gettext("Replay dead letters?"),
            consequences=[
                gettext("The workers try again to tell Talon.One of these changes."),
                gettext("Carts, orders and customers are sent as they are by then."),
                gettext("What Talon.One was told already, it does not count twice."),
            ],
            yes=gettext("Yes, replay"),
        )
        if not isinstance(answer, str):
            return answer
        self._replay(request, queryset)
        return None

    def _replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        self.carry_out(
            request,
            queryset,
            replay_chosen(queryset),
            noted="Replayed",
            done=lambda count: (
                ngettext(
                    "%d dead letter is in the outbox again.",
                    "%d dead letters are in the outbox again.",
                    count,
                )
                % count
            ),
            left=gettext(
                "Left as they are, because they were replayed or discarded before, or there was no"
                " time for more: %d."
            ),
        )

    @admin.action(description=_("Discard..."), permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Ask for the reason, then give the chosen ones up and keep them as records."""
        return asking.discard(
            self,
            request,
            queryset,
            discard_chosen,
            title=gettext("Discard dead letters?"),
            consequences=[
                gettext("They stay in this list as a record, with your name and the reason."),
                gettext("Erasures are left: they must be done. Replay them, or lift them."),
            ],
            done=lambda count: (
                ngettext("%d dead letter is discarded.", "%d dead letters are discarded.", count)
                % count
            ),
            left=gettext(
                "Left as they are, because they were replayed or discarded before, are erasures, or"
                " there was no time for more: %d."
            ),
        )
