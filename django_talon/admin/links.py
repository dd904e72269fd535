"""Links between our pages and the shop's own, as far as an admin site has them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_talon.models import Erasure
from django_talon.shop.registry import adapter_of_key


def link_to_key(site: AdminSite, key: str) -> str:
    """Return an aggregate key as a link to the shop's admin of that row; no query.

    The plain key where the site has no admin of the model.
    """
    role, _, pk = key.partition(":")
    pk = pk.partition(":")[2]
    try:
        model = Erasure if role == "erasure" else adapter_of_key(key).model(role)
    except (LookupError, ValueError):
        return key
    url = change_url(site, model, pk) if model and pk else ""
    return format_html('<a href="{}">{}</a>', url, key) if url else key


def link_to(site: AdminSite, row: Model, text: Any = None) -> SafeString | str:
    """Return a link to a row's page on this site; its plain text where there is none."""
    url = change_url(site, type(row), row.pk)
    shown = str(row if text is None else text)
    return format_html('<a href="{}">{}</a>', url, shown) if url else shown


def change_url(site: AdminSite, model: type[Model], pk: Any) -> str:
    """Return the address of a row's page on this site, or an empty string."""
    options = model._meta
    if not site.is_registered(model):
        return ""
    name = f"admin:{options.app_label}_{options.model_name}_change"
    try:
        return reverse(name, args=[quote(pk)], current_app=site.name)
    except NoReverseMatch:
        return ""


def list_url(site: AdminSite, model: type[Model], query: str = "") -> str:
    """Return the address of a list on this site, or an empty string."""
    options = model._meta
    if not site.is_registered(model):
        return ""
    name = f"admin:{options.app_label}_{options.model_name}_changelist"
    return reverse(name, current_app=site.name) + query
