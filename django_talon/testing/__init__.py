"""What a shop's tests need: ``SandboxServer``, and pytest fixtures in ``testing.plugin``.

Opt in with ``pytest_plugins = ["django_talon.testing.plugin"]``. ``RunningSandbox`` orders about
one that runs in another process. Importing this package imports neither Django nor pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .remote import RunningSandbox
    from .server import SandboxServer

__all__ = ["RunningSandbox", "SandboxServer"]


def __getattr__(name: str) -> Any:
    if name == "SandboxServer":
        from .server import SandboxServer

        return SandboxServer
    if name == "RunningSandbox":
        from .remote import RunningSandbox

        return RunningSandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
