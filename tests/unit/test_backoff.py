"""What each error means: a table from error to verdict, and the bounds of every delay."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_talon import client
from django_talon.client import (
    TalonAuthError,
    TalonConflict,
    TalonConnectionError,
    TalonError,
    TalonInvalidRequest,
    TalonRedirected,
    TalonRejected,
    TalonServerError,
    TalonThrottled,
    TalonTimeout,
    TalonTlsError,
    TalonUnreadableAnswer,
)
from django_talon.models.outbox import Health, Why
from django_talon.outbox import backoff
from django_talon.outbox.backoff import Verdict, breaker_delay, jitter, judge


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance always give the upper bound."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chance always give the lower bound."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


DEAD = Verdict(is_dead=True)
AGAIN = Verdict(counts=True, lane_delay=8.0, suspicious=True)
HELD = Verdict(counts=True, lane_delay=30.0, why=Why.HOLD, suspicious=True)
REFUSED = Verdict(health=Health.REFUSED, endpoint_delay=30.0)
MISCONFIGURED = Verdict(health=Health.MISCONFIGURED, endpoint_delay=30.0)


def paused(seconds: float, **more: Any) -> Verdict:
    return Verdict(health=Health.PAUSED, endpoint_delay=seconds, **more)


TABLE = [
    (TalonError("?"), DEAD),
    (TalonInvalidRequest("?"), DEAD),
    (TalonConnectionError("refused"), AGAIN),
    (TalonConnectionError("cut off", ambiguous=True), HELD),
    (TalonTlsError("certificate"), MISCONFIGURED),
    (TalonTimeout("silence"), HELD),
    (TalonTimeout("said so", status=408), HELD),
    (TalonConflict("busy", status=409), Verdict(lane_delay=2.0, why=Why.CONFLICT)),
    (TalonConflict("busy", status=409, retry_after=60), Verdict(lane_delay=2.0, why=Why.CONFLICT)),
    (TalonThrottled("slow", status=429), paused(2.0)),
    (TalonThrottled("slow", status=429, retry_after=7), paused(8.0)),
    (TalonServerError("oops", status=500), AGAIN),
    (TalonServerError("oops", status=501, ambiguous=False), AGAIN),
    (TalonServerError("oops", status=502), HELD),
    (TalonServerError("oops", status=503, ambiguous=False), AGAIN),
    (TalonServerError("oops", status=504), HELD),
    (TalonServerError("later", status=503, ambiguous=False, retry_after=5), paused(6.0)),
    (TalonServerError("later", status=500, retry_after=5), paused(6.0)),
    (
        TalonServerError("later", status=502, retry_after=5),
        paused(6.0, lane_delay=30.0, why=Why.HOLD),
    ),
    (TalonRejected("bad", status=400), DEAD),
    (TalonRejected("gone", status=404), MISCONFIGURED),
    (TalonRejected("gone", status=410), DEAD),
    (TalonRejected("large", status=413), DEAD),
    (TalonRejected("early", status=425), AGAIN),
    (TalonAuthError("key", status=401), REFUSED),
    (TalonAuthError("key", status=403), REFUSED),
    (TalonAuthError("signature", status=400), REFUSED),
    (TalonRedirected("elsewhere", status=302), MISCONFIGURED),
    (TalonUnreadableAnswer("html", status=200), HELD),
    (ValueError("of a shop's adapter"), DEAD),
    (RecursionError(), DEAD),
]


@pytest.mark.parametrize(
    ("error", "verdict"), TABLE, ids=[f"{type(e).__name__}-{e}" for e, _ in TABLE]
)
@pytest.mark.usefixtures("most")
def test_the_verdict_on_each_error(error: Exception, verdict: Verdict):
    assert judge(error, attempts=2) == verdict


def test_no_error_of_the_client_is_without_a_verdict():
    errors = {value for name, value in vars(client).items() if name.startswith("Talon")}
    abstract = {client.TalonResponseError}
    assert {type(error) for error, _ in TABLE} >= errors - abstract


def test_a_verdict_says_one_thing():
    """What is dead waits for nothing, and the endpoint's fault is not counted against a row."""
    for error, _ in TABLE:
        verdict = judge(error, attempts=0)
        if verdict.is_dead:
            assert verdict == DEAD
        if verdict.health is not None:
            assert not verdict.counts


@pytest.mark.usefixtures("least")
def test_the_shortest_delays():
    assert judge(TalonConflict("busy"), 0) == Verdict(lane_delay=0.2, why=Why.CONFLICT)
    assert judge(TalonConnectionError("refused"), 9) == replace(AGAIN, lane_delay=1.0)
    assert judge(TalonAuthError("key"), 0) == replace(REFUSED, endpoint_delay=5.0)
    assert judge(TalonThrottled("slow"), 0) == paused(1.0)


@pytest.mark.parametrize(
    ("sent", "floor"), [(0, 1.0), (-5, 1.0), (0.2, 1.0), (30, 30.0), (3600, 3600.0), (1e9, 3600.0)]
)
@pytest.mark.usefixtures("least")
def test_retry_after_is_kept_between_a_second_and_an_hour(sent: float, floor: float):
    assert judge(TalonThrottled("slow", retry_after=sent), 0) == paused(floor)


@pytest.mark.usefixtures("most")
def test_the_hold_is_a_setting_and_no_shorter_than_the_backoff():
    with override_settings(TALON_ONE={"HOLD": 5}):
        assert judge(TalonTimeout("silence"), 0) == replace(HELD, lane_delay=5)
        assert judge(TalonTimeout("silence"), 6) == replace(HELD, lane_delay=128.0)


@pytest.mark.parametrize(
    ("attempts", "ceiling"), [(0, 2.0), (1, 4.0), (5, 64.0), (11, 3600.0), (10**6, 3600.0)]
)
@pytest.mark.usefixtures("most")
def test_the_ceiling_doubles_up_to_an_hour(attempts: int, ceiling: float):
    assert jitter(attempts) == ceiling


@given(st.integers(0, 32767))
def test_jitter_is_within_its_bounds(attempts: int):
    assert 1.0 <= jitter(attempts) <= backoff.LANE_CAP


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(0, 5.0), (5, 5.0), (6, 10.0), (10, 160.0), (11, 300.0), (999, 300.0)]
)
def test_a_failing_endpoint_is_left_alone_longer_and_longer(
    failures: int, ceiling: float, monkeypatch: pytest.MonkeyPatch
):
    assert ceiling / 2 <= breaker_delay(failures) <= ceiling
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert breaker_delay(failures) == ceiling
