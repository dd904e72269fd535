"""How the engine says no."""

from __future__ import annotations

from typing import Any


class SeedError(ValueError):
    """A campaign file cannot be used; ``path`` says where in it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class NotEmulatedError(SeedError):
    """A campaign file asks for what the real product has and the sandbox has not."""

    def __init__(self, path: str, what: str) -> None:
        limits = "SANDBOX.md, or `talon-sandbox --limits`"
        super().__init__(path, f"{what} is not emulated; {limits}, lists what is absent".lstrip())


class LazyError(Exception):
    """An error whose words are put together only when somebody reads them."""

    def __str__(self) -> str:
        template, *values = self.args
        return str(template).format(*values)


class Told(tuple[Any, ...]):
    """Words put together only when somebody reads them: a template and its values."""

    __slots__ = ()

    def __str__(self) -> str:
        template, *values = self
        return str(template).format(*values)


class ConditionNotMetError(LazyError):
    """A condition of a rule does not hold."""


INVALID = "The submitted data was invalid"


def problem(title: str, details: str = "", **source: str) -> dict[str, Any]:
    """Return one entry of the ``errors`` list of the documented envelope."""
    entry: dict[str, Any] = {"title": title, "source": source}
    if details:
        entry["details"] = details
    return entry


class RefusedError(Exception):
    """A request answered with a 4xx or 5xx: ``status``, the envelope's parts, and why.

    ``reason`` ends up in the header ``X-Sandbox-Reason``; it is written for developers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[dict[str, Any]] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors or []
        self.reason = reason or message

    def envelope(self) -> dict[str, Any]:
        """Return the body; a plain 400 has no ``StatusCode`` (talon-semantics: ErrorResponse)."""
        body: dict[str, Any] = {"message": self.message, "errors": self.errors}
        if self.status != 400:
            body["StatusCode"] = self.status
        return body


def invalid(*errors: dict[str, Any], reason: str = "") -> RefusedError:
    """Return the 400 that lists every problem of a request body."""
    first = errors[0].get("details") or errors[0]["title"] if errors else INVALID
    return RefusedError(400, INVALID, list(errors), reason or str(first))


def not_found(kind: str, name: str) -> RefusedError:
    """Return the 404 for an entity the world does not hold."""
    return RefusedError(404, f'{kind} "{name}" was not found', [problem("Not found")])
