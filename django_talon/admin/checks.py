"""The system check of the admin; registered only where the admin is installed."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.sites import all_sites
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from django_talon.admin.customers import TalonCustomerAdminMixin, actions_found
from django_talon.conf import conf
from django_talon.shop.registry import adapters


def check_admin(**_: Any) -> list[CheckMessage]:
    """Check that the erasure and inventory actions found an admin to live in."""
    if not conf.ADMIN_ACTIONS or not adapters() or actions_found() or _is_mixed_in():
        return []
    hint = (
        "No ModelAdmin of the customer model is registered on Django's own admin site, or"
        " django_talon stands before django.contrib.admin in INSTALLED_APPS. On another admin"
        " site use `from django_talon.admin import TalonCustomerAdminMixin`. To do without the"
        " actions set TALON_ONE['ADMIN_ACTIONS'] = False."
    )
    models = ", ".join(sorted({adapter.customer_model._meta.label for adapter in adapters()}))
    message = f"No admin of {models} was found for the Talon.One actions."
    return [CheckWarning(message, hint=hint, id="django_talon.W004")]


def _is_mixed_in() -> bool:
    """Whether a customer model's admin on a site of the shop's own offers the actions."""
    wanted = {adapter.customer_model._meta.concrete_model for adapter in adapters()}
    return any(
        isinstance(model_admin, TalonCustomerAdminMixin) and model._meta.concrete_model in wanted
        for site in all_sites
        for model, model_admin in site._registry.items()
    )
