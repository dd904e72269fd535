from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def talon(talon_one: Any, settings: Any) -> Any:
    """A fresh world at the sandbox, and no debounce: what is marked is due at once."""
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0}
    return talon_one
