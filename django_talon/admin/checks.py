"""The system check of the admin; registered only where the admin is installed."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from django_talon.admin.customers import actions_found
from django_talon.conf import conf
from django_talon.shop.registry import adapters


def check_admin(**_: Any) -> list[CheckMessage]:
    """Check that the erasure and inventory actions found an admin to live in."""
    if not conf.ADMIN_ACTIONS or not adapters() or actions_found():
        return []
    hint = (
        "Register one before django_talon in INSTALLED_APPS, use TalonCustomerAdminMixin on your"
        " own admin site, or set TALON_ONE['ADMIN_ACTIONS'] = False."
    )
    message = "No admin of a customer model was found for the Talon.One actions."
    return [CheckWarning(message, hint=hint, id="django_talon.W004")]
