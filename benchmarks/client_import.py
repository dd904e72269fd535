"""Import time: this client, the official SDK, and requests, each in a fresh interpreter.

python benchmarks/client_import.py [rounds]
"""

from __future__ import annotations

import subprocess
import sys

from client_canned import RESULTS, medians, ratio

MODULES = ("django_talon.client", "talon_one", "requests")
TIMED = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1e3)"


def import_time(module: str) -> float:
    """Return the milliseconds one import takes, as the interpreter itself sees it."""
    command = [sys.executable, "-c", TIMED.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(rounds: int = 15) -> None:
    """Print the ratio to the SDK, and the milliseconds above `requests`."""
    print("milliseconds of one import:")
    medians({name: lambda m=name: import_time(m) for name in MODULES}, rounds)
    ours, requests = RESULTS["django_talon.client"], RESULTS["requests"]
    above = sorted(a - b for a, b in zip(ours, requests, strict=True))[len(ours) // 2]
    print(
        f"ours / official SDK:   {ratio('django_talon.client', 'talon_one'):.3f}   (at most 0.15)"
    )
    print(f"ours above requests:   {above:.1f} ms   (at most 40)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
