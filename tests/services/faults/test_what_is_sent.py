"""Changes that cross, payloads that cannot be sent, and answers that say "twice"."""

from __future__ import annotations

import random
import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy

import django_talon
from django_talon.models import CodeEntry, CustomerSession, DeadLetter, OutboxRow
from example_project.shop.models import CartItem
from example_project.shop.talon import Shop
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
from tests.shops.models import Bag, BagEntry, Member, Purchase

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

#: A seed without campaigns, to which attributes are added.
ANY = {"name": "any", "eventTypes": ["any"], "additionalCosts": ["shipping"], "campaigns": []}


def test_fault_16_a_conflict_about_an_event_that_is_there_means_it_arrived(talon, settings):
    """A v3 event whose answer was lost is asked for by its id after the 409, and counted once."""
    settings.TALON_ONE = {**settings.TALON_ONE, "EVENTS": "v3"}
    talon.faults.add("trackEventV3", when={"first": 1}, phase="after_apply", do={"reset": {}})
    django_talon.track("newsletter", {}, customer=customer())
    deliver_all()
    all_due()
    deliver_all()
    assert [call["status"] for call in talon.calls("trackEventV3")][-1] == 409
    assert [call["status"] for call in talon.calls("getEventV3")] == [200]
    assert [event["type"] for event in talon.state()["events"]].count("newsletter") == 1
    assert not OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()


def test_fault_42_what_is_deleted_before_its_delivery_makes_no_loop(talon):
    """Customer and cart deleted between mark and delivery: the session is cancelled, the profile
    is not made, nothing waits or fails.
    """
    sent = cart_with(("mug", "1.00", 1))
    deliver_all()
    ada = customer()
    unsent = cart_with(("tea", "1.00", 1), user=ada)
    sent.save()
    unsent.delete()
    sent.delete()
    ada.delete()
    deliver_all()
    assert states(talon) == ["open", "cancelled"]
    assert talon.calls("updateCustomerProfileV2") == []
    assert not OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()


def test_fault_44_an_order_closed_before_its_last_cart_update_went_out(talon):
    """The close carries the whole basket, takes the waiting marks with it, and no open session
    follows it.
    """
    cart = cart_with(("mug", "1.00", 1), user=customer())
    deliver_all()
    CartItem.objects.create(cart=cart, product=product("tea", "2.00"), quantity=3)
    with transaction.atomic():
        order_of(cart)
    cart.save()
    deliver_all()
    opened, closed = session_calls(talon)
    assert (opened["state"], closed["state"]) == ("open", "closed")
    assert [(i["sku"], i["quantity"]) for i in closed["cartItems"]] == [("mug", 1), ("tea", 3)]
    [session] = talon.state()["sessions"].values()
    assert session["state"] == "closed"


def test_fault_45_closed_returned_and_cancelled_in_one_window_are_three_calls(talon):
    """What happened to an order within one debounce is told call by call, in order."""
    bag = Bag.objects.create(member=Member.objects.create())
    fields = {"article": "mug", "title": "Mug", "amount": 10, "count": 3}
    BagEntry.objects.create(bag=bag, **fields)
    purchase = Purchase.objects.create(bag=bag, member=bag.member, stage=1)
    entry = purchase.entries.create(**fields)
    entry.came_back = 1
    entry.save()
    purchase.stage = 9
    purchase.save()
    deliver_all()
    told = [call for call in talon.calls() if "Profile" not in call["operation"]]
    assert [(call["operation"], call["status"]) for call in told] == [
        (UPDATE, 200),
        ("returnCartItems", 200),
        (UPDATE, 200),
    ]
    assert states(talon) == ["closed", "cancelled"]
    assert not DeadLetter.objects.exists()


