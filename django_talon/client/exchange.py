"""What goes out, what comes back, and the clock between the two."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

#: No answer may be longer, in bytes, neither packed nor unpacked.
LONGEST_ANSWER = 10 * 1024 * 1024


class Outgoing(NamedTuple):
    """A request, ready to be sent. `path` is encoded and includes the query."""

    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


class Answer(NamedTuple):
    """What came back. `body` is unpacked, or None if that is too long or not possible.

    `sent` is the body of the request, which an error must not repeat.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    sent: bytes = b""


class Exchange:
    """The clock of one exchange, and whether any byte of it may have been sent."""

    __slots__ = ("_ends", "_read_timeout", "sent")

    def __init__(self, deadline: float, read_timeout: float) -> None:
        self._ends = time.monotonic() + deadline
        self._read_timeout = read_timeout
        self.sent = False

    def patience(self, longest: float | None = None) -> float:
        """Return how many seconds the next step may take. Raises TimeoutError."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left, self._read_timeout if longest is None else longest)
