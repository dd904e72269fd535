"""The page at ``/_sandbox/``: worlds, customers, calls and switches. It loads nothing else."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@lru_cache(maxsize=1)
def page() -> bytes:
    """Return the page."""
    return (Path(__file__).parent / "page.html").read_bytes()
