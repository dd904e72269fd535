"""How delivery fares, as the status page, the banner and the commands read it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_talon.conf import application
from django_talon.models import (
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Erasure,
    Heartbeat,
    OutboxRow,
)
from django_talon.outbox import delivery, endpoint, traffic, vital_signs
from tests.helpers import all_due, cart_with, deliver_all, order_of, states

pytestmark = pytest.mark.django_db(transaction=True)


def codes():
    return [problem.code for problem in vital_signs.problems(vital_signs.read())]


def test_H7_nothing_to_say_of_a_shop_at_rest(talon):
    assert codes() == []
    signs = vital_signs.read()
    assert (signs.waiting, signs.oldest_due_age, signs.heartbeat_age) == (0, None, None)
    assert [sign.is_well for sign in signs.endpoints] == [True]


def test_H7_each_problem_has_a_code_and_a_text(talon, settings):
    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(due_at=timezone.now() - timedelta(hours=1))
    assert codes() == ["nobody-delivers"]
    delivery.beat("worker")
    assert codes() == ["late"]
    DeadLetter.objects.create(uid="00000000-0000-0000-0000-000000000000", reason="x")
    Erasure.objects.create(environment="e", requested_at=timezone.now() - timedelta(days=31))
    app = application("default")
    endpoint.pause(app, "op", "")
    Endpoint.objects.update(health="refused")
    assert codes() == ["refused", "stopped", "erasure-overdue", "late", "dead-letters"]
    found = {p.code: p for p in vital_signs.problems(vital_signs.read())}
    assert found["stopped"].message == "op paused Application “default”."
    assert found["refused"].is_urgent
    assert not found["late"].is_urgent
    assert all(problem.message for problem in found.values())
    Endpoint.objects.all().delete()
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    Heartbeat.objects.all().delete()
    assert "nobody-delivers" not in codes()
    assert codes()[-1] == "disabled"


def test_H7_a_done_or_lifted_erasure_is_not_overdue(talon):
    old = {"environment": "e", "requested_at": timezone.now() - timedelta(days=31)}
    Erasure.objects.create(status="done", **old)
    Erasure.objects.create(lifted_at=timezone.now(), **old)
    Erasure.objects.create(environment="e")
    assert codes() == []


def test_calls_by_the_hour_and_by_outcome(talon):
    now = timezone.now()
    for hours, outcome, status in (
        (0, "delivered", None),
        (0, "TalonRejected", 400),
        (2, "delivered", None),
        (30, "delivered", None),
    ):
        DeliveryLog.objects.create(
            application="default",
            operation="o",
            aggregate="a",
            outcome=outcome,
            status=status,
            milliseconds=10 * (hours + 1),
            created_at=now - timedelta(hours=hours),
        )
    found = traffic.traffic(now)
    assert len(found.hours) == 24
    assert (found.hours[-1].delivered, found.hours[-1].failed) == (1, 1)
    assert found.hours[-3].delivered == 1
    assert (found.delivered, found.failed) == (2, 1)
    assert [(o.name, o.status, o.count) for o in found.outcomes] == [
        ("delivered", None, 2),
        ("TalonRejected", 400, 1),
    ]
    assert (found.median, found.p95) == (10, 10)
    DeliveryLog.objects.all().delete()
    assert traffic.traffic(now).median is None


def test_drift_has_both_totals(talon):
    order = order_of(cart_with(("mug", "10.00", 2)))
    deliver_all()
    line = order.lines.get()
    line.quantity = 3
    line.save()
    deliver_all()
    [drift] = traffic.drifts()
    assert (drift.theirs, drift.ours) == (Decimal("24.90"), Decimal("34.90"))
    assert (drift.difference, drift.currency) == (Decimal("10.00"), "EUR")
    assert drift.order == f"order:shop.order:{order.pk}"
    CustomerSession.objects.update(closed_total=None)
    assert traffic.drifts()[0].difference is None


def test_the_vital_signs_cost_the_same_queries_however_many_rows(talon):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            signs = vital_signs.read()
            list(vital_signs.problems(signs))
            traffic.traffic(signs.at)
            traffic.drifts()
        return len(seen)

    def fill(count):
        DeliveryLog.objects.bulk_create(
            DeliveryLog(application="default", operation="o", aggregate=str(n), outcome="delivered")
            for n in range(count)
        )
        CustomerSession.objects.bulk_create(
            CustomerSession(application="default", drift_at=timezone.now()) for n in range(count)
        )
        OutboxRow.objects.bulk_create(
            OutboxRow(application="default", lane=str(n), aggregate=str(n), kind="mark")
            for n in range(count)
        )

    fill(100)
    few = queries()
    fill(9_900)
    assert queries() == few <= 13


# An operator's pause


def test_H2_an_operators_pause_is_respected_until_it_is_resumed(talon, settings):
    app = application("default")
    assert endpoint.pause(app, "op", "their maintenance")
    assert not endpoint.pause(app, "other", "")
    cart_with(("mug", "10.00", 1))
    delivery.drain()
    assert states(talon) == []
    [sign] = vital_signs.endpoints()
    assert (sign.stopped_by, sign.stopped_reason, sign.is_well) == (
        "op",
        "their maintenance",
        False,
    )
    all_due()
    delivery.drain()  # neither does time end it
    assert not endpoint.is_usable(app)
    assert states(talon) == []
    assert not OutboxRow.objects.exclude(attempts=0).exists()
    assert endpoint.resume(app)
    assert not endpoint.resume(app)
    deliver_all()
    assert states(talon) == ["open"]


def test_H2_a_new_key_does_not_end_a_pause(talon, settings):
    endpoint.pause(application("default"), "op", "")
    settings.TALON_ONE = {**settings.TALON_ONE, "API_KEY": talon.key + ".other"}
    fresh = application("default")
    assert not endpoint.is_usable(fresh)
    assert not vital_signs.endpoints()[0].is_well
    assert endpoint.resume(fresh)
    assert endpoint.is_usable(fresh)


def test_H2_an_answer_under_way_does_not_end_a_pause(talon):
    app = application("default")
    endpoint.pause(app, "op", "")
    Endpoint.objects.update(failures=3)
    endpoint.succeeded(app, timezone.now())
    assert not endpoint.is_usable(app)


def test_a_call_is_logged_with_its_session_and_state(talon):
    order_of(cart_with(("mug", "10.00", 1)), status="placed")
    deliver_all()
    session = CustomerSession.objects.get()
    logged = DeliveryLog.objects.filter(session_id=session.integration_id)
    assert [log.state for log in logged.order_by("id")] == states(talon)
