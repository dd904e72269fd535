"""The banner on the admin's index: a template that extends the shop's own, and nothing else."""

from __future__ import annotations

from django.contrib.admin import AdminSite

from django_talon.conf import conf

TEMPLATE = "admin/django_talon/index.html"


def add_banner() -> None:
    """Let admin sites use our index template, which extends ``admin/index.html``.

    Sites that name an ``index_template`` of their own keep it; there
    ``{% load talon_admin %}{% talon_banner %}`` shows the banner.
    """
    if conf.ADMIN_BANNER and AdminSite.index_template is None:
        AdminSite.index_template = TEMPLATE
