"""What an operator has chosen and is asked about: a row here, not thousands of hidden fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from django_talon.models import Selection
from django_talon.models.privacy import pseudonym
from django_talon.outbox.scrub import SHORT, Person

#: Rows of one query.
CHUNK = 500
#: Rows that a page shows of what was chosen.
SHOWN = 20
#: How long a page that asks may be left open.
OPEN_FOR = timedelta(hours=12)


class Someone(Person):
    """Stands for the row of a person of whom there is none."""

    @property
    def pk(self) -> str:
        """The hash under which Django's log may remember them."""
        return pseudonym(self.profile_id)[:SHORT]

    def __str__(self) -> str:
        return gettext("Customer by id")


class Gone(Exception):
    """What was chosen cannot be found any more; the message is for the operator."""


@dataclass
class Chosen:
    """The rows that a page is about."""

    model_admin: admin.ModelAdmin[Any]
    request: HttpRequest
    keys: list[str]
    #: ``None`` where the page is about one row by its address.
    selection: Selection | None = None

    @property
    def is_by_id(self) -> bool:
        """Whether the keys are ids at Talon.One."""
        return self.selection is not None and self.selection.model.endswith(Selection.BY_ID)

    def rows(self) -> Iterator[Any]:
        """Yield what is there now of the chosen rows, 500 in a query."""
        if self.is_by_id:
            yield from map(Someone, self.keys)
            return
        rows = self.model_admin.get_queryset(self.request)
        for start in range(0, len(self.keys), CHUNK):
            yield from rows.filter(pk__in=self.keys[start : start + CHUNK]).order_by("pk")

    def first(self) -> list[Any]:
        """Return the rows that the page shows."""
        if self.is_by_id:
            return [Someone(key) for key in self.keys[:SHOWN]]
        rows = self.model_admin.get_queryset(self.request)
        return list(rows.filter(pk__in=self.keys[:SHOWN]).order_by("pk"))

    def settle(self) -> None:
        """Forget the selection: the question is answered."""
        if self.selection is not None:
            self.selection.delete()


def remember(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    keys: Iterable[Any],
    *,
    by_id: bool = False,
) -> UUID:
    """Store what an operator has chosen; return the id by which a page asks about it."""
    label = model_admin.opts.label_lower
    made = Selection.objects.create(
        owner=str(request.user.pk),
        model=f"{label}{Selection.BY_ID}" if by_id else label,
        keys=[str(key) for key in keys],
    )
    return made.pk


def chosen(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    selection: UUID | None = None,
    object_id: str | None = None,
) -> Chosen:
    """Return what a page is about. Raises `Gone`."""
    if object_id is not None:
        row = model_admin.get_object(request, unquote(object_id))
        if row is None:
            raise Gone(gettext("It is not there any more."))
        return Chosen(model_admin, request, [str(row.pk)])
    label = model_admin.opts.label_lower
    found = Selection.objects.filter(
        pk=str(selection),
        owner=str(request.user.pk),
        model__in=(label, f"{label}{Selection.BY_ID}"),
        created_at__gt=timezone.now() - OPEN_FOR,
    ).first()
    if found is None:
        text = gettext("That question was answered already, or it was asked too long ago.")
        raise Gone(text)
    return Chosen(model_admin, request, found.keys, found)


def page(model_admin: admin.ModelAdmin[Any], request: HttpRequest, name: str, *args: Any) -> str:
    """Return the address of one of our pages of this admin; the list's filters go along."""
    url = address(model_admin, name, *args)
    filters = model_admin.get_preserved_filters(request)
    return f"{url}?{filters}" if filters else url


def address(model_admin: admin.ModelAdmin[Any], name: str, *args: Any) -> str:
    """Return the address of a page of this admin."""
    opts = model_admin.opts
    full = f"admin:{opts.app_label}_{opts.model_name}_{name}"
    quoted = [quote(arg) for arg in args]
    return reverse(full, args=quoted, current_app=model_admin.admin_site.name)


def back(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> str:
    """Return the address of the list that the operator came from."""
    url = address(model_admin, "changelist")
    filters = request.GET.get("_changelist_filters", "")
    return f"{url}?{filters}" if filters else url
