"""Answers kept by ``Idempotency-Key``, so that a repeated request changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .engine.errors import RefusedError, problem
from .engine.state import Clock
from .operations import EMULATED
from .wire import Answer, Request

OPERATIONS = {operation.name for operation in EMULATED if operation.repeatable}
KEPT_FOR = timedelta(hours=24)
LONGEST = 255


class KeyReusedError(RefusedError):
    """The 400 for a key that another request has used."""


@dataclass
class _Kept:
    fingerprint: tuple[str, bytes]
    at: datetime
    answer: Answer | None = None


class Answers:
    """The answers of one world; a key is scoped to application, method and path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str, str], _Kept] = {}
        self._lock = threading.Lock()

    def copy(self, clock: Clock | None = None) -> Answers:
        """Return the same answers in a store of their own."""
        made = Answers(clock or self._clock)
        with self._lock:
            made._kept = {scope: kept for scope, kept in self._kept.items() if kept.answer}
        return made

    def once(
        self, application: str, request: Request, apply: Callable[[], Answer]
    ) -> tuple[Answer, bool]:
        """Return the answer and whether it is a replay; only 2xx answers are kept."""
        key = request.headers["idempotency-key"]
        if len(key) > LONGEST:
            raise RefusedError(400, f"Idempotency-Key is longer than {LONGEST} characters")
        scope = (application, request.method, request.path, key)
        earlier = self._claim(scope, request)
        if earlier is not None:
            return earlier, True
        answer = None
        try:
            answer = apply()
        finally:
            self._settle(scope, answer)
        return answer, False

    def _claim(self, scope: tuple[str, str, str, str], request: Request) -> Answer | None:
        fingerprint = (request.target.partition("?")[2], request.body)
        with self._lock:
            kept = self._kept.get(scope)
            if kept is None or self._clock() - kept.at > KEPT_FOR:
                self._kept[scope] = _Kept(fingerprint, self._clock())
                return None
            return _earlier(kept, fingerprint)

    def _settle(self, scope: tuple[str, str, str, str], answer: Answer | None) -> None:
        with self._lock:
            if answer is None or answer.status >= 300:
                del self._kept[scope]
            else:
                self._kept[scope].answer = answer


def _earlier(kept: _Kept, fingerprint: tuple[str, bytes]) -> Answer:
    if kept.fingerprint != fingerprint:
        message = "Idempotency-Key was used before for another request"
        raise KeyReusedError(400, message, [problem("Invalid Idempotency-Key")])
    if kept.answer is None:
        raise RefusedError(409, "A request with this Idempotency-Key is running")
    return kept.answer
