"""Generated codes that nobody has yet."""

from __future__ import annotations

from collections.abc import Container

from .state import Application, CodeSettings, World

_MOST_TRIES = 1000


def fresh(
    world: World, application: Application, taken: Container[str], settings: CodeSettings
) -> str | None:
    """Return a code of the pattern that is not taken; None when there is none left."""
    for _ in range(_MOST_TRIES):
        made = world.ids.code(settings.pattern, settings.characters)
        code = application.settings.code(made)
        if code not in taken:
            return code
    return None