def test_fault_48_a_cart_of_5000_lines_is_a_dead_letter_with_its_size(talon):
    """A cart that is too big is not sent, its dead letter says how big it is, and the lane goes
    on when the cart is smaller.
    """
    bag = Bag.objects.create()
    line = {"article": "a", "title": "A", "amount": 1, "count": 1}
    BagEntry.objects.bulk_create(BagEntry(bag=bag, **line) for _ in range(5000))
    other = cart_with(("mug", "1.00", 1))
    django_talon.mark(bag)
    deliver_all()
    assert "has 5000 entries, and 1000 is the most" in DeadLetter.objects.get().reason
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)] == ["mug"]
    assert other.pk
    bag.entries.filter(pk__gt=bag.entries.order_by("pk")[2].pk).delete()
    bag.save()
    deliver_all()
    assert len(session_calls(talon)[-1]["cartItems"]) == 3
    assert not DeadLetter.objects.exists()


def test_fault_48_a_413_is_a_dead_letter_with_the_size(talon):
    """A request that Talon.One finds too large is not sent again; the letter says its size."""
    talon.faults.add(UPDATE, when={"first": 1}, do={"status": {"code": 413}})
    cart_with(("mug", "1.00", 1))
    deliver_all()
    all_due()
    deliver_all()
    letter = DeadLetter.objects.get()
    assert (letter.status, len(talon.calls(UPDATE))) == (413, 1)
    assert "The request had" in letter.reason
    assert "bytes" in letter.reason


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (float("nan"), None),
        (Decimal("-Infinity"), None),
        (object(), None),
        (b"raw", None),
        (Decimal("1.10"), Decimal("1.1")),
        (gettext_lazy("Info"), "Info"),
        ("nul\0in it", "nulin it"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("\U0001f600 \u200b", "\U0001f600 \u200b"),
    ],
    ids="nan infinity object bytes decimal lazy nul surrogate emoji".split(),
)
def test_fault_49_values_that_json_or_a_database_refuses(talon, monkeypatch, value, sent):
    """A value is sent in one clean form, or its dead letter names the attribute: the same on each
    database, in a profile and in an event.
    """
    kind = "number" if isinstance(sent, Decimal) else "string"
    declared = {"CustomerProfile": {"odd": kind}, "Event": {"odd": kind}}
    talon.reset(seed={**ANY, "attributes": declared})
    monkeypatch.setattr(Shop, "customer_attributes", {"odd": lambda user: value})
    ada = customer()
    if sent is None:
        with pytest.raises(ValueError, match="attribute 'odd'"):
            django_talon.track("any", {"odd": value}, customer=ada)
    else:
        django_talon.track("any", {"odd": value}, customer=ada)
    deliver_all()
    if sent is None:
        assert "attribute 'odd'" in DeadLetter.objects.get().reason
        assert talon.calls() == []
    else:
        assert not DeadLetter.objects.exists()
        assert [call["body"]["attributes"] for call in talon.calls()] == [{"odd": sent}] * 2
    assert not OutboxRow.objects.exists()


def test_fault_50_ids_are_opaque_and_those_that_cannot_be_are_named(talon, monkeypatch):
    """Ids with spaces, slashes, zero-width and foreign characters arrive as they are; dots, NUL,
    the empty and the too long are dead letters.
    """
    good = ["a b/ü", "a%2Fb?c#d", "\u200bzero", "漢字", "x" * 255]
    bad = ["", ".", "..", "a\0b", "x" * 300]
    every = [*good, *bad]
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: every[int(user.username)])
    for number in range(len(every)):
        User.objects.create(username=str(number))
    deliver_all()
    assert [call["profileId"] for call in talon.calls("updateCustomerProfileV2")] == good
    assert set(talon.state()["profiles"]) >= set(good)
    assert DeadLetter.objects.count() == len(bad)


#: Characters that ids and values are made of, so that few of either are plain.
ODD = [
    *("a", "A", "b", "7", " ", ".", "/", "\\", "%", "%2F", "?", "#", "&", "+", ":", ";", '"', "'"),
    *("\n", "\t", "\x7f", "\0", "\ud800", "\udfff", "\u200b", "\u202e", "\ufeff"),
    *("e\u0301", "é", "ü", "漢", "\U0001f600", "ß" * 90, "x" * 200),
]


