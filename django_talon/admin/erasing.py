"""The action that erases customers at Talon.One, behind a page that asks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_talon import privacy
from django_talon.conf import applications, conf
from django_talon.models import Erasure
from django_talon.models.privacy import pseudonym
from django_talon.shop.snapshots import SnapshotError

PERMISSION = "django_talon.erase_customer"
#: Customers in one go. The page lists each, so that exactly those are erased.
MOST = 500


@admin.action(
    description=_("Erase customer data in Talon.One..."),
    permissions=["talon_erase_customer_data"],
)
def talon_erase_customer_data(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Ask for confirmation; once that is given, request the erasures and say how many."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    problem = _problem(queryset)
    if problem:
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    if request.POST.get("confirm") != "yes":
        return _confirmation(model_admin, request, queryset)
    _erase(model_admin, request, queryset)
    return None


def _problem(queryset: QuerySet[Any]) -> str:
    """Say why these customers cannot be erased now; an empty string if they can."""
    if not privacy.environments():
        return gettext("TALON_ONE names no Application to erase data in.")
    if queryset.count() > MOST:
        return gettext("Please choose at most %d customers at a time.") % MOST
    try:
        for customer in queryset:
            privacy.profile_id_of(customer)
    except SnapshotError as error:
        return str(error)
    return ""


def _confirmation(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Erase customer data in Talon.One?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "customers": [(customer, privacy.profile_id_of(customer)) for customer in queryset],
        "environments": _environments(),
        "seconds": round(conf.LEASE + conf.HOLD),
        "back": request.get_full_path(),
        "action": talon_erase_customer_data.__name__,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "longest_reason": Erasure._meta.get_field("reason").max_length,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/erase_confirmation.html", context)


def _environments() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each environment with alias and host of its Applications."""
    by_environment = attrgetter("environment")
    return [
        (environment, [(app.alias, urlsplit(app.base_url).netloc) for app in apps])
        for environment, apps in groupby(sorted(applications(), key=by_environment), by_environment)
    ]


def _erase(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, customers: Iterable[Any]
) -> None:
    """Request each erasure, record who did it, and report what was left as well."""
    requested = left = 0
    for customer in customers:
        if not _request(customer, request):
            left += 1
            continue
        requested += 1
        places = ", ".join(app.environment for app in privacy.environments())
        model_admin.log_change(request, customer, f"Requested erasure in Talon.One: {places}")
    if requested:
        model_admin.message_user(request, _report(model_admin, request, requested))
    if left:
        text = gettext("Left as they are, because their erasure is under way already: %d.")
        model_admin.message_user(request, text % left, messages.WARNING)


def _request(customer: Any, request: HttpRequest) -> bool:
    """Request an erasure; return ``False`` if all of it was under way already."""
    known = Erasure.objects.filter(pseudonym=pseudonym(privacy.profile_id_of(customer)))
    before = set(known.values_list("pk", flat=True))
    erasures = privacy.erase(
        customer,
        operator=request.user.get_username(),
        reason=request.POST.get("reason", "").strip(),
    )
    return any(erasure.pk not in before for erasure in erasures)


def _report(model_admin: admin.ModelAdmin[Any], request: HttpRequest, count: int) -> str:
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
