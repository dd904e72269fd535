"""Django's system checks of this package, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core import checks

from django_talon.conf import conf
from django_talon.doctor.findings import Finding, Level


def find() -> Iterator[Finding]:
    """Yield what ``check --tag talon`` says; with ``DEBUG`` off also what ``--deploy`` adds."""
    deployed = not settings.DEBUG
    for message in checks.run_checks(tags=["talon"], include_deployment_checks=deployed):
        if not message.is_silenced():
            said = None if (message.id or "").startswith("django_talon.") else _level(message)
            yield Finding(message.id or "", str(message.msg), str(message.hint or ""), said)
    if not conf.ENABLED:
        what = "TALON_ONE['ENABLED'] is off: nothing is noted and nothing is delivered."
        do = "Switch it on, then mark what changed meanwhile."
        yield Finding("django_talon.I101", what, do)


def _level(message: checks.CheckMessage) -> Level:
    if message.level >= checks.ERROR:
        return Level.ERROR
    return Level.WARNING if message.level >= checks.WARNING else Level.INFO
