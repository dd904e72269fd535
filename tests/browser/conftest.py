from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import chromium


@pytest.fixture
def browser(tmp_path: Any) -> Iterator[chromium.Chromium]:
    """A headless Chromium of its own; without one the test is skipped, but never in CI."""
    program = chromium.find()
    if program is None:
        reason = f"needs one of {', '.join(chromium.PROGRAMS)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    opened = chromium.Chromium(program, tmp_path / "profile")
    yield opened
    opened.close()


@pytest.fixture
def talon(talon_one: Any, settings: Any) -> Any:
    """A fresh world at the sandbox, and no debounce: what is marked is due at once."""
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0}
    return talon_one
