"""The life of carts, orders and customers: what merges, moves, expires, goes or comes late."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy

import django_talon
from django_talon.models import CustomerProfile, CustomerSession, DeadLetter, OutboxRow
from django_talon.outbox.purge import purge
from example_project.shop.models import CartItem, Order, Profile
from example_project.shop.talon import Shop
from tests.helpers import (
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

PROFILE = "updateCustomerProfileV2"


def test_A1_open_closed_cancelled_and_late_updates_word_by_word(talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 2), user=ada)
    deliver_all()
    order = order_of(cart)
    deliver_all()
    order.lines.update(quantity=5)  # late: after the close
    order.save()
    deliver_all()
    Order.objects.get().lines.get().save()
    order.status = "cancelled"
    order.save()
    deliver_all()
    item = {"sku": "mug", "name": "Mug", "quantity": 2, "price": Decimal(10), "attributes": {}}
    content = {
        "profileId": str(ada.pk),
        "cartItems": [item],
        "couponCodes": [],
        "additionalCosts": {"shipping": {"price": Decimal("4.90")}},
        "attributes": {},
    }
    calls = talon.calls("updateCustomerSessionV2")
    assert [call["body"] for call in calls] == [
        {"customerSession": {**content, "state": "open"}},
        {"customerSession": {**content, "state": "closed"}},
        {"customerSession": {"state": "cancelled"}},
    ]
    assert [call["status"] for call in calls] == [200] * 3
    assert [call["answer"]["effects"] for call in calls] == [[], [], []]
    assert [bool(call["idempotencyKey"]) for call in calls] == [False, True, True]
    assert CustomerSession.objects.get().drift_at is not None


def test_a_cart_that_moves_to_another_customer_gets_a_session_of_its_own(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer("ada"))
    deliver_all()
    cart.user = customer("bob")
    cart.save()
    deliver_all()
    first, cancelled, second = session_calls(talon)
    assert (cancelled["id"], cancelled["state"]) == (first["id"], "cancelled")
    assert (second["profileId"], second["state"]) == (str(cart.user.pk), "open")
    assert second["id"] != first["id"]


def test_a_cart_deleted_before_its_order_is_made(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    lines = list(cart.items.all())
    cart.delete()
    nothing = dict.fromkeys(("total", "discount", "shipping_price"), 0)
    order = Order.objects.create(user=cart.user, status="placed", **nothing)
    for line in lines:
        order.lines.create(product=line.product, unit_price=line.unit_price, quantity=1)
    deliver_all()
    opened, *rest = session_calls(talon)
    assert sorted(body["state"] for body in rest) == ["cancelled", "closed"]
    by_state = {body["state"]: body["id"] for body in rest}
    assert by_state["cancelled"] == opened["id"] != by_state["closed"]


@pytest.mark.parametrize(
    ("status", "told"), [("draft", ["open", "cancelled"]), ("placed", ["open", "closed"])]
)
def test_a_deleted_order_leaves_no_session_open(talon, status, told):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    order = order_of(cart, status=status)
    deliver_all()
    order.delete()
    deliver_all()
    assert states(talon) == told
    CartItem.objects.create(cart=cart, product=product("tea"), quantity=1)
    deliver_all()
    again = session_calls(talon)[-1]
    assert again["state"] == "open"
    assert again["id"] != session_calls(talon)[0]["id"]


def test_an_order_deleted_before_its_close_was_sent_is_closed_all_the_same(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    order_of(cart).delete()
    deliver_all()
    assert states(talon) == ["open", "closed"]
    assert not DeadLetter.objects.exists()


def test_a_cart_that_nobody_touches_expires(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "CART_EXPIRES_DAYS": 7}
    old, young, bought = (cart_with((sku, "1.00", 1)) for sku in ("mug", "tea", "pot"))
    deliver_all()
    order_of(bought, status="draft")
    deliver_all()
    long_ago = datetime.now(timezone.utc) - timedelta(days=8)
    CustomerSession.objects.exclude(cart=f"cart:shop.cart:{young.pk}").update(sent_at=long_ago)
    assert purge()["expired carts"] == 1
    assert purge()["expired carts"] == 0
    deliver_all()
    assert CustomerSession.objects.get(state="cancelled").cart == f"cart:shop.cart:{old.pk}"
    CartItem.objects.create(cart=old, product=product("pot"), quantity=1)
    deliver_all()
    assert CustomerSession.objects.filter(cart=f"cart:shop.cart:{old.pk}", state="open").exists()


def test_a_cart_touched_before_its_turn_does_not_expire(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "CART_EXPIRES_DAYS": 7}
    cart = cart_with(("mug", "1.00", 1))
    deliver_all()
    CustomerSession.objects.update(sent_at=datetime.now(timezone.utc) - timedelta(days=8))
    purge()
    CustomerSession.objects.update(sent_at=datetime.now(timezone.utc))
    deliver_all()
    assert states(talon) == ["open"]
    assert cart.pk


def test_a_deleted_customer_is_not_made_again_and_their_order_still_closes(talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    order = order_of(cart, status="draft")
    deliver_all()
    profile_id, before = str(ada.pk), len(talon.calls(PROFILE))
    ada.save()
    ada.delete()
    deliver_all()
    assert len(talon.calls(PROFILE)) == before
    Order.objects.filter(pk=order.pk).update(status="paid")
    django_talon.mark(Order.objects.get())
    deliver_all()
    closed = session_calls(talon)[-1]
    assert (closed["state"], closed["profileId"]) == ("closed", profile_id)
    assert CustomerSession.objects.get().state == "closed"


@pytest.mark.parametrize("rules", [False, True])
def test_A4_rules_run_for_profiles_only_if_the_shop_says_so(talon, settings, rules):
    if rules:
        settings.TALON_ONE = {**settings.TALON_ONE, "RUN_RULE_ENGINE": True}
    customer()
    deliver_all()
    [call] = talon.calls(PROFILE)
    assert call["status"] == 200
    assert call["query"].get("runRuleEngine") == ("true" if rules else None)


class Colour(enum.Enum):
    RED = "red"


VALUES = {
    "string": ("string", gettext_lazy("Info"), "Info"),
    "number": ("number", Decimal("9.999"), Decimal("9.999")),
    "boolean": ("boolean", True, True),
    "time": ("time", date(2026, 5, 1), "2026-05-01T00:00:00+02:00"),
    "location": (
        "location",
        {"lat": 52.5, "lon": 13.25},
        {"lat": Decimal("52.5"), "lon": Decimal("13.25")},
    ),
    "strings": ("(list string)", ["b", Colour.RED], ["b", "red"]),
    "numbers": ("(list number)", (1, 2.5), [1, Decimal("2.5")]),
    "times": (
        "(list time)",
        [datetime(2026, 5, 1, 12, tzinfo=timezone.utc)],
        ["2026-05-01T12:00:00+00:00"],
    ),
    "locations": ("(list location)", [{"lat": 1, "lon": 2}], [{"lat": 1, "lon": 2}]),
}


@pytest.fixture
def typed(talon, monkeypatch):
    """Talon.One knows nine attributes of each entity, and the shop sends them all."""
    kinds = {name: kind for name, (kind, _sent, _got) in VALUES.items()}
    names = ("CustomerProfile", "CustomerSession", "CartItem", "Event")
    seed = {"name": "typed", "attributes": dict.fromkeys(names, kinds), "eventTypes": ["typed"]}
    talon.reset(seed={**seed, "additionalCosts": ["shipping"], "campaigns": []})
    paths = {name: (lambda row, sent=sent: sent) for name, (_kind, sent, _got) in VALUES.items()}
    monkeypatch.setattr(Shop, "customer_attributes", paths)
    monkeypatch.setattr(Shop, "cart_attributes", paths)
    monkeypatch.setattr(Shop, "item", {**Shop.item, "attributes": paths})
    return talon


@pytest.mark.parametrize("name", VALUES)
def test_C2_attributes_of_nine_types_from_functions_of_the_row(typed, name):
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    django_talon.track("typed", {name: VALUES[name][1]}, cart=cart)
    deliver_all()
    assert not DeadLetter.objects.exists()
    got = VALUES[name][2]
    state = typed.state()
    [session] = state["sessions"].values()
    assert state["profiles"][str(ada.pk)]["attributes"][name] == got
    assert session["attributes"][name] == got
    assert session["cartItems"][0]["attributes"][name] == got
    [event] = typed.calls("trackEventV2")
    assert event["body"]["attributes"] == {name: got}


def test_B4_an_attribute_that_cannot_be_sent_is_named(talon, monkeypatch):
    monkeypatch.setattr(Shop, "customer_attributes", {"tier": lambda user: [1, object()]})
    ada = customer()
    deliver_all()
    [letter] = DeadLetter.objects.all()
    assert letter.reason == (
        f"auth.User {ada.pk}: attribute 'tier' [1] is of type object,"
        " which has no form at Talon.One"
    )


def test_an_attribute_that_the_shop_empties_is_emptied_at_talon_one(talon):
    ada = customer()
    row = Profile.objects.create(user=ada, tier="gold")
    deliver_all()
    row.delete()
    deliver_all()
    assert talon.calls(PROFILE)[-1]["body"] == {"attributes": {"tier": ""}}
    assert talon.state()["profiles"][str(ada.pk)]["attributes"]["tier"] == ""
    before = len(talon.calls(PROFILE))
    User.objects.get().save()
    all_due()
    deliver_all()
    assert len(talon.calls(PROFILE)) == before
    assert CustomerProfile.objects.get().attribute_kinds == {}
    assert not OutboxRow.objects.exists()
