"""An Integration API that answers every call after a fixed time, in a process of its own.

It counts calls, notes when the first came and the last was answered, and whether two calls
about one customer ever overlapped. ``GET /stats`` tells, ``GET /reset`` starts anew.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

#: Seconds after which a call is answered.
DELAY = 0.030

EFFECT = {
    "campaignId": 193,
    "rulesetId": 791,
    "ruleIndex": 0,
    "ruleName": "ten off",
    "effectType": "setDiscount",
    "props": {"name": "10% off", "value": 1.5},
}
ANSWER = json.dumps({"effects": [EFFECT], "createdCoupons": [], "createdReferrals": []}).encode()


@contextlib.contextmanager
def slow_server(delay: float = DELAY) -> Iterator[str]:
    """Serve from another process; yield the base URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(listener, delay), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.join()
        listener.close()


def stats(url: str) -> dict[str, Any]:
    """Return ``calls``, ``overlaps`` and the ``seconds`` from the first call to the last answer."""
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def reset(url: str) -> None:
    """Forget what was counted."""
    urllib.request.urlopen(f"{url}/reset", timeout=10).close()


class Book:
    """What the server has seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.under_way: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        self.calls = self.overlaps = 0
        self.first = self.last = 0.0

    def begin(self, customer: str) -> None:
        with self.lock:
            self.calls += 1
            self.first = self.first or time.monotonic()
            self.overlaps += bool(customer and self.under_way[customer])
            self.under_way[customer] += 1

    def end(self, customer: str) -> None:
        with self.lock:
            self.under_way[customer] -= 1
            self.last = time.monotonic()

    def tell(self) -> bytes:
        with self.lock:
            seconds = self.last - self.first
            return json.dumps(
                {
                    "calls": self.calls,
                    "overlaps": self.overlaps,
                    "seconds": seconds,
                    "under_way": sum(self.under_way.values()),
                    "last": self.last,
                }
            ).encode()


def _serve(listener: socket.socket, delay: float) -> None:
    book = Book()
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=_converse, args=(conn, book, delay), daemon=True).start()


def _converse(conn: socket.socket, book: Book, delay: float) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with conn, contextlib.suppress(OSError):
        for path, body in _requests(conn):
            if path == "/stats":
                _answer(conn, book.tell())
            elif path == "/reset":
                book.clear()
                _answer(conn, b"{}")
            else:
                customer = _customer(path, body)
                book.begin(customer)
                time.sleep(delay)
                book.end(customer)
                _answer(conn, ANSWER)


def _requests(conn: socket.socket) -> Iterator[tuple[str, bytes]]:
    with conn.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while (header := stream.readline()) not in {b"\r\n", b""}:
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            yield line.split()[1].decode(), stream.read(length)


def _answer(conn: socket.socket, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    conn.sendall(head.encode() + b"\r\n" + body)


def _customer(path: str, body: bytes) -> str:
    """Return the customer whom Talon.One would lock for this call."""
    if "/customer_profiles/" in path:
        return path.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
    session = json.loads(body).get("customerSession", {}) if body else {}
    return str(session.get("profileId", ""))