def odd_texts(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    lengths = (0, 1, 1, 2, 2, 3, 5)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chance.choices(ODD, k=chance.choice(lengths)))] = None
    return list(found)


def can_be_sent(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize("seed", range(3))
def test_fault_50_any_id_arrives_as_it_is_or_is_named(talon, monkeypatch, seed):
    """Of ids of odd characters at random, each arrives unchanged or is a dead letter: none is cut,
    folded or taken for a path.
    """
    every = odd_texts(seed, 80)
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: every[int(user.username)])
    for number in range(len(every)):
        User.objects.create(username=str(number))
    deliver_all(within=60)
    good = [
        one for one in every if 0 < len(one) <= 255 and one not in (".", "..") and can_be_sent(one)
    ]
    assert 20 < len(good) < 75
    assert sorted(c["profileId"] for c in talon.calls("updateCustomerProfileV2")) == sorted(good)
    assert set(good) <= set(talon.state()["profiles"])
    assert DeadLetter.objects.count() == len(every) - len(good)


@pytest.mark.parametrize("seed", range(3))
def test_fault_49_any_text_is_sent_in_one_clean_form(talon, monkeypatch, seed):
    """Texts of odd characters at random arrive without NUL and with half pairs replaced, the same
    on each database.
    """
    texts = odd_texts(seed, 40)
    talon.reset(seed={**ANY, "attributes": {"CustomerProfile": {"odd": "(list string)"}}})
    monkeypatch.setattr(Shop, "customer_attributes", {"odd": lambda user: texts})
    customer()
    deliver_all()
    [call] = talon.calls("updateCustomerProfileV2")
    clean = [re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\0", "")) for text in texts]
    assert call["body"]["attributes"]["odd"] == clean
    assert not DeadLetter.objects.exists()


def test_fault_61_what_the_shop_takes_away_is_gone_at_talon_one(talon, monkeypatch):
    """A coupon, a cost, an item's attribute and a cart's attribute that the shop takes away are
    sent as empty, and Talon.One ends with what the shop has.
    """
    paths = {"channel": lambda cart: "web"}
    monkeypatch.setattr(Shop, "cart_attributes", paths)
    monkeypatch.setattr(Shop, "item", {**Shop.item, "attributes": {"brand": lambda line: "x"}})
    cart = cart_with(("mug", "1.00", 1), user=customer())
    django_talon.evaluate(cart, enter=["WELCOME10"])
    paths["channel"] = lambda cart: None
    monkeypatch.setattr(Shop, "item", {**Shop.item, "attributes": {}})
    monkeypatch.setattr(Shop, "additional_costs", lambda self, cart: {})
    CodeEntry.objects.all().delete()
    django_talon.mark(cart)
    deliver_all()
    [session] = talon.state()["sessions"].values()
    assert not session.get("couponCodes")
    assert not session.get("additionalCosts")
    assert session["attributes"] == {"channel": ""}
    assert not session["cartItems"][0].get("attributes")


def test_fault_62_from_a_to_b_and_back_ends_at_a(talon):
    """State carries no idempotency key, so a cart that is what it was before is sent again."""
    cart = cart_with(("mug", "1.00", 1), user=customer())
    item = cart.items.get()
    for quantity in (1, 2, 1):
        item.quantity = quantity
        item.save()
        deliver_all()
    order_of(cart)
    deliver_all()
    calls = talon.calls(UPDATE)
    quantities = [c["body"]["customerSession"]["cartItems"][0]["quantity"] for c in calls]
    assert quantities == [1, 2, 1, 1]
    assert [bool(call["idempotencyKey"]) for call in calls] == [False, False, False, True]
    assert {call["status"] for call in calls} == {200}
    assert CustomerSession.objects.get().state == "closed"
