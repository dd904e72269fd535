"""Copies of a world: to come back to, to ask without consequences, to look into the past."""

from __future__ import annotations

import io
import pickle
from datetime import datetime, timedelta
from types import FunctionType, MethodType
from typing import Any

from .engine.state import Campaign, World

_MOST_KEPT = 1000


class Snapshot:
    """A world as it was. Campaigns and the clock are shared with it, all else is copied."""

    def __init__(self, world: World) -> None:
        self._shared: list[Any] = []
        buffer = io.BytesIO()
        _Pickler(buffer, self._shared).dump(world)
        self._bytes = buffer.getvalue()

    def restored(self) -> World:
        """Return the world; every call gives another copy."""
        world: World = _Unpickler(io.BytesIO(self._bytes), self._shared).load()
        return world


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, shared: list[Any]) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self._shared = shared
        self._places: dict[int, int] = {}

    def persistent_id(self, entity: Any) -> int | None:
        if not isinstance(entity, Campaign | FunctionType | MethodType):
            return None
        if id(entity) not in self._places:
            self._places[id(entity)] = len(self._shared)
            self._shared.append(entity)
        return self._places[id(entity)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, shared: list[Any]) -> None:
        super().__init__(buffer)
        self._shared = shared

    def persistent_load(self, place: Any) -> Any:
        return self._shared[place]


class History:
    """What a world looked like after each change, for answers from the past."""

    def __init__(self) -> None:
        self._kept: list[tuple[datetime, Snapshot]] = []

    def note(self, world: World) -> None:
        """Keep the world as it is now."""
        self._kept.append((world.clock(), Snapshot(world)))
        del self._kept[:-_MOST_KEPT]

    def at(self, now: datetime, seconds: float) -> World | None:
        """Return the world of so many seconds ago, the oldest kept if that is younger."""
        if not self._kept:
            return None
        past = [kept for at, kept in self._kept if at <= now - timedelta(seconds=seconds)]
        return (past[-1] if past else self._kept[0][1]).restored()
