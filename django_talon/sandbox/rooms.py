"""One room per world: its state, lock, journal, faults, queues, kept answers and judge."""

from __future__ import annotations

import re
import threading

from .engine.campaigns import Seed, add_application, new_world
from .engine.state import Application, World
from .faults import Faults
from .idempotency import Answers
from .journal import Journal, real_clock
from .monitors import Violations
from .slots import Slots

KEY = re.compile(r"^ApiKey-v1 sbx-([A-Za-z0-9_-]{1,100})(?:\.([A-Za-z0-9_-]{1,100}))?$")
DEFAULT_APPLICATION = "default"


class Room:
    """A world and all that belongs to it. ``generation`` voids what a reset overtook."""

    def __init__(self, name: str, seed: Seed) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.revoked = False
        self.generation = 0
        self.overtaken = threading.Event()
        self._seed = seed
        self._fresh()

    def _fresh(self) -> None:
        self.world: World = new_world(self._seed, real_clock)
        self.journal = Journal(self.name)
        self.faults = Faults()
        self.slots = Slots()
        self.answers = Answers(real_clock)
        self.violations = Violations()

    def reset(self) -> None:
        """Start again from the seed; calls and timers of before change nothing any more."""
        with self.lock:
            self.generation += 1
            self.revoked = False
            self.overtaken.set()
            self.overtaken = threading.Event()
            self._fresh()

    def application(self, name: str) -> Application:
        """Return an application of the world, made from the seed on first use."""
        found = self.world.applications.get(name)
        return found or add_application(self.world, self._seed, name)


class Rooms:
    """All worlds of one sandbox."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed
        self.lobby = Journal("")
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()

    def enter(self, name: str) -> Room:
        """Return the room of a world, made now if it is new."""
        with self._lock:
            if name not in self._rooms:
                self._rooms[name] = Room(name, self.seed)
            return self._rooms[name]

    def all(self) -> list[Room]:
        """Return every room there is."""
        with self._lock:
            return list(self._rooms.values())


def parse_key(header: str) -> tuple[str, str] | None:
    """Return world and application of an Authorization header, or None."""
    match = KEY.match(header)
    return (match.group(1), match.group(2) or DEFAULT_APPLICATION) if match else None
