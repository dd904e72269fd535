"""The action that downloads what Talon.One knows of customers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _


@admin.action(
    description=_("Download customer inventory"),
    permissions=["talon_download_customer_inventory"],
)
def talon_download_customer_inventory(model_admin: Any, request: Any, queryset: Any) -> Any:
    raise NotImplementedError
