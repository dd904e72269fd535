"""Answers kept by ``Idempotency-Key``, so that a repeated request changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from . import refusals
from .engine.decisions import Decisions
from .engine.errors import RefusedError, problem
from .engine.state import Clock
from .operations import EMULATED
from .slots import PATIENCE
from .wire import Answer, Request

OPERATIONS = {operation.name for operation in EMULATED if operation.repeatable}
KEPT_FOR = timedelta(hours=24)
LONGEST = 255
DEFAULTS = Decisions()


class KeyReusedError(RefusedError):
    """The answer to a key that another request has used, a 400 unless decided otherwise."""


class _Kept(NamedTuple):
    fingerprint: tuple[str, bytes]
    at: datetime
    answer: Answer


class Once(NamedTuple):
    """An answer; whether it is that of an earlier call, and of one that asked something else."""

    answer: Answer
    replayed: bool = False
    mismatched: bool = False


_Scope = tuple[str, str, str, str]


class Answers:
    """The answers of one world; a key is scoped to application, method and path."""

    def __init__(self, clock: Clock, decisions: Decisions = DEFAULTS) -> None:
        self._clock = clock
        self._decisions = decisions
        self._kept: dict[_Scope, _Kept] = {}
        self._running: set[_Scope] = set()
        self._changed = threading.Condition()

    def copy(self, clock: Clock | None = None) -> Answers:
        """Return the same answers in a store of their own."""
        made = Answers(clock or self._clock, self._decisions)
        with self._changed:
            made._kept = dict(self._kept)
        return made

    @contextmanager
    def running(self, application: str, request: Request) -> Iterator[None]:
        """Note that a call with a key is under way; refuse a second one, or let it wait."""
        scope = _scope(application, request)
        with self._changed:
            free = scope not in self._running
            if not free and self._decisions.key_in_flight == "wait":
                free = self._changed.wait_for(lambda: scope not in self._running, PATIENCE)
            if not free:
                status = self._decisions.key_in_flight
                message = "A request with this Idempotency-Key is running"
                raise RefusedError(409 if status == "wait" else int(status), message)
            self._running.add(scope)
        try:
            yield
        finally:
            with self._changed:
                self._running.discard(scope)
                self._changed.notify_all()

    def once(self, application: str, request: Request, apply: Callable[[], Answer]) -> Once:
        """Return the kept answer of this key, or what ``apply`` answers, and keep that.

        Only 2xx answers are kept, with the decision ``keeps_errors`` refusals too.
        """
        scope = _scope(application, request)
        fingerprint = (request.target.partition("?")[2], request.body)
        earlier = self._earlier(scope, fingerprint)
        if earlier is not None:
            return earlier
        try:
            answer = apply()
        except RefusedError as refused:
            if self._decisions.keeps_errors:
                self._keep(scope, fingerprint, refusals.answer_to(refused))
            raise
        if answer.status < 300:
            self._keep(scope, fingerprint, answer)
        return Once(answer)

    def _keep(self, scope: _Scope, fingerprint: tuple[str, bytes], answer: Answer) -> None:
        with self._changed:
            self._kept[scope] = _Kept(fingerprint, self._clock(), answer)

    def _earlier(self, scope: _Scope, fingerprint: tuple[str, bytes]) -> Once | None:
        with self._changed:
            kept = self._kept.get(scope)
        if kept is None or self._clock() - kept.at > KEPT_FOR:
            return None
        mismatched = kept.fingerprint != fingerprint
        status = self._decisions.key_mismatch
        if mismatched and status != "replay":
            message = "Idempotency-Key was used before for another request"
            raise KeyReusedError(int(status), message, [problem("Invalid Idempotency-Key")])
        return Once(kept.answer, True, mismatched)


def _scope(application: str, request: Request) -> _Scope:
    key = request.headers["idempotency-key"]
    if len(key) > LONGEST:
        raise RefusedError(400, f"Idempotency-Key is longer than {LONGEST} characters")
    return application, request.method, request.path, key
