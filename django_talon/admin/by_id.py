"""A person by the id at Talon.One alone: guests, and others of whom there is no row."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin import erasing, inventories, selections
from django_talon.admin.customers import admin_page
from django_talon.outbox.sessions import LONGEST_ID

PAGE = "talon_by_id"
#: What may be done to a person -> the permission for it.
DOING = {"inventory": inventories.PERMISSION, "erase": erasing.PERMISSION}


class IdForm(forms.Form):
    """Who is meant."""

    profile_id = forms.CharField(
        label=_("Customer's id at Talon.One"),
        help_text=_("The whole id. That of a guest is guest- and the id of their session."),
        max_length=LONGEST_ID,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
    )

    def clean_profile_id(self) -> str:
        found = str(self.cleaned_data["profile_id"])
        if found in {".", ".."}:
            raise forms.ValidationError(gettext("That is no id."))
        return found


def offered(request: HttpRequest) -> list[str]:
    """Return what this person may do here."""
    return [name for name, permission in DOING.items() if request.user.has_perm(permission)]


def urls(model_admin: admin.ModelAdmin[Any]) -> list[URLPattern]:
    """Return the addresses of our pages in this admin."""
    opts = model_admin.opts
    pages: list[tuple[str, str, Any]] = [
        (PAGE, "talon-by-id/", by_id_view),
        (inventories.BY_ID, "talon-by-id/<uuid:selection>/inventory/", inventories.inventory_view),
        (inventories.BY_ID_JSON, "talon-by-id/<uuid:selection>/json/", inventories.json_view),
    ]
    return [
        path(
            where,
            admin_page(model_admin, view),
            name=f"{opts.app_label}_{opts.model_name}_{name}",
        )
        for name, where, view in pages
    ]


@transaction.non_atomic_requests
def by_id_view(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """Ask for the id, then go on to the inventory, or to the page that asks before an erasure."""
    may = offered(request)
    if not may or not model_admin.has_view_permission(request):
        raise PermissionDenied
    form = IdForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wanted = [name for name in DOING if name in request.POST]
        if not set(wanted) <= set(may):
            raise PermissionDenied
        if wanted:
            return _go_on(model_admin, request, wanted[0], form.cleaned_data["profile_id"])
    return _page(model_admin, request, form, may)


def _go_on(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, wanted: str, profile_id: str
) -> HttpResponse:
    selection: UUID = selections.remember(model_admin, request, [profile_id], by_id=True)
    page = inventories.BY_ID if wanted == "inventory" else erasing.PAGE
    return HttpResponseRedirect(selections.page(model_admin, request, page, selection))


def _page(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, form: IdForm, may: list[str]
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Customer by id"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "may": may,
        "back": selections.back(model_admin, request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/by_id.html", context)
