"""A shop whose connections have AUTOCOMMIT off, and commits by itself."""

from __future__ import annotations

import signal

import pytest

from django_talon.models import CustomerSession, DeliveryLog, Erasure, Heartbeat, OutboxRow
from django_talon.tasks import sweep
from tests.helpers import (
    UPDATE,
    all_due,
    cart_with,
    customer,
    deliver_all,
    session_calls,
    states,
    wait_for,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

MANUAL = {"TALON_TEST_AUTOCOMMIT": "off"}

BY_HAND = """
    from django.db import connection, transaction
    from django_talon.models import OutboxRow
    from django_talon.outbox.rows import losses
    from example_project.shop.models import Cart
    from tests.helpers import cart_with
    assert not transaction.get_autocommit()
    cart_with(("mug", "10.00", 1))
    transaction.commit()
    cart = Cart.objects.get()
    cart.save()
    transaction.rollback()
    assert losses.count == 0, losses.count
    print("rows", OutboxRow.objects.count())
    transaction.rollback()
"""


def ended(process):
    """Return what a process said that has ended well."""
    said = process.stdout.read()
    assert process.wait(timeout=60) == 0, said
    return said


def test_fault_36_transactions_by_hand(talon, processes):
    """With AUTOCOMMIT off a mark lives with the shop's commit, and the sweep delivers it."""
    assert "rows 2" in ended(processes.script(BY_HAND, **MANUAL))
    assert OutboxRow.objects.count() == 2
    sweep()
    [sent] = session_calls(talon)
    assert sent["cartItems"][0]["sku"] == "mug"
    assert not OutboxRow.objects.exists()


def test_fault_36_a_relay_commits_what_it_did(talon, processes, relay):
    """With AUTOCOMMIT off a relay keeps what it has sent, in all its threads: none goes twice."""
    for _ in range(12):
        cart_with(("mug", "10.00", 1))
    first = relay(**MANUAL)
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    first.send_signal(signal.SIGTERM)
    ended(first)
    assert len(states(talon)) == CustomerSession.objects.exclude(fingerprint="").count() == 12
    ended(processes.start("-m", "django", "talon_relay", "--once", **MANUAL))
    assert len(states(talon)) == 12
    assert talon.violations() == []


IN_A_TASK = """
    from django.db import connection, transaction
    from django_talon.tasks import purge, reconcile, sweep
    from example_project.shop.models import Cart
    Cart.objects.update(user=None)
    assert sweep() == 2
    purge(), reconcile()
    assert not transaction.get_autocommit()
    transaction.rollback()
"""


@pytest.mark.databases("postgresql", "mysql")
def test_fault_36_a_task_leaves_the_shops_transaction_alone(talon, processes):
    """With AUTOCOMMIT off a task commits what it did, and not what the shop has open."""
    cart = cart_with(("mug", "10.00", 1), user=customer())
    ended(processes.script(IN_A_TASK, **MANUAL))
    assert not OutboxRow.objects.exists()
    assert Heartbeat.objects.get().name == "worker"
    cart.refresh_from_db()
    assert cart.user is not None
    sweep()
    assert states(talon) == ["open"]


def test_fault_36_a_command_commits_what_it_did(talon, processes):
    """With AUTOCOMMIT off an erasure that was asked for on the command line is carried out."""
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    ended(processes.start("-m", "django", "talon_erase", str(ada.pk), "--yes", **MANUAL))
    assert Erasure.objects.get().status == Erasure.Status.REQUESTED
    deliver_all()
    assert states(talon) == ["open", "cancelled"]


def test_talon_check_tells_of_the_shops_setting(talon, processes):
    found = processes.start("-m", "django", "talon_check", "--json", **MANUAL)
    assert "django_talon.I114" in found.stdout.read()


ASKED = """
    from django.db import transaction
    import django_talon
    from example_project.shop.models import Cart
    answer = django_talon.evaluate(Cart.objects.get(), fresh=True)
    print("answered", answer.answered)
    transaction.rollback()
"""


def test_fault_36_evaluate_asks_dry(talon, processes):
    """With AUTOCOMMIT off evaluate asks dry: what is rolled back was not done at Talon.One."""
    cart_with(("mug", "10.00", 1))
    assert "answered True" in ended(processes.script(ASKED, **MANUAL))
    [asked] = talon.calls(UPDATE)
    assert asked["query"]["dry"] == "true"
    assert not DeliveryLog.objects.exists()
    all_due()
    deliver_all()
    assert states(talon) == ["open"]


OPERATED = """
    from datetime import timedelta
    from django.db import transaction
    from django.utils import timezone
    from django_talon.conf import application
    from django_talon.models import OutboxRow
    from django_talon.outbox import endpoint, replay
    from tests.helpers import cart_with
    cart_with(("mug", "10.00", 1))
    app = application("default")
    assert endpoint.pause(app, operator="op", reason="")
    assert endpoint.resume(app)
    OutboxRow.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert list(replay.hurry_chosen(OutboxRow.objects.all()))
    transaction.commit()
"""


def test_fault_36_an_operators_decisions(talon, processes):
    """With AUTOCOMMIT off a pause can be ended and a row be tried sooner: the sweep goes on."""
    ended(processes.script(OPERATED, **MANUAL))
    sweep()
    assert states(talon) == ["open"]
