"""Tiny servers on loopback, for what a well-behaved server never does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b'{"effects":[],"createdCoupons":[],"createdReferrals":[]}'


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    url: str
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0


def answer(status: int = 200, body: bytes = OK, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_request(conn: socket.socket) -> Seen | None:
    stream = conn.makefile("rb")
    first = stream.readline().decode("latin-1").split()
    if not first:
        return None
    headers = {}
    while line := stream.readline().strip().decode("latin-1"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Seen(first[0], first[1], headers, body)


@contextmanager
def serving(handle: Callable[[socket.socket, Server], None]) -> Iterator[Server]:
    """A server that lets `handle` do as it likes with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    threads = []

    def run(conn: socket.socket) -> None:
        with conn, suppress(OSError):
            handle(conn, server)

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            conn.settimeout(30)
            server.connections += 1
            threads.append(threading.Thread(target=run, args=(conn,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)


@contextmanager
def answering(*answers: bytes) -> Iterator[Server]:
    """A server that keeps connections open and gives these answers, the last for ever."""
    left = list(answers)

    def handle(conn: socket.socket, server: Server) -> None:
        while request := read_request(conn):
            server.seen.append(request)
            conn.sendall(left.pop(0) if len(left) > 1 else left[0])

    with serving(handle) as server:
        yield server
