"""The Python blocks of a page, found by the comment in their first line."""

from __future__ import annotations

import re
from pathlib import Path

SETTINGS = "settings.py"
ADAPTER = "shop/talon.py"

FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(page: Path) -> list[str]:
    return FENCED.findall(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> dict[str, str]:
    """Return the blocks that name a file, such as ``# shop/talon.py``, by that name."""
    found = {}
    for block in python_blocks(page):
        name = re.match(r"# (\S+\.py)\n", block)
        if name:
            found[name[1]] = block
    return found
