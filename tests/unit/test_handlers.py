"""Shop code that reacts to effects: called for its type, isolated from the rest."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import django_talon as talon
from django_talon.client import Effect, decode_effects
from django_talon.effects import handlers, typed, whole
from django_talon.models import CustomerSession
from django_talon.signals import effects_received

EFFECTS = decode_effects(
    b"""[
    {"campaignId": 1, "rulesetId": 2, "ruleIndex": 0, "ruleName": "r",
     "effectType": "acceptCoupon", "props": {"value": "WELCOME10"}},
    {"campaignId": 1, "rulesetId": 2, "ruleIndex": 0, "ruleName": "r",
     "effectType": "setDiscount", "props": {"name": "off", "value": 9.999}},
    {"campaignId": 1, "rulesetId": 2, "ruleIndex": 0, "ruleName": "r",
     "effectType": "somethingNew", "props": {"anything": [1, 2]}}
    ]"""
)
SESSION = CustomerSession(integration_id="s-1")


@pytest.fixture(autouse=True)
def forget_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_handlers", type(handlers._handlers)(list))


@pytest.fixture
def receiver() -> Iterator[Callable[..., Any]]:
    """Connect receivers for the time of a test."""
    connected: list[Any] = []

    def connect(function: Any) -> Any:
        effects_received.connect(function)
        connected.append(function)
        return function

    yield connect
    for function in connected:
        effects_received.disconnect(function)


def test_a_handler_hears_of_its_type_and_a_star_of_all():
    heard: list[tuple[str, str]] = []

    @talon.on_effect("setDiscount")
    def discount(effect: Effect, session: CustomerSession) -> None:
        heard.append(("discount", f"{session.integration_id} {effect.props.value}"))

    @talon.on_effect("*")
    def anything(effect: Effect, session: CustomerSession) -> None:
        heard.append(("anything", effect.effect_type))

    handlers.dispatch(SESSION, iter(EFFECTS))
    assert heard == [
        ("anything", "acceptCoupon"),
        ("discount", "s-1 9.999"),
        ("anything", "setDiscount"),
        ("anything", "somethingNew"),
    ]


def test_the_decorator_gives_the_function_back():
    def function(**_: Any) -> None: ...

    assert talon.on_effect("setDiscount")(function) is function


def test_several_types_on_one_function_and_forgetting_it():
    heard: list[str] = []

    @talon.on_effect("setDiscount")
    @talon.on_effect("acceptCoupon")
    def both(effect: Effect, session: CustomerSession) -> None:
        heard.append(effect.effect_type)

    handlers.dispatch(SESSION, EFFECTS)
    handlers.off_effect(both)
    handlers.dispatch(SESSION, EFFECTS)
    assert heard == ["acceptCoupon", "setDiscount"]


def test_what_a_handler_raises_is_logged_and_disturbs_nobody(caplog: pytest.LogCaptureFixture):
    heard: list[str] = []

    @talon.on_effect("setDiscount")
    def broken(effect: Effect, session: CustomerSession) -> None:
        raise ZeroDivisionError("ada@example.com")

    @talon.on_effect("setDiscount")
    def sound(effect: Effect, session: CustomerSession) -> None:
        heard.append(effect.effect_type)

    with caplog.at_level(logging.ERROR, logger="django_talon"):
        handlers.dispatch(SESSION, EFFECTS)
    assert heard == ["setDiscount"]
    name = f"{test_what_a_handler_raises_is_logged_and_disturbs_nobody.__name__}.<locals>.broken"
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"The handler {name} of setDiscount raised ZeroDivisionError (")
    assert re.search(r" > tests\.unit\.test_handlers\.broken:\d+\); the other", said)
    assert said.endswith("; the other handlers went on.")
    assert "ada@" not in caplog.text


def test_receivers_get_the_whole_answer_once_and_may_raise(
    receiver: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    heard: list[Any] = []

    @receiver
    def broken(**_: Any) -> None:
        raise LookupError("not here")

    @receiver
    def sound(sender: Any, session: CustomerSession, effects: list[Effect], **_: Any) -> None:
        heard.append((sender, session, [effect.effect_type for effect in effects]))

    @talon.on_effect("acceptCoupon")
    def handler(effect: Effect, session: CustomerSession) -> None:
        heard.append(effect.effect_type)

    with caplog.at_level(logging.ERROR, logger="django_talon"):
        handlers.dispatch(SESSION, EFFECTS)
    types = ["acceptCoupon", "setDiscount", "somethingNew"]
    assert heard == [(CustomerSession, SESSION, types), "acceptCoupon"]
    [record] = [record for record in caplog.records if record.name == "django_talon"]
    said = record.getMessage()
    assert re.search(r"broken of effects_received raised LookupError \(.*\); the", said)
    assert said.endswith("; the other handlers went on.")


def test_an_answer_without_effects_reaches_the_receivers_too(receiver: Callable[..., Any]):
    heard: list[Any] = []

    @receiver
    def sound(effects: list[Effect], **_: Any) -> None:
        heard.append(effects)

    handlers.dispatch(SESSION, [])
    assert heard == [[]]


def test_whole_leaves_out_what_is_no_effect():
    from django_talon.client.types.effects import Effect as Struct

    lame = Struct(
        campaign_id=1,
        ruleset_id=2,
        rule_index=0,
        rule_name=None,  # type: ignore[arg-type]
        effect_type="setDiscount",
        props={"name": "off", "value": 1},  # type: ignore[arg-type]
    )
    assert whole([*EFFECTS, lame, {"effectType": "setDiscount"}, "setDiscount", None]) == EFFECTS


def test_typed_leaves_out_props_of_another_form():
    odd = decode_effects(
        b"""[{"campaignId": 1, "rulesetId": 2, "ruleIndex": 0, "ruleName": "r",
              "effectType": "setDiscount", "props": {"name": "no value"}}]"""
    )
    assert typed([*EFFECTS, *odd], "setDiscount", "somethingNew") == [EFFECTS[1]]
