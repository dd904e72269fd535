"""SANDBOX.md says of every operation what the sandbox does with it."""

from __future__ import annotations

import re
from pathlib import Path

from django_talon.sandbox.handlers import HANDLERS
from django_talon.sandbox.operations import EMULATED, OPERATIONS

PAGE = Path(__file__).parents[3] / "SANDBOX.md"


def test_emu_26_every_operation_is_marked():
    rows = re.findall(r"^\| (\w+) \| `(\w+) (/v\S+)` \| (\w+)", PAGE.read_text(), re.MULTILINE)
    marked = {(name, method): state for name, method, _, state in rows}
    assert set(marked) == {(operation.name, operation.method) for operation in OPERATIONS}
    for operation in OPERATIONS:
        emulated = marked[operation.name, operation.method] in {"emulated", "partial"}
        assert emulated is operation.emulated


def test_every_emulated_operation_has_its_handler():
    assert set(HANDLERS) == {operation.name for operation in EMULATED}
