"""A canned Integration API in a process of its own, and fair comparison on a noisy machine.

The server answers every request on a connection with the same bytes, so that what is
measured is the client's work. `ratio` runs contenders in turn, again and again, and compares
them pair by pair: what slows the machine down slows both.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

#: What `medians` measured, round by round.
RESULTS: dict[str, list[float]] = {}

ITEMS = 20
EFFECTS = 10


def request_body() -> dict[str, Any]:
    """Return the update as plain data: 20 items, each with an attribute, and a code."""
    items = [
        {
            "name": f"Mug {n}",
            "sku": f"mug-{n}",
            "quantity": 2,
            "price": 9.9 + n,
            "category": "mugs",
            "attributes": {"colour": "blue"},
        }
        for n in range(ITEMS)
    ]
    session = {
        "profileId": "customer-7",
        "couponCodes": ["SAVE10"],
        "state": "open",
        "cartItems": items,
        "attributes": {"ShippingCity": "Berlin"},
    }
    return {"customerSession": session, "responseContent": ["customerSession"]}


def answer_body() -> bytes:
    """Return the answer: 10 effects, and the session with its 20 items."""
    envelope = {"campaignId": 193, "rulesetId": 791, "ruleIndex": 0, "ruleName": "ten off"}
    effects: list[dict[str, Any]] = [
        {**envelope, "effectType": "acceptCoupon", "props": {"value": "SAVE10"}}
    ]
    effects += [
        {
            **envelope,
            "effectType": "setDiscountPerItem",
            "props": {
                "name": f"10% off#{n}",
                "value": 0.999,
                "position": float(n),
                "subPosition": 0.0,
            },
            "triggeredByCoupon": 3749,
        }
        for n in range(EFFECTS - 1)
    ]
    session = request_body()["customerSession"]
    for position, item in enumerate(session["cartItems"]):
        item["position"] = float(position)
    session |= {
        "id": 1,
        "integrationId": "cart-1",
        "created": "2026-08-01T10:00:00.100Z",
        "updated": "2026-08-01T10:00:00.100Z",
        "applicationId": 59,
        "firstSession": True,
        "updateCount": 3,
        "total": 776.0,
        "cartItemTotal": 776.0,
        "additionalCostTotal": 0,
        "cartItemAdditionalCostTotal": 0,
    }
    data = {
        "effects": effects,
        "createdCoupons": [],
        "createdReferrals": [],
        "customerSession": session,
    }
    # Go's encoder, which Talon.One uses, writes 776.0 as 776.
    return json.dumps(_whole(data), separators=(",", ":")).encode()


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@contextlib.contextmanager
def canned_server() -> Iterator[str]:
    """Serve from another process; yield the base URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,))
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.join()
        listener.close()


def _serve(listener: socket.socket) -> None:
    body = answer_body()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    answer = head.encode() + b"Date: Sat, 01 Aug 2026 10:00:00 GMT\r\n\r\n" + body
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=_converse, args=(conn, answer), daemon=True).start()


def _converse(conn: socket.socket, answer: bytes) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = b""
            with contextlib.suppress(OSError):
                piece = conn.recv(65536)
            if not piece:
                return
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        left = _length(head) - len(data)
        while left > 0:
            left -= len(conn.recv(65536))
        data = b""
        conn.sendall(answer)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line[15:])
    return 0


def cpu_per_call(call: Callable[[], Any], count: int) -> float:
    """Return the microseconds of CPU this process spends on one call."""
    started = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - started) / count * 1e6


def medians(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Measure all contenders in turn, `rounds` times; print and return their medians."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    for name, values in found.items():
        print(f"{name:24} median {statistics.median(values):9.1f}   best {min(values):9.1f}")
    RESULTS.update(found)
    return {name: statistics.median(values) for name, values in found.items()}


def ratio(one: str, other: str) -> float:
    """Return the median of the ratios of the pairs measured next to each other."""
    pairs = zip(RESULTS[one], RESULTS[other], strict=True)
    return statistics.median(a / b for a, b in pairs)


def price(n: int) -> Decimal:
    """Return the price of the n-th item."""
    return Decimal("9.9") + n
