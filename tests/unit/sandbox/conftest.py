"""Feature 15: what the sandbox means is tested without a socket."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_sockets(no_sockets: None) -> None:
    """Forbid sockets in every test of this folder."""
