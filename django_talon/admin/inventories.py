"""The action that downloads what Talon.One knows of customers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_talon import privacy
from django_talon.client import TalonError
from django_talon.shop.snapshots import SnapshotError

PERMISSION = "django_talon.view_inventory"
#: Customers in one go: Talon.One is asked for each while the operator waits.
MOST = 20


@admin.action(
    description=_("Download customer inventory"),
    permissions=["talon_download_customer_inventory"],
)
def talon_download_customer_inventory(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> FileResponse | None:
    """Send a JSON file for one customer, a ZIP of them for several; record who looked."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    try:
        files = _files(queryset)
    except _Problem as problem:
        model_admin.message_user(request, str(problem), messages.ERROR)
        return None
    for customer in queryset:
        model_admin.log_change(request, customer, "Downloaded the inventory from Talon.One")
    return _download(files)


class _Problem(Exception):
    """What to tell the operator instead of sending a file."""


def _files(customers: QuerySet[Any]) -> dict[str, bytes]:
    """Return name and content of each file. Raises `_Problem`."""
    if not privacy.environments():
        raise _Problem(gettext("TALON_ONE names no Application to ask."))
    if customers.count() > MOST:
        raise _Problem(gettext("Please choose at most %d customers at a time.") % MOST)
    try:
        return {_name(customer): _content(privacy.inventory(customer)) for customer in customers}
    except SnapshotError as error:
        raise _Problem(str(error)) from None
    except TalonError as error:
        told = f"{type(error).__name__} {error.status or ''}".strip()
        text = gettext("Talon.One did not give the inventory (%s). Nothing was downloaded.")
        raise _Problem(text % told) from None


def _name(customer: Any) -> str:
    return f"inventory-{quote(str(customer.pk), safe='')}.json"


def _content(inventory: Mapping[str, Any]) -> bytes:
    return json.dumps(inventory, indent=2, ensure_ascii=False).encode()


def _download(files: Mapping[str, bytes]) -> FileResponse:
    [name, *others] = files
    content = BytesIO(files[name])
    if others:
        name, content = "inventories.zip", _zip(files)
    return FileResponse(content, as_attachment=True, filename=name)


def _zip(files: Mapping[str, bytes]) -> BytesIO:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    packed.seek(0)
    return packed
