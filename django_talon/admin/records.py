"""Admins of rows that are records of what happened, not forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows to those with Django's view permission; nobody adds, changes or deletes."""

    show_full_result_count = False

    class Media:
        css = {"all": ["django_talon/admin.css"]}

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def carry_out(
        self,
        request: HttpRequest,
        chosen: QuerySet[Any],
        parts: Iterable[list[Any]],
        *,
        noted: str,
        done: Callable[[int], str],
        left: str,
    ) -> None:
        """Do something part by part, leave a `LogEntry` for each row, report done and left."""
        wanted, count = chosen.count(), 0
        for rows in parts:
            note(request, rows, noted)
            count += len(rows)
        self.tell(request, done(count) if count else "", wanted - count, left)

    def tell(self, request: HttpRequest, done: str, left: int, why_left: str) -> None:
        """Report what was done and what was left."""
        if done:
            self.message_user(request, done)
        if left:
            self.message_user(request, why_left % left, messages.WARNING)


def may(request: HttpRequest, permission: str) -> bool:
    """Return whether this person has one of our permissions, given by its codename."""
    return request.user.has_perm(f"django_talon.{permission}")


def demand(request: HttpRequest, *permissions: str) -> None:
    """Raise `PermissionDenied` unless this person has all of these."""
    if not all(may(request, permission) for permission in permissions):
        raise PermissionDenied


def note(request: HttpRequest, rows: Iterable[Any], message: str) -> None:
    """Leave a `LogEntry` for each row that somebody acted upon."""
    user: Any = request.user
    LogEntry.objects.log_actions(user.pk, rows, CHANGE, change_message=message)
