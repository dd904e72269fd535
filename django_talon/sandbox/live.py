"""``GET /_sandbox/events``: server-sent events that say when there is something new to ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from . import lookup, wire
from .service import Sandbox
from .wire import Answer, Json, Request

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
_RETRY = b"retry: 1000\n\n"
_STILL_HERE = b":\n\n"
_BREATH = 1.0


def events(sandbox: Sandbox, request: Request) -> Answer:
    """Answer with an endless stream: one event now, one after each change of the world.

    An event says which worlds there are, the generation of the one asked for, and the index
    that its next call will have. Without a world only the list of worlds is watched.
    """
    name = request.query.get("world", "")
    if name:
        lookup.room(sandbox, name)
    told = _Listener(sandbox, name)
    return Answer(200, _RETRY + told.event(), HEADERS, stream=told.stream())


class _Listener:
    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self._sandbox, self._name = sandbox, name
        self._last: Json = {}
        self._version = -1

    def event(self) -> bytes:
        """Return the event for what has changed since the last one, or a sign of life."""
        news = self._news()
        if news == self._last:
            return _STILL_HERE
        self._last = news
        return b"event: change\ndata: " + wire.encode(news) + b"\n\n"

    def _news(self) -> Json:
        worlds = [room.name for room in self._sandbox.rooms.all()]
        if not self._name:
            return {"worlds": worlds}
        room = self._sandbox.rooms.enter(self._name)
        self._version = room.journal.version
        told = {"generation": room.generation, "calls": room.journal.next_index}
        return {"worlds": worlds, **told, "version": self._version}

    def stream(self) -> Iterator[bytes]:
        """Yield events for ever; a sign of life each second shows whether anybody listens."""
        for _ in itertools.count():
            journal = self._sandbox.rooms.lobby
            if self._name:
                journal = self._sandbox.rooms.enter(self._name).journal
            journal.changed(self._version if self._name else journal.version, _BREATH)
            yield self.event()
