"""Talon.One in Django's admin: what waits, what failed, and the data of customers."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin import site as default_site

from django_talon.admin import (
    coupons,
    dead_letters,
    endpoints,
    erasures,
    outbox,
    profiles,
    progress,
    sessions,
    status,
)
from django_talon.admin.customers import TalonCustomerAdminMixin
from django_talon.admin.panels import TalonAdminMixin

__all__ = [
    "TalonAdminMixin",
    "TalonCustomerAdminMixin",
    "coupons",
    "dead_letters",
    "endpoints",
    "erasures",
    "outbox",
    "profiles",
    "progress",
    "register",
    "sessions",
    "status",
]


def register(site: AdminSite) -> None:
    """Show our pages on another admin site as well."""
    for model, model_admin in list(default_site._registry.items()):
        if model._meta.app_label == "django_talon" and not site.is_registered(model):
            site.register(model, type(model_admin))
