"""How fast the sandbox starts and resets: ``python -m benchmarks.sandbox_control``.

Prints the time from the command to the first 200, and of 1,000 resets (to the seed, and to a
snapshot) of a world with 100 objects: 40 profiles, 40 sessions of two items, 20 events.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from django_talon.sandbox import wire
from django_talon.testing import SandboxServer

RESETS = 1000


def main() -> None:
    """Print the figures."""
    print(f"command to first 200: {min(_start() for _ in range(3)):.2f} s (target: 2)")
    with SandboxServer() as server:
        for target in ("seed", "snapshot:full"):
            seconds = _resets(server, target)
            print(f"{RESETS} resets to {target} with 100 objects: {seconds:.2f} s (target: 5)")


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
