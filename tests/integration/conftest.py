from __future__ import annotations

from typing import Any

import pytest

from django_talon.templatetags import talon_admin


@pytest.fixture
def talon(talon_one: Any, settings: Any) -> Any:
    """A fresh world at the sandbox, and no debounce: what is marked is due at once."""
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0}
    return talon_one


@pytest.fixture(autouse=True)
def one_look_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The banner looks once in each test, also where a test is slow: queries can be counted."""
    monkeypatch.setattr(talon_admin, "FRESH", 3600.0)
    talon_admin.sight.forget()
