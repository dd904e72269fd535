"""Our actions on the admin of the shop's own customers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from django_talon.admin.erasing import talon_erase_customer_data
from django_talon.admin.inventories import talon_download_customer_inventory
from django_talon.conf import conf
from django_talon.shop.registry import adapters

#: Action -> the permission that guards it.
GUARDED = {
    talon_erase_customer_data: "django_talon.erase_customer",
    talon_download_customer_inventory: "django_talon.view_inventory",
}


class TalonCustomerAdminMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds our actions to a ``ModelAdmin`` on another admin site.

    ``class CustomerAdmin(TalonCustomerAdminMixin, UserAdmin)``. The default site
    needs no mixin: there the registered ``ModelAdmin`` gets the actions by itself.
    """

    def __init__(self, model: Any, admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        add_to(self)


def add_actions() -> None:
    """Add our actions to what the default site has registered for the shop's customers.

    Does nothing if ``ADMIN_ACTIONS`` is off; may be called again.
    """
    if conf.ADMIN_ACTIONS:
        for model_admin in customer_admins():
            add_to(model_admin)


def actions_found() -> bool:
    """Return whether a customer model's admin on the default site offers our actions."""
    return any(_offers(model_admin) for model_admin in customer_admins())


def customer_admins() -> Iterator[admin.ModelAdmin[Any]]:
    """Yield what the default site has registered for each adapter's customers, proxies too."""
    wanted = {adapter.customer_model._meta.concrete_model for adapter in adapters()}
    for model, model_admin in admin.site._registry.items():
        if model._meta.concrete_model in wanted:
            yield model_admin


def add_to(model_admin: admin.ModelAdmin[Any]) -> None:
    """Add our actions to one admin that has them not yet, behind its own.

    ``actions = None`` switches all actions off, so ours as well.
    """
    if model_admin.actions is None or _offers(model_admin):
        return
    model_admin.actions = [*model_admin.actions, *GUARDED]
    for action, permission in GUARDED.items():
        check = partial(_may, action.__name__, permission)
        setattr(model_admin, f"has_{action.__name__}_permission", check)


def _offers(model_admin: admin.ModelAdmin[Any]) -> bool:
    return set(GUARDED) <= set(model_admin.actions or ())


def _may(name: str, permission: str, request: HttpRequest) -> bool:
    """Return whether the action is offered. Raises `PermissionDenied` if it was posted anyway.

    The admin would answer an action that is not offered as if none was selected.
    """
    allowed = request.user.has_perm(permission)
    if not allowed and name in request.POST.getlist("action"):
        raise PermissionDenied
    return allowed
