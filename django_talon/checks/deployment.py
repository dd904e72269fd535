"""What ``check --deploy`` says: that a shop in production talks to Talon.One itself."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage

from django_talon.checks.messages import check_error
from django_talon.conf import SANDBOX_KEY, application_settings, conf, has_sandbox_key


def check_deployment(**_: Any) -> list[CheckMessage]:
    """Refuse the sandbox's address or key where ``DEBUG`` is off."""
    if settings.DEBUG or not conf.ENABLED:
        return []
    return [
        check_error(
            32,
            f"With DEBUG = False the Talon.One application {alias!r} points at a sandbox: {why}.",
            "The sandbox forgets everything when it ends: set BASE_URL and API_KEY of your"
            " deployment.",
        )
        for alias, app in application_settings().items()
        if (why := _sandboxed(app))
    ]


def _sandboxed(app: Mapping[str, Any]) -> str:
    """Return what shows that an application is a sandbox, "" if nothing does."""
    try:
        host = urlsplit(str(app.get("BASE_URL", ""))).hostname or ""
    except ValueError:
        return ""  # E003 says it
    if host == "localhost" or _is_loopback(host):
        return f"{host} is this machine"
    return f"API_KEY begins with {SANDBOX_KEY!r}" if _has_sandbox_key(app) else ""


def _has_sandbox_key(app: Mapping[str, Any]) -> bool:
    try:
        return has_sandbox_key(app)
    except Exception:  # noqa: BLE001  the shop's own function, whose vault may be away
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
