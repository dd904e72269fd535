"""From request to answer: key, route, journal, faults, queues, validation, engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.utils import parsedate_to_datetime

from . import faults, keys, refusals
from .applying import Applier
from .clock import Clock
from .engine.campaigns import Seed
from .engine.errors import RefusedError
from .gate import Gate
from .interference import Interference
from .keys import Caller, Signer
from .parks import Parks
from .rooms import Room, Rooms
from .visits import Visit
from .wire import Answer, Broken, Json, Request

logger = logging.getLogger("django_talon.sandbox")


class Sandbox:
    """The emulator without a door.

    ``loose`` accepts what the seed does not declare; ``clock`` makes the clock of each world,
    ``rules`` are fault rules that each world begins with, ``signers`` the Applications that may
    sign instead of sending a key; ``magic`` heeds codes and ids that ask for trouble.
    """

    def __init__(
        self,
        seed: Seed,
        *,
        loose: bool = False,
        clock: Callable[[], Clock] = Clock,
        rules: Iterable[Json] = (),
        signers: Iterable[Signer] = (),
        magic: bool = True,
    ) -> None:
        self.rooms = Rooms(seed, clock, tuple(rules), magic=magic)
        self.loose = loose
        self.parks = Parks()
        self.gate = Gate()
        self.began = time.monotonic()
        self.signers = {signer.id: signer for signer in signers}
        self._applier = Applier(loose=loose)
        self._interference = Interference(self.parks, self.gate)

    def accepts(self) -> bool:
        """Say whether a connection that has just been made may live."""
        struck = sum(room.faults.accepting(room.clock.now()) for room in self.rooms.all())
        return struck == 0

    def interrupted(self, head: Request) -> Broken | None:
        """Return how a call ends whose head has been read, if a rule ends it there."""
        caller = self._caller(head)
        if isinstance(caller, Answer):
            return None
        room = self.rooms.enter(caller.world)
        if not any(rule.action.stage == "head" for rule in room.faults.rules):
            return None
        visit = self._admit(head, room, caller, listed=False)
        visit.route()
        plan = room.faults.plan(visit.entry, visit.ids, head.headers, at_head=True)
        if not plan.stage("head"):
            return None
        visit.journal.enter(visit.entry)
        visit.journal.broken(visit.entry, "reset")
        return Broken()

    def handle(self, request: Request) -> Answer | Broken:
        """Answer one request to the Integration API; never raises."""
        caller = self._caller(request)
        if isinstance(caller, Answer):
            lobby = self.rooms.lobby
            lobby.answered(lobby.begin(request, ""), caller)
            return caller
        visit = self._admit(request, self.rooms.enter(caller.world), caller)
        with visit.at_end:
            outcome = self._interference.finish(visit, self._through(visit))
        _close(visit, outcome)
        return outcome

    def _caller(self, request: Request) -> Caller | Answer:
        try:
            return keys.caller_of(request, self.signers, lenient=self.loose)
        except RefusedError as refused:
            return refusals.answer_to(refused)

    def _admit(self, request: Request, room: Room, caller: Caller, *, listed: bool = True) -> Visit:
        with room.lock:
            journal = room.journal
            entry = journal.draft(request, caller.application)
            if listed:
                journal.enter(entry)
            return Visit(request, room, caller, journal, entry, room.generation, room.era)

    def _through(self, visit: Visit) -> Answer | Broken:
        occupied: list[str] = []
        violations = visit.room.violations
        try:
            self._prepare(visit)
            occupied = visit.keys
            violations.started(visit.entry, occupied)
            return self._run(visit, occupied)
        except RefusedError as refused:
            return refusals.answer_to(refused)
        except Exception:
            logger.exception("the sandbox failed to answer %s", visit.entry.operation)
            return refusals.answer_to(RefusedError(500, "The sandbox failed; its log says why"))
        finally:
            violations.ended(visit.entry, occupied)

    def _prepare(self, visit: Visit) -> None:
        room, entry = visit.room, visit.entry
        wrong = visit.route()
        room.violations.arrived(entry, visit.request)
        try:
            room.keys.check(visit.caller, visit.now)
        except RefusedError:
            room.violations.count(entry, refused=True)
            raise
        if visit.keys:
            room.violations.count(entry, refused=False)
        if wrong is not None:
            raise wrong
        if room.magic is not None:
            room.magic.notice(entry)
        visit.plan = room.faults.plan(entry, visit.ids, visit.request.headers)

    def _run(self, visit: Visit, occupied: list[str]) -> Answer | Broken:
        if visit.has_key:
            running = visit.room.answers.running(visit.caller.application, visit.request)
            visit.at_end.enter_context(running)
        if visit.locks:
            visit.at_end.enter_context(visit.room.slots.hold(occupied))
        ended = self._interference.phase(visit, "before_apply")
        if ended is not None:
            return ended
        if visit.plan.late is not None:
            return self._later(visit, visit.plan.late)
        answer = self._applier.apply(visit)
        return self._interference.phase(visit, "after_apply") or answer

    def _later(self, visit: Visit, action: faults.Action) -> Answer | Broken:
        threading.Thread(target=self._apply_late, args=(visit, action), daemon=True).start()
        if action.name == "delay":
            return Broken()
        return self._interference.end_by(visit, action) or Broken()

    def _apply_late(self, visit: Visit, action: faults.Action) -> None:
        visit.room.clock.sleep(action.seconds, visit.era)
        self._applier.apply(visit)


def _close(visit: Visit, outcome: Answer | Broken) -> None:
    """Complete the journal, and remember a Retry-After."""
    if isinstance(outcome, Broken):
        visit.journal.broken(visit.entry, "reset" if outcome.reset else "closed")
        return
    if "Retry-After" in outcome.headers:
        seconds = _seconds(outcome.headers["Retry-After"], visit)
        visit.room.violations.told_to_wait(visit.entry, visit.now + timedelta(seconds=seconds))
    visit.journal.answered(visit.entry, outcome)


def _seconds(header: str, visit: Visit) -> float:
    if header.isascii() and header.isdecimal():
        return float(min(int(header[:9]), 10**9))
    try:
        return (parsedate_to_datetime(header) - visit.now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
