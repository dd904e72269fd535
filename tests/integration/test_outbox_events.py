"""Custom events: their place, their keys, what becomes of one that comes twice or too late."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

import django_talon
from django_talon.models import DeadLetter, OutboxRow
from django_talon.outbox.replay import replay
from django_talon.shop import SnapshotError
from tests.helpers import all_due, cart_with, customer, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def v3(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "EVENTS": "v3"}
    return talon


def lost(talon, operation):
    """Let Talon.One do what it is asked once, and lose the answer."""
    talon.faults.add(operation, when={"first": 1}, phase="after_apply", do={"reset": {}})


def test_A6_events_keep_their_place_in_the_lane(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    for source in ("first", "second"):
        django_talon.track("newsletter", {"source": source}, cart=cart)
    deliver_all()
    told = [call["operation"] for call in talon.calls()]
    assert told[1:] == ["updateCustomerSessionV2", "trackEventV2", "trackEventV2"]
    sources = [call["body"]["attributes"]["source"] for call in talon.calls("trackEventV2")]
    assert sources == ["first", "second"]


def test_A6_v3_has_an_id_of_its_own_that_retries_keep(v3):
    lost(v3, "trackEventV3")
    django_talon.track("newsletter", {"source": "shop"}, customer=customer())
    uid = str(OutboxRow.objects.get(kind="event").uid)
    deliver_all()
    all_due()
    deliver_all()
    assert [call["body"]["integrationId"] for call in v3.calls("trackEventV3")] == [uid, uid]
    assert len(v3.state()["events"]) == len({e["id"] for e in v3.state()["events"]})
    assert [e["type"] for e in v3.state()["events"]].count("newsletter") == 1
    assert not OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()


def test_A6_a_conflict_about_another_event_is_not_taken_for_delivered(v3):
    v3.faults.add("trackEventV3", when={"first": 1}, do={"status": {"code": 409}})
    django_talon.track("newsletter", {}, customer=customer())
    deliver_all()
    assert [call["status"] for call in v3.calls("getEventV3")] == [404]
    assert OutboxRow.objects.filter(kind="event").exists()
    all_due()
    deliver_all()
    assert not OutboxRow.objects.exists()
    assert [e["type"] for e in v3.state()["events"]].count("newsletter") == 1


def test_an_event_that_waited_too_long_is_a_dead_letter(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "EVENT_MAX_AGE": 60}
    django_talon.track("newsletter", {}, customer=customer())
    events = OutboxRow.objects.filter(kind="event")
    events.update(created_at=timezone.now() - timedelta(seconds=90))
    deliver_all()
    [letter] = DeadLetter.objects.all()
    assert letter.reason.startswith("expired: it happened 9")
    assert talon.calls("trackEventV2") == []
    replay([letter])
    deliver_all()
    assert len(talon.calls("trackEventV2")) == 1


def test_an_event_of_a_cart_without_a_session_says_what_it_lacks(talon):
    cart = cart_with()
    django_talon.track("newsletter", {}, cart=cart)
    deliver_all()
    assert "Pass customer=... to track()" in DeadLetter.objects.get().reason


def test_values_of_an_event_that_cannot_be_sent_are_refused_at_once(talon):
    ada = customer()
    before = OutboxRow.objects.count()
    for value, why in (
        (float("nan"), "'score' is not a finite number"),
        ({"list": [1, Decimal("Infinity")]}, r"'score' .list \[1\] is not a finite number"),
        (object(), "'score' is of type object"),
    ):
        with pytest.raises(ValueError, match=why):
            django_talon.track("newsletter", {"score": value}, customer=ada)
    assert OutboxRow.objects.count() == before


def test_C7_an_event_of_an_id_that_cannot_be_is_refused_at_once(monkeypatch):
    from example_project.shop.talon import Shop

    ada = customer()
    for bad in ("", ".", "..", "a\0b", "x" * 256, "\ud800", "ada@example.org"):
        monkeypatch.setattr(Shop, "profile_id", lambda self, user, bad=bad: bad)
        with pytest.raises(SnapshotError, match="profile_id"):
            django_talon.track("newsletter", {}, customer=ada)


def test_C7_ids_with_any_other_character_round_trip(talon, monkeypatch):
    from example_project.shop.talon import Shop

    ids = ["a b/ü", "a%2Fb?c#d", "\u200bzero", "漢字", "x" * 255]
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: ids[int(user.username)])
    for number in range(len(ids)):
        customer(str(number))
    deliver_all()
    assert set(talon.state()["profiles"]) >= set(ids)
    assert not DeadLetter.objects.exists()
