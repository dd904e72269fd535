"""Keep the carts, orders and customers of a Django shop in step with Talon.One.

``import django_talon as talon`` is the door for shop code. Importing it loads
neither models nor Celery nor REST framework; each name brings what it needs
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django_talon._version import __version__

if TYPE_CHECKING:
    from django_talon.checkout import evaluate
    from django_talon.effects.handlers import on_effect
    from django_talon.outbox.marks import link, mark, merged, track
    from django_talon.outbox.submitting import muted, paused

__all__ = [
    "__version__",
    "evaluate",
    "link",
    "mark",
    "merged",
    "muted",
    "on_effect",
    "paused",
    "track",
]

_HOMES = {
    "evaluate": "django_talon.checkout",
    "link": "django_talon.outbox.marks",
    "mark": "django_talon.outbox.marks",
    "merged": "django_talon.outbox.marks",
    "muted": "django_talon.outbox.submitting",
    "on_effect": "django_talon.effects.handlers",
    "paused": "django_talon.outbox.submitting",
    "track": "django_talon.outbox.marks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
