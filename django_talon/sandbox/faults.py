"""Faults with a phase: what goes wrong, for which calls, before or after the state change.

One JSON schema serves tests, command line and inspector; SANDBOX.md shows it.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Any

from .journal import Entry
from .operations import OPERATIONS
from .wire import Json

PHASES = ("before_apply", "after_apply", "late_apply")
_PARAMETERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "status": {"code": int, "retryAfter": (str, int), "body": object},
    "reset": {},
    "hang": {"seconds": object},
    "delay": {"seconds": object},
    "junk": {},
    "park": {"name": str},
}
_MATCHERS = ("operation", "id", "session", "profile", "application", "method", "dry")
_WHEN = ("first", "nth", "every", "probability")


class FaultError(ValueError):
    """A fault rule is malformed."""


@dataclass(frozen=True)
class Action:
    """One thing to do to a call: its name and parameters; seconds are real seconds."""

    name: str
    parameters: Json

    @property
    def seconds(self) -> float:
        """How long a hang, delay or late apply lasts."""
        return float(self.parameters.get("seconds", 60))


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

    def concerns(self, entry: Entry, ids: dict[str, str]) -> bool:
        """Say whether the rule is about this call."""
        values = {
            "operation": entry.operation,
            "session": entry.session_id,
            "profile": entry.profile_id,
            "application": entry.application,
            "method": entry.method,
            "dry": entry.query.get("dry", "false").lower() == "true",
        }
        return all(
            wanted in ids.values() if name == "id" else values[name] == wanted
            for name, wanted in self.match.items()
        )

    def strikes(self) -> bool:
        """Count a matching call and say whether this one is hit."""
        self.matched += 1
        when = self.when
        hit = (
            self.matched <= when.get("first", self.matched)
            and self.matched == when.get("nth", self.matched)
            and self.matched % when.get("every", 1) == 0
            and ("probability" not in when or self.chance.random() < float(when["probability"]))
        )
        self.hit += hit
        return hit

    def shown(self) -> Json:
        """Return the rule as posted, with its id and counters."""
        return {**self.spec, "id": self.id, "matched": self.matched, "hit": self.hit}


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

    def plan(self, entry: Entry, ids: dict[str, str]) -> list[tuple[str, Action]]:
        """Return what will happen to a call that has just arrived, phase by phase."""
        with self._lock:
            struck = [rule for rule in self.rules if rule.concerns(entry, ids) and rule.strikes()]
        entry.faults = [f"{rule.phase}:{rule.action.name}" for rule in struck]
        return [(rule.phase, rule.action) for rule in struck]


def _parse(spec: Any, rule_id: int) -> Rule:
    known = {"world", "match", "when", "phase", "do", "seed", "seconds"}
    if not isinstance(spec, dict) or set(spec) - known:
        raise FaultError(f"a rule is an object with {', '.join(sorted(known))}")
    phase = spec.get("phase", "before_apply")
    if phase not in PHASES:
        raise FaultError(f"phase must be one of {', '.join(PHASES)}")
    match, when = spec.get("match") or {}, spec.get("when") or {}
    _check_keys("match", match, _MATCHERS)
    _check_keys("when", when, _WHEN)
    _check_operation(match.get("operation"))
    chance = random.Random(spec.get("seed", 0))  # noqa: S311 - reproducible on purpose
    return Rule(rule_id, match, when, phase, _action(spec, phase), spec, chance=chance)


def _check_keys(name: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, dict) or set(value) - set(known):
        raise FaultError(f"{name} is an object with {', '.join(known)}")
    if name == "when":
        numbers = all(isinstance(n, int | float) or hasattr(n, "as_tuple") for n in value.values())
        if not numbers or value.get("every", 1) == 0:
            raise FaultError("when holds numbers above 0")


def _check_operation(name: Any) -> None:
    if name is not None and name not in {operation.name for operation in OPERATIONS}:
        raise FaultError(f"no operation is called {name!r}")


def _action(spec: Json, phase: str) -> Action:
    if phase == "late_apply" and "do" not in spec:
        return Action("reset", {"seconds": _seconds(spec.get("seconds", 1))})
    do = spec.get("do")
    if not isinstance(do, dict) or len(do) != 1:
        raise FaultError(f"do is an object with one of {', '.join(_PARAMETERS)}")
    name, parameters = next(iter(do.items()))
    known = _PARAMETERS.get(name)
    if known is None or not isinstance(parameters, dict) or set(parameters) - {*known, "seconds"}:
        raise FaultError(f"{name!r} is no action, or its parameters are not known")
    for parameter, value in parameters.items():
        if not isinstance(value, known.get(parameter, object)):
            raise FaultError(f"{name}.{parameter} has the wrong type")
    _check_action(name, parameters)
    if "seconds" in spec or "seconds" in parameters:
        parameters = {
            **parameters,
            "seconds": _seconds(parameters.get("seconds", spec.get("seconds"))),
        }
    return Action(name, parameters)


def _check_action(name: str, parameters: Json) -> None:
    if name == "status" and not 200 <= parameters.get("code", 0) <= 599:
        raise FaultError("status.code must be 200 to 599")
    if name == "park" and not parameters.get("name"):
        raise FaultError("park.name is missing")


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError) as error:
        raise FaultError("seconds must be a number") from error
    if not 0 <= seconds <= 3600:
        raise FaultError("seconds must be 0 to 3600")
    return seconds
