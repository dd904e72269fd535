"""The erasures: how far each is, its receipt, and the end of it on purpose."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon import privacy
from django_talon.admin import logs, selections
from django_talon.admin.customers import admin_page
from django_talon.admin.records import RecordAdmin
from django_talon.models import Erasure
from django_talon.models.privacy import pseudonym
from django_talon.outbox.scrub import SHORT

LIFT = "django_talon.lift_erasure"
#: Erasures lifted in one go.
MOST = 1000


class OverdueFilter(admin.SimpleListFilter):
    """Those whose deadline has passed without a proof."""

    title = _("deadline")
    parameter_name = "overdue"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("yes", _("overdue"))]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset.filter(pk__in=privacy.overdue().values("pk"))


class LiftForm(forms.Form):
    """Why an erasure ends; without a reason it does not."""

    reason = forms.CharField(
        label=_("Reason (kept with the erasure, so please write no personal data)"),
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


@admin.register(Erasure)
class ErasureAdmin(RecordAdmin):
    """The erasures and their proofs. Customers are shown by their hash, but found by their id."""

    list_display = (
        "hashed",
        "environment",
        "status",
        "deadline",
        "operator",
        "requested_at",
        "confirmed_at",
        "proof_text",
        "withheld",
        "lifted_at",
        "receipt",
    )
    list_filter = (OverdueFilter, "status", "environment")
    search_fields = ("pseudonym",)
    search_help_text = _("The customer's id at Talon.One, or its hash")
    ordering = ("-id",)
    fields = (
        "pseudonym",
        "environment",
        "status",
        "deadline",
        "operator",
        "reason",
        "requested_at",
        "first_sweep_at",
        "second_sweep_at",
        "confirmed_at",
        "proof_text",
        "withheld",
        "withheld_at",
        "lifted_at",
        "lifted_by",
        "lifted_reason",
        "receipt",
    )
    readonly_fields = ("deadline", "proof_text", "receipt")
    actions = ("lift",)

    class Media:
        css = {"all": ("django_talon/admin/privacy.css",)}

    def get_urls(self) -> list[Any]:
        ours = [
            path(
                "lift/<uuid:selection>/",
                admin_page(self, lift_view),
                name="django_talon_erasure_lift",
            ),
            path(
                "<path:object_id>/receipt/",
                admin_page(self, receipt_view),
                name="django_talon_erasure_receipt",
            ),
        ]
        return [*ours, *super().get_urls()]

    @admin.display(description=_("customer (hashed)"), ordering="pseudonym")
    def hashed(self, erasure: Erasure) -> str:
        return erasure.pseudonym[:SHORT]

    @admin.display(description=_("deadline"), ordering="requested_at")
    def deadline(self, erasure: Erasure) -> str:
        if erasure.is_finished:
            return "-"
        day = date_format(timezone.localtime(erasure.due_by), "SHORT_DATE_FORMAT")
        if not erasure.is_overdue:
            return day
        return format_html('<strong class="talon-overdue">{} {}</strong>', day, gettext("overdue"))

    @admin.display(description=_("proof"))
    def proof_text(self, erasure: Erasure) -> str:
        return proof(erasure)

    @admin.display(description=_("receipt"))
    def receipt(self, erasure: Erasure) -> str:
        url = selections.address(self, "receipt", erasure.pk)
        return format_html('<a href="{}">{}</a>', url, gettext("Receipt"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        by_id = Q(pseudonym=pseudonym(term))
        return queryset.filter(by_id | Q(pseudonym__startswith=term)), False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(LIFT)

    @admin.action(description=_("Lift: let these customers be sent again..."), permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Erasure]) -> HttpResponse | None:
        """Store which were chosen, and go to the page that asks for the reason."""
        keys = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
        if len(keys) > MOST:
            text = gettext("Please choose at most %d erasures at a time.") % MOST
            self.message_user(request, text, messages.ERROR)
            return None
        selection = selections.remember(self, request, keys)
        return HttpResponseRedirect(selections.page(self, request, "lift", selection))


def proof(erasure: Erasure) -> str:
    """Say what Talon.One still had when it was read back."""
    if not erasure.proof:
        return "-"
    names = {
        "unknown": gettext("Talon.One does not know the id"),
        "without data": gettext("the id is left, without data"),
        "with data": gettext("data is left"),
    }
    found = str(erasure.proof.get("profile", ""))
    return gettext("%(profile)s; attributes: %(count)s") % {
        "profile": names.get(found, found),
        "count": erasure.proof.get("attributes", 0),
    }


def lift_view(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, selection: UUID
) -> HttpResponse:
    """Ask why; then lift, record who did it, and say how many."""
    if not request.user.has_perm(LIFT) or not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        chosen = selections.chosen(model_admin, request, selection)
    except selections.Gone as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(selections.back(model_admin, request))
    form = LiftForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _ask_why(chosen, form)
    _lift(chosen, form.cleaned_data["reason"])
    return HttpResponseRedirect(selections.back(model_admin, request))


def _ask_why(chosen: selections.Chosen, form: LiftForm) -> HttpResponse:
    model_admin, request = chosen.model_admin, chosen.request
    shown = chosen.first()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Lift erasures?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "erasures": shown,
        "count": len(chosen.keys),
        "more": len(chosen.keys) - len(shown),
        "form": form,
        "back": selections.back(model_admin, request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/lift_confirmation.html", context)


def _lift(chosen: selections.Chosen, reason: str) -> None:
    model_admin, request = chosen.model_admin, chosen.request
    with transaction.atomic():
        standing = [erasure for erasure in chosen.rows() if erasure.lifted_at is None]
        rows = Erasure.objects.filter(pk__in=[erasure.pk for erasure in standing])
        count = privacy.lift_all(rows, reason=reason, operator=request.user.get_username())
        logs.record(model_admin, request, standing, gettext("Lifted: %s") % reason)
        chosen.settle()
    if count:
        text = ngettext("%d erasure is lifted.", "%d erasures are lifted.", count) % count
        model_admin.message_user(request, text)
    left = len(chosen.keys) - count
    if left:
        text = gettext("Left as they are, because they were lifted before: %d.") % left
        model_admin.message_user(request, text, messages.WARNING)


def receipt_view(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, object_id: str
) -> HttpResponse:
    """Show one erasure as a page to print and to file."""
    erasure = model_admin.get_object(request, object_id)
    if erasure is None:
        model_admin.message_user(request, gettext("It is not there any more."), messages.ERROR)
        return HttpResponseRedirect(selections.back(model_admin, request))
    if not model_admin.has_view_permission(request, erasure):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Receipt of an erasure"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "erasure": erasure,
        "proof": proof(erasure),
        "printed_at": timezone.now(),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/erasure_receipt.html", context)
