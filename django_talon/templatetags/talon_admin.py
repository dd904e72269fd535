"""The banner for admin pages: urgent problems of delivery, for those who may see the status."""

from __future__ import annotations

import time
from typing import Any

from django import template
from django.db import DatabaseError, transaction
from django.urls import NoReverseMatch, reverse

from django_talon.conf import conf
from django_talon.outbox import clock, vital_signs
from django_talon.outbox.vital_signs import Problem

register = template.Library()

#: Seconds for which a process shows what it saw last.
FRESH = 10.0


class _Sight:
    """The urgent problems, looked up once in a while."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._seen_at = -FRESH * 2
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        if time.monotonic() - self._seen_at > FRESH:
            self._problems = _look()
            self._seen_at = time.monotonic()
        return self._problems


sight = _Sight()


def _look() -> list[Problem]:
    """Return the urgent problems; none where our tables are not there yet."""
    try:
        with transaction.atomic(using=clock.outbox_alias()):
            signs = vital_signs.read()
    except DatabaseError:
        return []
    return [problem for problem in vital_signs.problems(signs) if problem.is_urgent]


@register.inclusion_tag("admin/django_talon/banner.html", takes_context=True)
def talon_banner(context: Any) -> dict[str, Any]:
    """Show the urgent problems to those who may see the status page."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if not conf.ADMIN_BANNER or user is None or not user.has_perm("django_talon.view_status"):
        return {"problems": []}
    return {"problems": sight.problems(), "status_url": _status_url(request)}


def _status_url(request: Any) -> str:
    name = getattr(request, "current_app", None) or getattr(request.resolver_match, "namespace", "")
    try:
        return reverse("admin:django_talon_status_changelist", current_app=name or None)
    except NoReverseMatch:
        return ""
