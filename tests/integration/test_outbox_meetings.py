"""What workers, answers and the database's own failures do to each other at odd moments."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import OperationalError

import django_talon
from django_talon import tasks
from django_talon.models import CustomerProfile, DeadLetter, DeliveryLog, Endpoint, Lane, OutboxRow
from django_talon.models.outbox import SCHEMA
from django_talon.outbox import delivery, trip, wake
from django_talon.signals import pre_send
from example_project.shop.models import Profile
from tests.helpers import (
    UPDATE,
    all_due,
    cart_with,
    customer,
    deliver_all,
    order_of,
    product,
    session_calls,
    states,
)

pytestmark = pytest.mark.django_db(transaction=True)

LOST = {"phase": "after_apply", "do": {"reset": {}}}


def changed(cart, quantity):
    cart.items.update(quantity=quantity)
    django_talon.mark(cart)


def test_a_customer_whom_an_earlier_step_took_is_held_as_well(talon):
    """After an answer that got lost nobody talks about the customer until the call must be over."""
    ada = customer()
    cart = cart_with(("mug", "1.00", 1), user=ada)
    deliver_all()
    talon.faults.add(UPDATE, when={"first": 1}, **LOST)
    django_talon.track("newsletter", {"source": "x"}, cart=cart)
    changed(cart, 2)
    delivery.drain()
    blocked = Lane.objects.exclude(blocked_until=None).values_list("key", flat=True)
    assert sorted(key.split(":")[0] for key in blocked) == ["cart", "profile"]


@pytest.fixture
def meanwhile():
    """Do something between the decision to call and the call, once."""
    undo = []

    def arrange(do):
        def once(**_):
            pre_send.disconnect(once)
            do()

        pre_send.connect(once, weak=False)
        undo.append(lambda: pre_send.disconnect(once))

    yield arrange
    for each in undo:
        each()


@pytest.mark.parametrize("then", [None, {"status": {"code": 503}}])
def test_a_call_that_began_before_a_pause_neither_ends_nor_shortens_it(talon, meanwhile, then):
    first, second = cart_with(("mug", "1.00", 1)), cart_with(("tea", "1.00", 1))
    pause = {"status": {"code": 429, "retryAfter": 120}}
    talon.faults.add(UPDATE, when={"first": 1}, phase="before_apply", do=pause)
    if then is not None:
        talon.faults.add(UPDATE, phase="before_apply", do=then)
    meanwhile(lambda: delivery.serve_lane(f"cart:shop.cart:{second.pk}"))
    delivery.serve_lane(f"cart:shop.cart:{first.pk}")
    [endpoint] = Endpoint.objects.all()
    assert endpoint.health == "paused"
    assert (endpoint.until - endpoint.changed_at).total_seconds() > 100
    assert len(talon.calls(UPDATE)) == 2


def test_a_long_lane_stops_when_another_worker_was_asked_to_pause(talon, meanwhile, monkeypatch):
    monkeypatch.setattr(trip, "STANDING", -1.0)  # as if each step took longer
    ada, tea = customer(), cart_with(("tea", "1.00", 1))
    deliver_all()
    pause = {"status": {"code": 429, "retryAfter": 120}}
    talon.faults.add(UPDATE, when={"first": 1}, phase="before_apply", do=pause)
    changed(tea, 2)
    for number in range(3):
        django_talon.track("newsletter", {"source": str(number)}, customer=ada)
    meanwhile(lambda: delivery.serve_lane(f"cart:shop.cart:{tea.pk}"))
    delivery.serve_lane(f"customer:auth.user:{ada.pk}")
    assert len(talon.calls("trackEventV2")) == 1
    assert OutboxRow.objects.filter(kind="event").count() == 2


def test_a_profile_is_not_taken_for_sent_by_whoever_lost_the_customers_lane(talon):
    """A worker that froze during the call stores nothing: somebody sent a newer profile since."""
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    OutboxRow.objects.all().delete()
    cart_with(("mug", "1.00", 1), user=ada)

    def taken_over(operation, **_):
        if operation == "updateCustomerProfileV2":
            Lane.objects.filter(key__startswith="profile:").update(token=uuid4())

    pre_send.connect(taken_over)
    try:
        delivery.drain()
    finally:
        pre_send.disconnect(taken_over)
    assert CustomerProfile.objects.get().fingerprint == ""
    assert OutboxRow.objects.exists()
    Lane.objects.update(token=None)
    all_due()
    deliver_all()
    assert len(talon.calls("updateCustomerProfileV2")) == 2
    assert CustomerProfile.objects.get().fingerprint


def locked(*_, **__):
    raise OperationalError("database is locked")


def test_a_lost_answer_that_cannot_be_logged_still_holds_the_lane(talon, monkeypatch):
    cart = cart_with(("mug", "1.00", 1), user=customer())
    deliver_all()
    talon.faults.add(UPDATE, when={"first": 1}, **LOST)
    changed(cart, 2)
    monkeypatch.setattr(DeliveryLog.objects, "create", locked)
    delivery.drain()
    assert Lane.objects.exclude(blocked_until=None).filter(why="hold").count() == 2


def test_an_event_that_must_not_arrive_twice_and_a_database_in_trouble(
    talon, settings, monkeypatch
):
    """It arrived, but that cannot be written down: it is told, and not sent again."""
    settings.TALON_ONE = {
        **settings.TALON_ONE,
        "DIALECT": "2020",
        "EVENTS_AT_MOST_ONCE": ["newsletter"],
    }
    ada = customer()
    deliver_all()
    django_talon.track("newsletter", {"source": "x"}, customer=ada)
    with monkeypatch.context() as trouble:
        trouble.setattr(DeliveryLog.objects, "create", locked)
        delivery.drain()
    all_due()
    deliver_all()
    assert len(talon.calls("trackEvent")) == 1
    assert [letter.kind for letter in DeadLetter.objects.all()] == ["event"]


def test_what_comes_after_a_row_of_a_newer_release_waits_for_it(talon):
    order = order_of(cart_with(("mug", "10.00", 1)))
    OutboxRow.objects.filter(kind="closed").update(schema=SCHEMA + 1)
    order.status = "cancelled"
    order.save()
    delivery.drain(5)
    assert not {"closed", "cancelled"} & set(states(talon))
    OutboxRow.objects.update(schema=SCHEMA)
    all_due()
    deliver_all()
    assert states(talon)[-2:] == ["closed", "cancelled"]
    assert not DeadLetter.objects.exists()


def test_a_backlog_longer_than_a_turn_goes_on_without_a_sweep(talon, monkeypatch):
    rung = []
    monkeypatch.setattr(wake, "publish", rung.append)
    monkeypatch.setattr(tasks, "TURN", 0.0)
    cart_with(("mug", "1.00", 1))
    tasks.deliver()
    assert rung
    assert product()
    assert session_calls(talon) == []
