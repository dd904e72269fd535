from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.engine.errors import RefusedError
from django_talon.sandbox.idempotency import Answers
from django_talon.sandbox.journal import Journal
from django_talon.sandbox.slots import Slots
from django_talon.sandbox.validation.attributes import is_of_type

from .shop import NOW


def request(body=b"{}", key="k"):
    return wire.Request("POST", "/v2/events", {"idempotency-key": key}, body)


def test_answers_are_kept_a_day():
    now = [NOW]
    answers = Answers(lambda: now[0])
    made = []

    def apply():
        made.append(1)
        return wire.json_answer(200, {"n": len(made)})

    assert answers.once("a", request(), apply)[1] is False
    now[0] += timedelta(hours=23)
    assert answers.once("a", request(), apply)[1] is True
    assert answers.once("b", request(), apply)[1] is False
    now[0] += timedelta(hours=2)
    assert answers.once("a", request(), apply)[1] is False


def test_answers__a_running_request_is_a_conflict():
    answers = Answers(lambda: NOW)

    def again():
        return answers.once("a", request(), again)[0]

    with pytest.raises(RefusedError) as caught:
        answers.once("a", request(), again)
    assert caught.value.status == 409
    assert answers.once("a", request(), lambda: wire.json_answer(204, None))[1] is False


def test_slots__patience_ends():
    slots = Slots(patience=0.05)
    entered, leave = threading.Event(), threading.Event()

    def occupy():
        with slots.hold(["session:1"]):
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=occupy)
    thread.start()
    entered.wait(20)
    with pytest.raises(RefusedError) as caught, slots.hold(["session:1"]):
        pass
    assert caught.value.status == 409
    leave.set()
    thread.join(20)
    with slots.hold(["session:1"]):
        pass


def test_journal__drops_the_oldest_and_says_so():
    journal = Journal("w", capacity=2)
    for _ in range(3):
        journal.begin(request(), "default")
    assert [entry.index for entry in journal.entries()] == [1, 2]
    assert journal.dropped == 1


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("a", "string", True),
        (True, "number", False),
        (1, "number", True),
        ("2026-01-01T00:00:00+02:00", "time", True),
        (5, "time", False),
        (["a", 1], "(list string)", False),
        ([1, 2], "(list number)", True),
        ({"lat": 1}, "location", True),
        ("true", "boolean", False),
    ],
)
def test_attribute_types(value, kind, expected):
    assert is_of_type(value, kind) is expected


def test_wire__numbers_stay_exact():
    raw = b'{"a":9.990,"b":12345678901234567890.5,"c":0.1}'
    assert wire.encode(wire.decode(raw)) == raw
