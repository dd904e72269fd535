"""The Celery tasks, called as a worker calls them."""

from __future__ import annotations

import pytest

from django_talon import tasks
from django_talon.models import Heartbeat, OutboxRow
from tests.helpers import cart_with, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("task", [tasks.deliver, tasks.sweep], ids=lambda task: task.name)
def test_a_task_delivers_what_is_due_and_leaves_a_sign_of_life(talon, task):
    cart_with(("mug", "1.00", 1))
    assert task() == 1
    assert states(talon) == ["open"]
    assert not OutboxRow.objects.exists()
    assert Heartbeat.objects.get().name == "worker"
    assert task() == 0


def test_the_purge_task_says_what_went(talon):
    said = tasks.purge()
    assert {"deliveries", "dead letters", "lanes", "evaluations", "selections"} <= set(said)
    assert set(said.values()) == {0}


def test_every_scheduled_task_exists():
    names = {task.name for task in (tasks.deliver, tasks.sweep, tasks.purge, tasks.reconcile)}
    assert {entry["task"] for entry in tasks.BEAT_SCHEDULE.values()} <= names
