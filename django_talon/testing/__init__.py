"""What a shop's tests need: ``SandboxServer``, and pytest fixtures in ``testing.plugin``.

Opt in with ``pytest_plugins = ["django_talon.testing.plugin"]``. Importing this package
imports neither Django nor pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import SandboxServer

__all__ = ["SandboxServer"]


def __getattr__(name: str) -> Any:
    if name == "SandboxServer":
        from .server import SandboxServer

        return SandboxServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
