"""Answers of the sandbox that no engine made: errors, and what fault rules put in their place."""

from __future__ import annotations

from . import wire
from .engine.errors import RefusedError, problem
from .wire import Answer, Json, Request

_LONGEST_REASON = 1000
_JUNK = b"<!doctype html><title>Bad gateway</title><h1>The proxy says hello</h1>"


def answer_to(refused: RefusedError) -> Answer:
    """Return the answer for a refused request, with the reason as a header."""
    reason = ascii(refused.reason)[1:-1][:_LONGEST_REASON]
    return wire.json_answer(refused.status, refused.envelope(), {"X-Sandbox-Reason": reason})


def unauthorised(reason: str) -> RefusedError:
    """Return the 401; its text is a guess, the schema is not."""
    return RefusedError(401, "Invalid API key", reason=reason)


def no_route(request: Request, allowed: list[str]) -> RefusedError:
    """Return the 404 for an unknown path, or the 405 for a known one."""
    if allowed:
        message = f"{request.method} is not allowed for {request.path}"
        return RefusedError(405, message, [problem("Method not allowed", ", ".join(allowed))])
    message = f"No operation at {request.method} {request.path}"
    return RefusedError(404, message, [problem("Not found", request.path)])


def injected(parameters: Json) -> Answer:
    """Return the answer of a fault rule's ``status`` action."""
    refused = RefusedError(parameters["code"], "Injected by a fault rule")
    headers = {"X-Sandbox-Reason": "fault"}
    if "retryAfter" in parameters:
        headers["Retry-After"] = str(parameters["retryAfter"]).replace("\r", "").replace("\n", "")
    body = parameters.get("body", refused.envelope())
    return wire.json_answer(refused.status, body, headers)


def junk() -> Answer:
    """Return what a misled proxy says: 200 and a page."""
    return Answer(200, _JUNK, {"Content-Type": "text/html"})
