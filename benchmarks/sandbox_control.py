"""How fast the sandbox starts, resets and answers: ``python -m benchmarks.sandbox_control``.

Prints the time from the command to the first 200, of 1,000 resets (to the seed, and to a snapshot)
of a world with 100 objects: 40 profiles, 40 sessions of two items, 20 events; of reading a seed
with 10,000 objects; and of calls over the socket while 500 others are parked.
"""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from django_talon.sandbox import wire
from django_talon.sandbox.rooms import Room
from django_talon.sandbox.seeds import load
from django_talon.testing import SandboxServer

RESETS = 1000
OBJECTS = 10_000
PARKED = 500
HEADERS = {"Authorization": "ApiKey-v1 sbx-w"}


def main() -> None:
    """Print the figures."""
    print(f"command to first 200: {min(_start() for _ in range(3)):.2f} s (target: 2)")
    with SandboxServer() as server:
        for target in ("seed", "snapshot:full"):
            seconds = _resets(server, target)
            print(f"{RESETS} resets to {target} with 100 objects: {seconds:.2f} s (target: 5)")
    print(f"a seed with {OBJECTS} objects: {min(_read() for _ in range(3)):.2f} s (target: 2)")
    with SandboxServer() as server:
        took = sorted(_beside_parked_calls(server))
        middle, worst = 1000 * statistics.median(took), 1000 * took[-1]
        print(f"with {PARKED} calls parked: {middle:.1f} ms, at worst {worst:.1f} ms (target: 100)")


def _start() -> float:
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "url"
        line = [sys.executable, "-m", "django_talon.sandbox", "--port", "0", "--ready-file", ready]
        began = time.perf_counter()
        with subprocess.Popen([str(part) for part in line], stdout=subprocess.DEVNULL) as process:
            while not ready.exists():
                time.sleep(0.002)
            health = ready.read_text().strip() + "/_sandbox/health"
            with urllib.request.urlopen(health, timeout=10) as answer:
                answer.read()
            taken = time.perf_counter() - began
            process.terminate()
        return taken


def _read() -> float:
    cart = [{"sku": "mug", "name": "Mug", "quantity": 2, "price": 10}]
    half = range(OBJECTS // 2)
    profiles = [{"integrationId": f"u{n}", "attributes": {"tier": "x"}} for n in half]
    sessions = [{"integrationId": f"s{n}", "profileId": f"u{n}", "cartItems": cart} for n in half]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.json"
        path.write_text(json.dumps({"state": {"profiles": profiles, "sessions": sessions}}))
        began = time.perf_counter()
        Room("w", load(str(path)))
        return time.perf_counter() - began


def _beside_parked_calls(server: SandboxServer) -> list[float]:
    """Park calls, and return how long 20 others take, each on a connection of its own."""
    server.faults("w").add(match={"method": "GET"}, do={"park": {"name": "p"}})
    address = server.url.removeprefix("http://")
    key = f"Authorization: {HEADERS['Authorization']}\r\n"
    parked = f"GET /v2/customer_sessions/s HTTP/1.1\r\n{key}Connection: close\r\n\r\n".encode()
    held = []
    for _ in range(PARKED):
        held.append(socket.create_connection(address.split(":"), timeout=60))
        held[-1].sendall(parked)
    while sum(call["parked"] == "p" for call in server.calls("w")) < PARKED:
        time.sleep(0.1)
    taken = [_one_call(address) for _ in range(20)]
    server.release("p")
    for connection in held:
        connection.recv(1)
        connection.close()
    return taken


def _one_call(address: str) -> float:
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request("PUT", "/v2/customer_sessions/s", b'{"customerSession": {}}', HEADERS)
    answer = connection.getresponse()
    answer.read()
    taken = time.perf_counter() - began
    connection.close()
    assert answer.status == 200
    return taken


def _resets(server: SandboxServer, target: str) -> float:
    _fill(server)
    server.snapshot("w", "full")
    taken = 0.0
    for _ in range(RESETS):
        if target == "seed":
            _fill(server)
        began = time.perf_counter()
        server.reset("w", target)
        taken += time.perf_counter() - began
    return taken


def _fill(server: SandboxServer) -> None:
    item = {"sku": "mug", "name": "Mug", "quantity": 1, "price": 10}
    for number in range(40):
        cart = {"profileId": f"u{number}", "cartItems": [item, item]}
        _send(server, "PUT", f"/v2/customer_sessions/s{number}", {"customerSession": cart})
    for number in range(20):
        event = {"type": "newsletter", "profileId": f"u{number}"}
        _send(server, "POST", "/v2/events", event)


def _send(server: SandboxServer, method: str, path: str, body: object) -> None:
    key = {"authorization": "ApiKey-v1 sbx-w"}
    server.sandbox.handle(wire.Request(method, path, key, wire.encode(body)))


if __name__ == "__main__":
    main()
