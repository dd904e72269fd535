"""The action that erases customers, behind a page that asks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _


@admin.action(
    description=_("Erase customer data in Talon.One..."),
    permissions=["talon_erase_customer_data"],
)
def talon_erase_customer_data(model_admin: Any, request: Any, queryset: Any) -> Any:
    raise NotImplementedError
