"""The action and the pages that show and download what is known of customers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_talon import privacy
from django_talon.admin import inventory_page, logs, selections
from django_talon.client import TalonError
from django_talon.shop.snapshots import SnapshotError

PERMISSION = "django_talon.view_inventory"
PAGE = "talon_inventory"
JSON = "talon_inventory_json"
MANY = "talon_inventories"
ZIP = "talon_inventories_zip"
BY_ID = "talon_by_id_inventory"
BY_ID_JSON = "talon_by_id_json"
#: Customers in one go: Talon.One is asked for each while the operator waits.
MOST = 200
#: Seconds from one question to Talon.One to the next, so that shoppers come first.
PACE = 0.05


@admin.action(
    description=_("Show or download customer inventory..."),
    permissions=["talon_download_customer_inventory"],
)
def talon_download_customer_inventory(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponseBase | None:
    """Go to the page of one customer, or to that of several."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    keys = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    problem = ""
    if not privacy.environments():
        problem = gettext("TALON_ONE names no Application to ask.")
    elif len(keys) > MOST:
        text = gettext("Please choose at most %d customers at a time, or use talon_export.")
        problem = text % MOST
    if problem:
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    if len(keys) == 1:
        return HttpResponseRedirect(selections.page(model_admin, request, PAGE, keys[0]))
    selection = selections.remember(model_admin, request, keys)
    return HttpResponseRedirect(selections.page(model_admin, request, MANY, selection))


class _Problem(Exception):
    """What to tell the operator instead."""


def _may_or_raise(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION) or not model_admin.has_view_permission(request):
        raise PermissionDenied


def _inventory(customer: Any, operator: str) -> dict[str, Any]:
    """Ask Talon.One. Raises `_Problem`."""
    if not privacy.environments():
        raise _Problem(gettext("TALON_ONE names no Application to ask."))
    try:
        return privacy.inventory(customer, operator=operator)
    except SnapshotError as error:
        raise _Problem(str(error)) from None
    except TalonError as error:
        text = gettext("Talon.One did not give the inventory (%s). Nothing was shown.")
        raise _Problem(text % privacy.told(error)) from None


def _asked(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    object_id: str | None,
    selection: UUID | None,
    message: str,
) -> tuple[Any, dict[str, Any]]:
    """Return a customer and their inventory; record who asked for it. Raises `_Problem`."""
    _may_or_raise(model_admin, request)
    try:
        [customer] = selections.chosen(model_admin, request, selection, object_id).first()
    except selections.Gone as error:
        raise _Problem(str(error)) from None
    found = _inventory(customer, request.user.get_username())
    logs.record(model_admin, request, [customer], message)
    return customer, found


def _sorry(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, problem: Exception
) -> HttpResponseBase:
    model_admin.message_user(request, str(problem), messages.ERROR)
    return HttpResponseRedirect(selections.back(model_admin, request))


# No transaction may be open while Talon.One is asked.
@transaction.non_atomic_requests
def inventory_view(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    object_id: str | None = None,
    selection: UUID | None = None,
) -> HttpResponseBase:
    """Show what is known of one customer; record who looked."""
    message = gettext("Looked at the inventory from Talon.One")
    try:
        customer, found = _asked(model_admin, request, object_id, selection, message)
    except _Problem as problem:
        return _sorry(model_admin, request, problem)
    context = {
        **model_admin.admin_site.each_context(request),
        **inventory_page.context(found),
        "title": gettext("Customer inventory"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "customer": customer,
        "download": selections.page(
            model_admin,
            request,
            BY_ID_JSON if selection else JSON,
            selection or customer.pk,
        ),
        "back": selections.back(model_admin, request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/inventory.html", context)


@transaction.non_atomic_requests
def json_view(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    object_id: str | None = None,
    selection: UUID | None = None,
) -> HttpResponseBase:
    """Send one customer's inventory as a JSON file; record who took it."""
    message = gettext("Downloaded the inventory from Talon.One")
    try:
        customer, found = _asked(model_admin, request, object_id, selection, message)
    except _Problem as problem:
        return _sorry(model_admin, request, problem)
    name = privacy.file_name(customer)
    return FileResponse(BytesIO(_content(found)), as_attachment=True, filename=name)


def _content(inventory: dict[str, Any]) -> bytes:
    return json.dumps(inventory, indent=2, ensure_ascii=False).encode()


@transaction.non_atomic_requests
def many_view(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, selection: UUID
) -> HttpResponseBase:
    """Show who was chosen, with a link to each and to the ZIP. Asks Talon.One nothing."""
    _may_or_raise(model_admin, request)
    try:
        chosen = selections.chosen(model_admin, request, selection)
    except selections.Gone as error:
        return _sorry(model_admin, request, error)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Customer inventories"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "count": len(chosen.keys),
        "customers": [
            (row, selections.page(model_admin, request, PAGE, row.pk)) for row in chosen.rows()
        ],
        "download": selections.address(model_admin, ZIP, selection),
        "back": selections.back(model_admin, request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/inventories.html", context)


@transaction.non_atomic_requests
def zip_view(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, selection: UUID
) -> HttpResponseBase:
    """Send a ZIP of inventories as they come from Talon.One; record whose were in it."""
    _may_or_raise(model_admin, request)
    try:
        chosen = selections.chosen(model_admin, request, selection)
    except selections.Gone as error:
        return _sorry(model_admin, request, error)
    headers = {"Content-Disposition": 'attachment; filename="inventories.zip"'}
    return StreamingHttpResponse(_zip(chosen), content_type="application/zip", headers=headers)


class _Pieces:
    """A file that is only ever written to, and read as it grows."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _unanswered(customer: Any, found: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"customer": str(customer.pk), "environment": environment, "why": why}
        for environment, why in found["unanswered"].items()
    ]


def _zip(chosen: selections.Chosen) -> Iterator[bytes]:
    """Yield the ZIP; ``not-there.json`` in it names those of whom some answer is missing."""
    pieces, missing = _Pieces(), []
    operator = chosen.request.user.get_username()
    message = gettext("Downloaded the inventory from Talon.One")
    with ZipFile(pieces, "w", ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for customer in chosen.rows():
            asked = time.monotonic()
            try:
                found = _inventory(customer, operator)
                archive.writestr(privacy.file_name(customer), _content(found))
            except _Problem as problem:
                missing.append({"customer": str(customer.pk), "why": str(problem)})
            else:
                missing += _unanswered(customer, found)
                logs.record(chosen.model_admin, chosen.request, [customer], message)
            yield pieces.take()
            time.sleep(max(0.0, PACE - (time.monotonic() - asked)))
        if missing:
            archive.writestr("not-there.json", json.dumps(missing, indent=2, ensure_ascii=False))
    yield pieces.take()
