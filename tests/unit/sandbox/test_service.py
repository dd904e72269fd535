from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from django_talon.sandbox import idempotency, wire
from django_talon.sandbox.engine.decisions import Decisions
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

    assert answers.once("a", request(), apply).replayed is False
    now[0] += timedelta(hours=23)
    assert answers.once("a", request(), apply).replayed is True
    assert answers.once("b", request(), apply).replayed is False
    now[0] += timedelta(hours=2)
    assert answers.once("a", request(), apply).replayed is False


def running_twice(**decided):
    answers = Answers(lambda: NOW, Decisions(**decided))
    with answers.running("a", request()), answers.running("a", request()):
        raise AssertionError("two at the same time")


@pytest.mark.parametrize("status", [409, 400, 429])
def test_emu_11_a_running_key_is_refused_as_decided(status):
    with pytest.raises(RefusedError) as caught:
        running_twice(key_in_flight=status)
    assert caught.value.status == status


def test_emu_11_a_running_key_can_be_waited_for(monkeypatch):
    answers = Answers(lambda: NOW, Decisions(key_in_flight="wait"))
    entered = threading.Event()

    def second():
        with answers.running("a", request()):
            entered.set()

    with answers.running("a", request()):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(20)
    thread.join(20)
    monkeypatch.setattr(idempotency, "PATIENCE", 0.01)
    with pytest.raises(RefusedError) as caught:
        running_twice(key_in_flight="wait")
    assert caught.value.status == 409


def test_emu_11_errors_are_kept_only_if_decided():
    def refuse():
        raise RefusedError(400, "no")

    for keeps in (False, True):
        answers = Answers(lambda: NOW, Decisions(keeps_errors=keeps))
        with pytest.raises(RefusedError):
            answers.once("a", request(), refuse)
        again = answers.once("a", request(), lambda: wire.json_answer(200, {}))
        assert (again.answer.status, again.replayed) == ((400, True) if keeps else (200, False))


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
