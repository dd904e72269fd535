"""The action and the page that erase customers at Talon.One; the page asks first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon import privacy
from django_talon.admin import logs, selections
from django_talon.conf import (
    TalonConfigurationError,
    application_settings,
    conf,
    environment_of,
    host_of,
)
from django_talon.models import Erasure
from django_talon.shop.snapshots import SnapshotError

PERMISSION = "django_talon.erase_customer"
PAGE = "talon_erase"
#: Customers in one go.
MOST = 100_000


@admin.action(
    description=_("Erase customer data in Talon.One..."),
    permissions=["talon_erase_customer_data"],
)
def talon_erase_customer_data(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Store who was chosen, and go to the page that asks."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    keys, problem = _keys(queryset)
    if problem:
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    selection = selections.remember(model_admin, request, keys)
    return HttpResponseRedirect(selections.page(model_admin, request, PAGE, selection))


def _keys(customers: QuerySet[Any]) -> tuple[list[Any], str]:
    """Return one primary key of each person, and why they cannot be erased now, if so.

    Of one person there may be several rows: a profile for each environment.
    """
    keys: dict[str, Any] = {}
    try:
        privacy.places()
        for customer, person in privacy.named(customers.iterator(chunk_size=2000)):
            keys.setdefault(person.profile_id, customer.pk)
            if len(keys) > MOST:
                return [], gettext("Please choose at most %d customers at a time.") % MOST
    except (SnapshotError, TalonConfigurationError) as error:
        return [], str(error)
    return list(keys.values()), ""


# Each 500 are a transaction; ten thousand are no single one.
@transaction.non_atomic_requests
def erase_view(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    selection: UUID | None = None,
    object_id: str | None = None,
) -> HttpResponse:
    """Ask; once it is confirmed, request the erasures and say how many."""
    if not request.user.has_perm(PERMISSION) or not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        chosen = selections.chosen(model_admin, request, selection, object_id)
        shown = [(row, privacy.profile_id_of(row)) for row in chosen.first()]
        privacy.places()
    except (selections.Gone, SnapshotError, TalonConfigurationError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        if request.method != "POST":
            return _confirmation(chosen, shown)
        _erase(chosen)
    return HttpResponseRedirect(selections.back(model_admin, request))


def _confirmation(chosen: selections.Chosen, shown: list[tuple[Any, str]]) -> HttpResponse:
    model_admin, request = chosen.model_admin, chosen.request
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Erase customer data in Talon.One?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "customers": shown,
        "count": len(chosen.keys),
        "more": len(chosen.keys) - len(shown),
        "environments": _environments(),
        "seconds": round(conf.LEASE + conf.HOLD),
        "deadline": conf.ERASURE_DEADLINE_DAYS,
        "back": selections.back(model_admin, request),
        "longest_reason": Erasure._meta.get_field("reason").max_length,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/erase_confirmation.html", context)


def _environments() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each environment with alias and host of its Applications."""
    found: dict[str, list[tuple[str, str]]] = {}
    for alias in application_settings():
        found.setdefault(environment_of(alias), []).append((alias, host_of(alias)))
    return sorted(found.items())


def _erase(chosen: selections.Chosen) -> None:
    """Request each erasure, record who did it, and report what was left as well."""
    model_admin, request = chosen.model_admin, chosen.request
    places = ", ".join(privacy.places())
    message = gettext("Requested erasure in Talon.One: %s") % places

    def note(customers: Sequence[Any]) -> None:
        logs.record(model_admin, request, customers, message)

    outcome = privacy.erase_all(
        chosen.rows(),
        operator=request.user.get_username(),
        reason=request.POST.get("reason", "").strip(),
        then=note,
    )
    chosen.settle()
    _report(chosen, outcome)


def _report(chosen: selections.Chosen, outcome: privacy.Outcome) -> None:
    tell, request = chosen.model_admin.message_user, chosen.request
    gone = len(chosen.keys) - outcome.requested - outcome.left
    if outcome.requested:
        tell(request, _requested(chosen.model_admin, request, outcome.requested))
    if outcome.left:
        text = gettext("Left as they are, because their erasure is under way already: %d.")
        tell(request, text % outcome.left, messages.WARNING)
    if gone > 0:
        text = gettext("Not erased, because the shop does not have them any more: %d.")
        tell(request, text % gone, messages.WARNING)


def _requested(model_admin: admin.ModelAdmin[Any], request: HttpRequest, count: int) -> str:
    text = ngettext(
        "The erasure of %d customer is requested. The workers carry it out.",
        "The erasure of %d customers is requested. The workers carry it out.",
        count,
    )
    text %= count
    site = model_admin.admin_site
    if not (site.is_registered(Erasure) and request.user.has_perm("django_talon.view_erasure")):
        return text
    url = reverse("admin:django_talon_erasure_changelist", current_app=site.name)
    return format_html('{} <a href="{}">{}</a>', text, url, gettext("How far it has come"))
