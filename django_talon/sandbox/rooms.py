"""One room per world: its state, lock, clock, journal, faults, queues, kept answers and judge."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from .clock import Clock, Era, real_time
from .engine.campaigns import Seed, add_application
from .engine.saved import world_of
from .engine.state import Application, World
from .faults import Faults
from .idempotency import Answers
from .journal import Journal
from .keys import KeyState
from .magic import Magic
from .monitors import Violations
from .slots import Slots
from .snapshots import History, Snapshot
from .wire import Json


class Room:
    """A world and all that belongs to it. ``generation`` voids what a reset overtook."""

    def __init__(
        self,
        name: str,
        seed: Seed,
        clock: Callable[[], Clock] = Clock,
        rules: tuple[Json, ...] = (),
        *,
        magic: bool = True,
    ) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.generation = 0
        self.era = Era()
        self.seed = seed
        self.snapshots: dict[str, tuple[Seed, Snapshot, Answers]] = {}
        self._new_clock, self._rules, self._is_magic = clock, rules, magic
        self._fresh()

    def _fresh(self) -> None:
        self.clock = self._new_clock()
        self.world: World = world_of(self.seed, self.clock.now)
        self.journal = Journal(self.name, clock=self.clock.now)
        self.faults = Faults()
        self.magic = Magic(self.faults) if self._is_magic else None
        self.slots = Slots()
        self.answers = Answers(self.clock.now, self.seed.decisions)
        self.violations = Violations()
        self.history = History()
        self.keys = KeyState()
        for rule in self._rules:
            if rule.get("world", self.name) == self.name:
                self.faults.add(rule)

    def reset(self, seed: Seed) -> None:
        """Start again from a seed; calls and timers of before change nothing any more."""
        with self.lock:
            self.generation += 1
            self.seed = seed
            before, self.era = self.era, Era()
            before.end()
            self._fresh()

    def keep(self, name: str) -> None:
        """Take a snapshot of the state, to come back to by its name."""
        with self.lock:
            self.snapshots[name] = (self.seed, Snapshot(self.world), self.answers.copy())

    def restore(self, name: str) -> None:
        """Reset to a snapshot; raise KeyError if there is none of this name."""
        with self.lock:
            seed, snapshot, answers = self.snapshots[name]
            self.reset(seed)
            self.world = snapshot.restored()
            self.world.clock = self.clock.now
            self.answers = answers.copy(self.clock.now)

    def application(self, name: str, world: World | None = None) -> Application:
        """Return an application of the world (or of a copy of it), made on first use."""
        world = world or self.world
        found = world.applications.get(name)
        return found or add_application(world, self.seed, name)


class Rooms:
    """All worlds of one sandbox; each new one is a copy of the seed."""

    def __init__(
        self,
        seed: Seed,
        clock: Callable[[], Clock] = Clock,
        rules: tuple[Json, ...] = (),
        *,
        magic: bool = True,
    ) -> None:
        self.seed = seed
        self.lobby = Journal("", clock=real_time)
        self._clock, self._rules, self._is_magic = clock, rules, magic
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()

    def enter(self, name: str) -> Room:
        """Return the room of a world, made now if it is new."""
        with self._lock:
            if name not in self._rooms:
                self._rooms[name] = Room(
                    name, self.seed, self._clock, self._rules, magic=self._is_magic
                )
            return self._rooms[name]

    def all(self) -> list[Room]:
        """Return every room there is."""
        with self._lock:
            return list(self._rooms.values())


_EMPTIED = ("campaigns", "giveaways", "evaluationGroups", "campaignSet")


def emptied(seed: Seed) -> Seed:
    """Return the seed with what it declares, but without campaigns and codes."""
    group = replace(seed.group, elements=())
    kept = {name: value for name, value in seed.content.items() if name not in _EMPTIED}
    without = replace(seed, campaigns=(), coupons=(), referrals=(), giveaways=(), group=group)
    return replace(without, state={}, content=kept)
