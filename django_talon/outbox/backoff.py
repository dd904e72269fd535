"""What an error means for the row, for its lane and for the endpoint.

A pure decision: nothing is read or written here. The tree of errors is in
``client/errors.py``; nowhere else is a status code looked at.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from django_talon.client import (
    TalonAuthError,
    TalonConflict,
    TalonError,
    TalonRedirected,
    TalonRejected,
    TalonServerError,
    TalonThrottled,
    TalonTlsError,
)
from django_talon.conf import conf
from django_talon.models.outbox import Health, Why

LANE_CAP = 3600.0
ENDPOINT_CAP = 300.0
RETRY_AFTER_CAP = 3600.0
#: So many failures in a row, and the endpoint is taken for failing.
BREAKER = 5


@dataclass(frozen=True)
class Verdict:
    """What to do after a failure. Delays are in seconds."""

    #: Trying again cannot help: the row becomes a dead letter.
    is_dead: bool = False
    #: The failure is the row's, so it counts as an attempt.
    counts: bool = False
    lane_delay: float = 0.0
    why: Why = Why.BACKOFF
    #: The failure may be the endpoint's: count it, and after several stop asking.
    suspicious: bool = False
    #: The endpoint's state at once.
    health: Health | None = None
    endpoint_delay: float = 0.0


def judge(error: Exception, attempts: int) -> Verdict:
    """Say what an error means for a row that was tried ``attempts`` times before.

    Anything that is not a `TalonError` is a mistake of ours or of the shop's
    adapter, and trying again would not help.
    """
    if not isinstance(error, TalonError):
        return Verdict(is_dead=True)
    if isinstance(error, TalonConflict):
        return Verdict(lane_delay=random.uniform(0.2, 2.0), why=Why.CONFLICT)  # noqa: S311
    health = _health(error)
    if health is not None:
        verdict = Verdict(health=health, endpoint_delay=_endpoint_delay(error, health))
        return replace(verdict, **_held(error))
    if not error.retryable and error.status not in {408, 425}:
        return Verdict(is_dead=True)
    return _again(error, attempts)


def _health(error: TalonError) -> Health | None:
    if isinstance(error, TalonAuthError):
        return Health.REFUSED
    if isinstance(error, TalonRedirected | TalonTlsError):
        return Health.MISCONFIGURED
    if isinstance(error, TalonRejected) and error.status == 404:
        return Health.MISCONFIGURED  # no PUT or POST of ours has an answer 404
    if isinstance(error, TalonThrottled) or error.retry_after is not None:
        return Health.PAUSED
    return None


def _endpoint_delay(error: TalonError, health: Health) -> float:
    if health is Health.PAUSED:
        floor = min(max(error.retry_after or 1.0, 1.0), RETRY_AFTER_CAP)
        return floor + random.uniform(0.0, 1.0)  # noqa: S311
    return random.uniform(5.0, 30.0)  # noqa: S311


def _again(error: TalonError, attempts: int) -> Verdict:
    delay = jitter(attempts)
    if _may_still_be_working(error):
        return Verdict(counts=True, lane_delay=max(conf.HOLD, delay), why=Why.HOLD, suspicious=True)
    return Verdict(counts=True, lane_delay=delay, suspicious=True)


def _held(error: TalonError) -> dict[str, Any]:
    """Return how a pause of the endpoint holds the lane, too, where the outcome is unknown."""
    return {"lane_delay": conf.HOLD, "why": Why.HOLD} if _may_still_be_working(error) else {}


def _may_still_be_working(error: TalonError) -> bool:
    """Whether Talon.One may apply the request later; a plain 500 says that it ended."""
    return error.ambiguous and not (isinstance(error, TalonServerError) and error.status == 500)


def jitter(attempts: int) -> float:
    """Return a delay in seconds: full jitter, doubling, at least 1, at most an hour."""
    ceiling = min(LANE_CAP, 2.0 * 2 ** min(attempts, 20))
    return max(1.0, random.uniform(0.0, ceiling))  # noqa: S311


def breaker_delay(failures: int) -> float:
    """Return for how many seconds a failing endpoint is left alone."""
    doublings = min(max(failures - BREAKER, 0), 10)
    ceiling = min(ENDPOINT_CAP, 5.0 * float(2**doublings))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311
