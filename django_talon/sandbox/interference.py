"""What fault rules do to a call on its way: hold it, end it, or send its answer off badly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import refusals
from .faults import Action
from .gate import REFUSING, SWALLOWING, Gate
from .parks import Parks
from .visits import Visit
from .wire import Answer, Broken, Delivery

Ending = Answer | Broken | None


class Interference:
    """The hands of the fault rules; parks and gate are those of the sandbox."""

    def __init__(self, parks: Parks, gate: Gate) -> None:
        self._parks, self._gate = parks, gate
        self._acts: dict[str, Callable[[Visit, Action], Ending]] = {
            "status": lambda visit, action: refusals.injected(action.parameters, visit.now),
            "junk": lambda visit, action: refusals.junk(action.parameters),
            "redirect": lambda visit, action: refusals.redirect(action.parameters, visit.room.name),
            "reset": lambda visit, action: Broken(),
            "hang": self._hang,
            "delay": self._delay,
            "park": self._park,
            "refuse": self._refuse,
            "blackhole": self._swallow,
            "revoke": self._revoke,
            "limit": self._limit,
        }

    def phase(self, visit: Visit, phase: str) -> Ending:
        """Do what is planned for a phase; return how the call ends, or None if it goes on."""
        for action in visit.plan.phase(phase):
            ended = self.end_by(visit, action)
            if ended is not None:
                return ended
        return None

    def end_by(self, visit: Visit, action: Action) -> Ending:
        """Do one thing; return how the call ends, or None if it goes on."""
        ended = self._acts[action.name](visit, action)
        if isinstance(ended, Answer):
            headers = {**ended.headers, "X-Sandbox-Reason": action.reason}
            return replace(ended, headers=headers)
        return ended

    def _hang(self, visit: Visit, action: Action) -> Ending:
        visit.room.clock.sleep(action.seconds, visit.era)
        return Broken(reset=False)

    def _delay(self, visit: Visit, action: Action) -> Ending:
        visit.room.clock.sleep(action.seconds, visit.era)
        return None

    def _park(self, visit: Visit, action: Action) -> Ending:
        name = action.parameters["name"]
        visit.journal.park(visit.entry, name)
        self._parks.hold(name, visit.era)
        visit.journal.park(visit.entry, "")
        return None

    def _refuse(self, visit: Visit, action: Action) -> Ending:
        self._gate.turn(REFUSING, action.seconds)
        return Broken()

    def _swallow(self, visit: Visit, action: Action) -> Ending:
        self._gate.turn(SWALLOWING, action.seconds)
        self._gate.wait_until_open()
        return Broken(reset=False)

    def _revoke(self, visit: Visit, action: Action) -> Ending:
        keys, calls = visit.room.keys, action.parameters.get("calls")
        if calls is None:
            keys.revoked = True
        else:
            keys.refused_calls = calls - 1
        return refusals.answer_to(refusals.unauthorised("the key of this world is revoked"))

    def _limit(self, visit: Visit, action: Action) -> Ending:
        bucket, entry = action.bucket, visit.entry
        if bucket is None:
            return None
        is_key = action.parameters.get("scope", "key") == "key"
        who = "" if is_key else entry.profile_id or entry.session_id
        missing = bucket.enter(who, visit.now)
        if missing is not None:
            return refusals.limited(action.parameters, missing, visit.now)
        visit.at_end.callback(bucket.leave, who)
        return None

    def finish(self, visit: Visit, outcome: Answer | Broken) -> Answer | Broken:
        """Let an answer leave as the rules for its bytes say."""
        for action in visit.plan.stage("finish"):
            if isinstance(outcome, Answer):
                outcome = _finished(outcome, action)
        return outcome


def _finished(answer: Answer, action: Action) -> Answer:
    parameters, delivery = action.parameters, answer.delivery or Delivery()
    if action.name == "shape":
        return refusals.reshaped(answer, parameters)
    if action.name == "drip":
        part, piece = parameters.get("part", "body"), parameters.get("bytes", 1)
        pause = parameters.get("interval", 0.1)
        delivery = replace(delivery, slow=part, piece=piece, pause=pause)
    else:
        sent = min(parameters.get("bytes", len(answer.body) // 2), max(len(answer.body) - 1, 0))
        in_chunk = parameters.get("inChunk", False)
        chunked = in_chunk or parameters.get("chunked", False)
        reset = action.name == "reset"
        delivery = replace(delivery, sent=sent, chunked=chunked, in_chunk=in_chunk, reset=reset)
    return replace(answer, delivery=delivery)
