"""Records in Django's own log of what operators did, by id: no name, no address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest


def record(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: Iterable[Any], message: str
) -> None:
    """Write one entry for each row, in one statement for all of them."""
    model = model_admin.model
    kind = ContentType.objects.get_for_model(model, for_concrete_model=False)
    user, name = str(request.user.pk), str(model._meta.verbose_name)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user,
            content_type_id=kind.pk,
            object_id=str(row.pk),
            object_repr=f"{name} {row.pk}"[:200],
            action_flag=CHANGE,
            change_message=message,
        )
        for row in rows
    )
