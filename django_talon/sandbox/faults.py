"""Faults with a phase: what goes wrong, for which calls, before or after the state change."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from . import fault_schema
from .buckets import Bucket
from .fault_schema import ACTIONS, MATCH, PHASES, REQUIRED, RULE, WHEN, FaultError
from .journal import Entry
from .wire import Json

__all__ = ["PHASES", "Action", "FaultError", "Faults", "Plan", "Rule"]

APPLYING = ("apply_late", "apply_twice", "never_apply_but_200", "stale_read")
FINISHING = ("shape", "truncate", "drip")
_DEFAULT_SECONDS = {"hang": 60.0, "refuse": 1.0, "blackhole": 1.0, "apply_late": 1.0}


@dataclass(frozen=True)
class Action:
    """One thing to do to a call: its name and parameters; seconds are those of the world.

    ``rule`` is the id of the fault rule that does it.
    """

    name: str
    parameters: Json
    bucket: Bucket | None = None
    rule: int = 0

    @property
    def reason(self) -> str:
        """What an answer gives as its reason that this action has made."""
        return f"fault rule {self.rule}: {self.name}"

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.parameters.get("seconds", _DEFAULT_SECONDS.get(self.name, 0.0)))

    @property
    def stage(self) -> str:
        """Where in a call's way it has its place: accept, head, apply, finish, or its phase."""
        if self.name == "reset":
            at = str(self.parameters.get("at", "body"))
            return {"body": "phase", "answer": "finish"}.get(at, at)
        if self.name in APPLYING:
            return "apply"
        return "finish" if self.name in FINISHING else "phase"


@dataclass(frozen=True)
class Plan:
    """What will happen to one call."""

    struck: tuple[tuple[str, Action], ...] = ()

    def phase(self, name: str) -> list[Action]:
        """Return what happens in a phase, in the order of the rules."""
        return [a for phase, a in self.struck if phase == name and a.stage == "phase"]

    def stage(self, name: str) -> list[Action]:
        """Return what happens at a stage."""
        return [action for _, action in self.struck if action.stage == name]

    @property
    def late(self) -> Action | None:
        """What a call is answered whose change comes late."""
        late = self.phase("late_apply")
        return late[0] if late else None


@dataclass
class Rule:
    """A fault rule and how many calls it has matched and hit so far."""

    id: int
    match: Json
    when: Json
    phase: str
    action: Action
    spec: Json
    matched: int = 0
    hit: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def concerns(self, entry: Entry, ids: dict[str, str], headers: Any) -> bool:
        """Say whether the rule is about this call."""
        values = {
            "operation": entry.operation,
            "session": entry.session_id,
            "profile": entry.profile_id,
            "application": entry.application,
            "method": entry.method,
            "coupon": entry.coupons,
            "dry": entry.query.get("dry", "false").lower() in {"true", "1"},
        }
        return all(_fits(name, wanted, values, ids, headers) for name, wanted in self.match.items())

    def strikes(self, now: datetime) -> bool:
        """Count a matching call and say whether this one is hit."""
        when = self.when
        if "between" in when and not when["between"][0] <= now < when["between"][1]:
            return False
        self.matched += 1
        hit = (
            self.matched <= when.get("first", self.matched)
            and self.matched == when.get("nth", self.matched)
            and self.matched % when.get("every", 1) == 0
            and ("probability" not in when or self.chance.random() < when["probability"])
        )
        self.hit += hit
        return hit

    def drawn(self) -> Action:
        """Return the action for one call, with its duration drawn if that is a distribution."""
        parameters = self.action.parameters
        if "uniform" in parameters:
            seconds = self.chance.uniform(*parameters["uniform"])
        elif "lognormal" in parameters:
            median, sigma = parameters["lognormal"]
            seconds = median * self.chance.lognormvariate(0, sigma)
        else:
            return self.action
        longest = float(fault_schema.LONGEST)
        return replace(self.action, parameters={"seconds": min(seconds, longest)})

    def shown(self) -> Json:
        """Return the rule as posted, with its id and counters."""
        return {**self.spec, "id": self.id, "matched": self.matched, "hit": self.hit}


