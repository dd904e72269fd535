"""How a check says what is wrong.

An id has one meaning for ever: a check that goes takes its id with it.
"""

from __future__ import annotations

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning


def check_error(number: int, message: str, hint: str) -> CheckMessage:
    """Return an error with the id ``django_talon.E<number>``."""
    return Error(message, hint=hint, id=f"django_talon.E{number:03}")


def check_warning(number: int, message: str, hint: str) -> CheckMessage:
    """Return a warning with the id ``django_talon.W<number>``."""
    return CheckWarning(message, hint=hint, id=f"django_talon.W{number:03}")
