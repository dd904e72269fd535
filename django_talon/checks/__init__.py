"""What is wrong, said before the first request."""

from __future__ import annotations

from collections.abc import Callable

from django.core.checks import CheckMessage

from django_talon.checks.adapters import check_adapters
from django_talon.checks.databases import check_database
from django_talon.checks.deployment import check_deployment
from django_talon.checks.settings import check_settings

__all__ = ["CHECKS", "check_adapters", "check_database", "check_deployment", "check_settings"]

CHECKS: list[Callable[..., list[CheckMessage]]] = [
    check_settings,
    check_adapters,
    check_database,
]
