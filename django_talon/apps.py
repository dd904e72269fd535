from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class TalonConfig(AppConfig):
    """Wiring only: no query, no network."""

    name = "django_talon"
    label = "django_talon"
    verbose_name = _("Talon.One")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_talon.checks import CHECKS, check_deployment
        from django_talon.outbox.receivers import connect_all
        from django_talon.privacy.deletions import connect

        autodiscover_modules("talon")
        connect_all()
        connect()
        for check in CHECKS:
            checks.register(check, "talon")
        checks.register(check_deployment, "talon", deploy=True)
        self._join_the_admin()

    def _join_the_admin(self) -> None:
        from django.apps import apps

        if apps.is_installed("django.contrib.admin"):
            from django_talon.admin.banner import add_banner
            from django_talon.admin.checks import check_admin
            from django_talon.admin.customers import add_actions

            add_actions()
            add_banner()
            checks.register(check_admin, "talon")