def _fits(name: str, wanted: Any, values: Json, ids: dict[str, str], headers: Any) -> bool:
    if name == "id":
        return wanted in ids.values()
    if name == "coupon":
        return wanted in values[name]
    if name == "header":
        return all(
            key in headers and value in (True, headers[key]) for key, value in wanted.items()
        )
    return bool(values[name] == wanted)


class Faults:
    """The rules of one world, tried in the order in which they were added."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._last_id = 0
        self._lock = threading.Lock()

    def add(self, spec: Any) -> Rule:
        """Add a rule from its JSON; raise FaultError where that is malformed."""
        with self._lock:
            self._last_id += 1
            rule = _parse(spec, self._last_id)
            self.rules.append(rule)
            return rule

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self.rules = []

    def remove(self, rule_id: int) -> bool:
        """Remove one rule; say whether there was one."""
        with self._lock:
            left = [rule for rule in self.rules if rule.id != rule_id]
            found = len(left) < len(self.rules)
            self.rules = left
            return found

    def has(self, name: str) -> bool:
        """Say whether some rule does this."""
        return any(rule.action.name == name for rule in self.rules)

    def accepting(self, now: datetime) -> bool:
        """Say whether a connection that has just been accepted is reset."""
        if not self.rules:
            return False
        with self._lock:
            resets = [rule for rule in self.rules if rule.action.stage == "accept"]
            return sum(rule.strikes(now) for rule in resets) > 0

    def plan(
        self,
        entry: Entry,
        ids: dict[str, str],
        headers: Any = None,
        *,
        at_head: bool = False,
    ) -> Plan:
        """Return what will happen to a call that has just arrived, at its head or after."""
        if not self.rules:
            return Plan()
        with self._lock:
            struck = [
                (rule.phase, rule.drawn())
                for rule in self.rules
                if rule.action.stage != "accept"
                and (rule.action.stage == "head") is at_head
                and rule.concerns(entry, ids, headers or {})
                and rule.strikes(entry.started)
            ]
        entry.faults += [f"{phase}:{action.name}" for phase, action in struck]
        return Plan(tuple(struck))


def _parse(spec: Any, rule_id: int) -> Rule:
    given = fault_schema.read("a rule", spec, RULE)
    phase = given.get("phase", "before_apply")
    match = fault_schema.read("match", given.get("match") or {}, MATCH)
    when = fault_schema.read("when", given.get("when") or {}, WHEN)
    action = replace(_action(given, phase), rule=rule_id)
    seed = given.get("seed", 0)
    if action.name == "apply_late":
        phase, action = "late_apply", replace(action, name="reset")
    if action.stage == "accept" and match:
        raise FaultError("reset at accept knows nothing of the call: match must be empty")
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
    return Rule(rule_id, match, when, phase, action, spec, chance=chance)


def _action(given: Json, phase: str) -> Action:
    if phase == "late_apply" and "do" not in given:
        return Action("reset", {"seconds": given.get("seconds", 1.0)})
    do = given.get("do")
    if not isinstance(do, dict) or len(do) != 1:
        raise FaultError(f"do is an object with one of {', '.join(ACTIONS)}")
    name, value = next(iter(do.items()))
    if name not in ACTIONS:
        raise FaultError(f"{name!r} is no action; there are {', '.join(ACTIONS)}")
    parameters = fault_schema.read(f"do.{name}", value, ACTIONS[name], REQUIRED.get(name, ()))
    if "seconds" in given:
        parameters.setdefault("seconds", given["seconds"])
    elif phase == "late_apply":
        parameters.setdefault("seconds", 1.0)
    bucket = Bucket.made(parameters) if name == "limit" else None
    return Action(name, parameters, bucket)
