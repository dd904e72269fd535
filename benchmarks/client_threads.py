"""8 threads on one client against 8 threads with a client each: calls per second.

python benchmarks/client_threads.py [rounds]
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence

from client_canned import canned_server, medians, ratio, request_body

from django_talon.client import IntegrationClient

THREADS, CALLS = 8, 100


def calls_per_second(clients: Sequence[IntegrationClient]) -> float:
    """Return how many calls a second the threads get done together."""
    body = request_body()
    barrier = threading.Barrier(THREADS + 1)

    def work(client: IntegrationClient) -> None:
        barrier.wait()
        for _ in range(CALLS):
            client.update_customer_session_v2("cart-1", body)
        barrier.wait()

    for client in clients:
        threading.Thread(target=work, args=(client,), daemon=True).start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    return THREADS * CALLS / (time.perf_counter() - started)


def main(rounds: int = 15) -> None:
    """Print the ratio."""
    with canned_server() as url:
        one = IntegrationClient(url, api_key="k", timeout=(10, 30), deadline=60)
        eight = [
            IntegrationClient(url, api_key="k", timeout=(10, 30), deadline=60)
            for _ in range(THREADS)
        ]
        print("calls per second:")
        medians(
            {
                "one client": lambda: calls_per_second([one] * THREADS),
                "eight clients": lambda: calls_per_second(eight),
            },
            rounds,
        )
    print(f"one / eight clients: {ratio('one client', 'eight clients'):.2f}   (at least 0.9)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
