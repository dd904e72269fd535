"""
Which published API this client was built for.

The bundled sandbox says in each answer which one it speaks; Talon.One itself does not.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

logger = logging.getLogger("django_talon.client")

#: The hash that a sandbox of the same API shows at ``/_sandbox/health``.
SPECIFICATION = "40a01150e32fd2b9"
HEADER = "X-Sandbox-Specification"
_told: set[str] = set()


def compare(headers: Mapping[str, str]) -> None:
    """Warn, once for each, of a sandbox that was built for another API than this client."""
    found = headers.get(HEADER)
    if found is None or found == SPECIFICATION or found in _told:
        return
    _told.add(found)
    logger.warning(
        "The sandbox speaks the API %s, this client was built for %s: use both from the same"
        " version of django-talon.",
        found[:64],
        SPECIFICATION,
    )
