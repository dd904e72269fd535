"""How delivery fares, for those who do not look at the admin: monitors and metrics."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from django_talon.outbox import traffic, vital_signs
from django_talon.outbox.vital_signs import Problem, Signs
from django_talon.signals import health_measured

#: Seconds between two measurements of one process.
EVERY = 60.0

_measured_at = -math.inf


def needs_somebody(problems: list[Problem]) -> bool:
    """Whether one of the problems does not end by itself."""
    return any(
        problem.is_urgent or problem.code in {"late", "dead-letters"} for problem in problems
    )


def figures(signs: Signs, problems: list[Problem]) -> dict[str, Any]:
    """Return everything a monitor may want to know, as plain data. Ages are in seconds."""
    calls = traffic.traffic(signs.at)
    return {
        **asdict(signs),
        "heartbeat_age": signs.heartbeat_age,
        "problems": [{"code": problem.code, "message": problem.message} for problem in problems],
        "last_24_hours": {
            "delivered": calls.delivered,
            "failed": calls.failed,
            "ambiguous": calls.ambiguous,
            "conflicts": calls.conflicts,
            "error_rate": calls.error_rate,
            "outcomes": [asdict(outcome) for outcome in calls.outcomes],
        },
        "last_hour": {"median_milliseconds": calls.median, "p95_milliseconds": calls.p95},
    }


def measure() -> bool:
    """Send `health_measured` if somebody listens and a minute has passed; return whether."""
    global _measured_at  # noqa: PLW0603
    if not health_measured.receivers or time.monotonic() - _measured_at < EVERY:
        return False
    _measured_at = time.monotonic()
    signs = vital_signs.read()
    health_measured.send_robust(
        sender=Signs,
        signs=signs,
        traffic=traffic.traffic(signs.at),
        problems=list(vital_signs.problems(signs)),
    )
    return True
