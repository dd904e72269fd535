"""The health view and the signal: what monitors and metrics are told (row H7)."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path

from django_talon.health import health
from django_talon.models import DeliveryLog, OutboxRow
from django_talon.outbox import clock, delivery
from django_talon.outbox import health as measuring
from django_talon.signals import health_measured
from django_talon.tasks import sweep
from tests.helpers import cart_with, deliver_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

urlpatterns = [path("health/", health)]


def test_H7_a_stranger_is_told_whether_and_nothing_else(client, talon):
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"healthy": True, "problems": []})
    assert "no-store" in answer.headers["Cache-Control"]

    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(due_at=clock.now())
    answer = client.get("/health/")
    assert answer.status_code == 503
    assert answer.json() == {"healthy": False, "problems": [{"code": "nobody-delivers"}]}


def test_H7_a_monitor_with_the_token_sees_the_figures(client, talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "HEALTH_TOKEN": "let-me-see"}
    cart_with(("mug", "10.00", 1))
    deliver_all()

    def ask(token):
        return client.get("/health/", headers={"Authorization": f"Bearer {token}"}).json()

    assert "waiting" not in ask("guess")
    seen = ask("let-me-see")
    assert seen["waiting"] == 0
    assert seen["last_24_hours"]["delivered"] == 1
    assert seen["last_24_hours"]["error_rate"] == 0.0
    assert seen["last_hour"]["p95_milliseconds"] is not None
    assert seen["endpoints"][0]["health"] == "healthy"
    assert talon.key not in str(seen)


def test_H7_staff_that_may_view_the_outbox_sees_the_figures(client, talon):
    root = User.objects.create_superuser("root")
    sales = User.objects.create_user("sales", is_staff=True)
    client.force_login(root)
    assert client.get("/health/").json()["waiting"] == OutboxRow.objects.count() > 0
    client.force_login(sales)
    assert "waiting" not in client.get("/health/").json()


def test_L3_the_health_view_takes_no_post(client, talon):
    assert client.post("/health/").status_code == 405


def test_H7_as_many_queries_for_a_long_queue(client, talon, django_assert_num_queries):
    client.force_login(User.objects.create_superuser("root"))
    deliver_all()
    cart_with(("mug", "10.00", 1))
    deliver_all()
    with CaptureQueriesContext(connection) as few:
        client.get("/health/")
    OutboxRow.objects.bulk_create(
        OutboxRow(application="default", lane=f"l{n}", aggregate=f"l{n}", kind="mark")
        for n in range(300)
    )
    DeliveryLog.objects.bulk_create(
        DeliveryLog(application="default", operation="o", aggregate=f"l{n}", outcome="delivered")
        for n in range(300)
    )
    with django_assert_num_queries(len(few)):
        client.get("/health/")


@pytest.fixture
def gauges(monkeypatch):
    """Collect what the signal tells, as a StatsD receiver would."""
    monkeypatch.setattr(measuring, "_measured_at", -1e9)
    told = []

    def receive(signs, traffic, problems, **_):
        told.append((signs.waiting, traffic.delivered, [problem.code for problem in problems]))

    health_measured.connect(receive)
    yield told
    health_measured.disconnect(receive)


def test_H7_metrics_are_told_once_a_minute_by_who_sweeps(talon, gauges):
    cart_with(("mug", "10.00", 1))
    sweep()
    sweep()
    assert gauges == [(0, 1, [])]


def test_H7_nobody_listens_so_nothing_is_measured(talon, monkeypatch):
    monkeypatch.setattr(measuring, "_measured_at", -1e9)
    assert not measuring.measure()


def test_H7_a_receiver_that_raises_does_not_end_the_sweep(talon, gauges):
    def broken(**_):
        raise RuntimeError

    health_measured.connect(broken)
    try:
        cart_with(("mug", "10.00", 1))
        assert sweep() == 1
    finally:
        health_measured.disconnect(broken)
    assert gauges == [(0, 1, [])]
    assert delivery.drain() == 0
