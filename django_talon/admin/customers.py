"""Our actions and pages on the admin of the shop's own customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from django_talon.admin import erasing, inventories, selections
from django_talon.admin.erasing import talon_erase_customer_data
from django_talon.admin.inventories import talon_download_customer_inventory
from django_talon.conf import conf
from django_talon.shop.registry import adapters

#: Action -> the permission that guards it.
GUARDED = {
    talon_erase_customer_data: erasing.PERMISSION,
    talon_download_customer_inventory: inventories.PERMISSION,
}
#: Name and address of each page, and its view.
PAGES: list[tuple[str, str, Callable[..., Any]]] = [
    (erasing.PAGE, "talon-erase/<uuid:selection>/", erasing.erase_view),
    (f"{erasing.PAGE}_one", "<path:object_id>/talon-erase/", erasing.erase_view),
    (inventories.MANY, "talon-inventory/<uuid:selection>/", inventories.many_view),
    (inventories.ZIP, "talon-inventory/<uuid:selection>/zip/", inventories.zip_view),
    (inventories.JSON, "<path:object_id>/talon-inventory/json/", inventories.json_view),
    (inventories.PAGE, "<path:object_id>/talon-inventory/", inventories.inventory_view),
]
#: Field on a customer's page -> permission, page, text.
LINKS = {
    "talon_inventory_link": (
        inventories.PERMISSION,
        inventories.PAGE,
        gettext_lazy("Show what Talon.One and this shop's records of it hold"),
    ),
    "talon_erase_link": (
        erasing.PERMISSION,
        f"{erasing.PAGE}_one",
        gettext_lazy("Erase customer data in Talon.One..."),
    ),
}
LABELS = {
    "talon_inventory_link": gettext_lazy("inventory"),
    "talon_erase_link": gettext_lazy("erasure"),
}


class TalonCustomerAdminMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds our actions and pages to a ``ModelAdmin`` on another admin site.

    ``class CustomerAdmin(TalonCustomerAdminMixin, UserAdmin)``. The default site
    needs no mixin: there the registered ``ModelAdmin`` gets them by itself.
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
    """Add our actions, pages and links to one admin that has them not yet, behind its own.

    ``actions = None`` switches all actions off, so ours as well.
    """
    if model_admin.actions is None or _offers(model_admin):
        return
    model_admin.actions = [*model_admin.actions, *GUARDED]
    for action, permission in GUARDED.items():
        check = partial(_may, action.__name__, permission)
        setattr(model_admin, f"has_{action.__name__}_permission", check)
    _add_pages(model_admin)
    _add_links(model_admin)


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


def _add_pages(model_admin: admin.ModelAdmin[Any]) -> None:
    its_own = model_admin.get_urls

    def get_urls() -> list[Any]:
        opts = model_admin.opts
        ours = [
            path(
                where,
                admin_page(model_admin, view),
                name=f"{opts.app_label}_{opts.model_name}_{name}",
            )
            for name, where, view in PAGES
        ]
        return [*ours, *its_own()]

    model_admin.get_urls = get_urls  # type: ignore[method-assign]


def admin_page(model_admin: admin.ModelAdmin[Any], view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a view of ours as a page of this admin: for staff only, never cached."""

    def bound(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return view(model_admin, request, *args, **kwargs)

    return model_admin.admin_site.admin_view(update_wrapper(bound, view))


def _add_links(model_admin: admin.ModelAdmin[Any]) -> None:
    """Put the links to our pages at the end of a customer's own page."""
    fieldsets, readonly = model_admin.get_fieldsets, model_admin.get_readonly_fields

    def get_readonly_fields(request: HttpRequest, obj: Any = None) -> Any:
        return [*readonly(request, obj), *_links_for(request, obj)]

    def get_fieldsets(request: HttpRequest, obj: Any = None) -> Any:
        found = list(fieldsets(request, obj))
        missing = set(_links_for(request, obj)) - set(flatten_fieldsets(found))
        fields = [name for name in LINKS if name in missing]
        return [*found, ("Talon.One", {"fields": fields})] if fields else found

    for name in LINKS:
        setattr(model_admin, name, _link(model_admin, name))
    model_admin.get_readonly_fields = get_readonly_fields  # type: ignore[method-assign]
    model_admin.get_fieldsets = get_fieldsets  # type: ignore[method-assign]


def _links_for(request: HttpRequest, customer: Any) -> list[str]:
    if customer is None:
        return []
    return [name for name, (permission, *_) in LINKS.items() if request.user.has_perm(permission)]


def _link(model_admin: admin.ModelAdmin[Any], name: str) -> Callable[[Any], str]:
    _permission, page, text = LINKS[name]

    @admin.display(description=LABELS[name])
    def show(customer: Any) -> str:
        url = selections.address(model_admin, page, customer.pk)
        return format_html('<a href="{}">{}</a>', url, text)

    return show
