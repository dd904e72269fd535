"""``talon_reconcile``: what no signal told is found, compared with Talon.One, and put right."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

import django_talon
from django_talon import tasks
from django_talon.client import IntegrationClient
from django_talon.models import CustomerSession, DeadLetter, OutboxRow
from django_talon.outbox.repair import patience, progress
from django_talon.outbox.repair import reconcile as walk
from example_project.shop.models import Cart, CartItem, Order, OrderLine, Product, Profile
from example_project.shop.talon import Shop
from tests.helpers import cart_with, customer, deliver_all, order_of, session_calls

pytestmark = pytest.mark.django_db(transaction=True)


def key(instance) -> str:
    role = {Cart: "cart", Order: "order", User: "customer"}[type(instance)]
    return f"{role}:{instance._meta.label_lower}:{instance.pk}"


def reconcile(capsys, *arguments):
    """Return the JSON of a run, and whether it ended with 0."""
    capsys.readouterr()
    is_good = True
    try:
        call_command("talon_reconcile", "--json", *arguments)
    except CommandError:
        is_good = False
    return json.loads(capsys.readouterr().out), is_good


def findings(report) -> dict[str, str]:
    return {found["key"]: found["what"] for found in report["findings"]}


def silently(queryset, **values):
    """Change rows as no signal tells."""
    assert queryset.update(**values)


@pytest.fixture
def shop(talon):
    """A shop in step with Talon.One: two carts, an open and a closed order, customers."""
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    carts = [cart_with(("mug", "10.00", 1), user=ada), cart_with(("cap", "5.00", 2))]
    bought = cart_with(("bag", "20.00", 1), user=ada)
    order = order_of(bought)
    deliver_all()
    return {"ada": ada, "carts": carts, "order": order}


def test_A2_seeded_gaps_are_all_found_sent_again_and_nothing_else_is(talon, shop, capsys):
    report, is_good = reconcile(capsys)
    assert (report["sent_again"], is_good) == (0, True)

    first, second = shop["carts"]
    silently(CartItem.objects.filter(cart=first), quantity=7)
    silently(Profile.objects.all(), tier="silver")
    silently(Order.objects.filter(pk=shop["order"].pk), status="cancelled")
    with django_talon.paused():
        missed = cart_with(("pen", "1.00", 1))
        unsent = order_of(cart_with(("ink", "3.00", 1)))
        joined = customer("joined")
    CartItem.objects.filter(cart=second)._raw_delete("default")
    Cart.objects.filter(pk=second.pk)._raw_delete("default")
    before = len(talon.calls())

    looked, is_good = reconcile(capsys, "--dry-run")
    assert not is_good
    assert not OutboxRow.objects.exists()
    report, is_good = reconcile(capsys)
    assert not is_good
    assert findings(report) == findings(looked)
    assert findings(report) == {
        key(first): "differs from what was sent",
        key(missed): "was never sent",
        f"cart:shop.cart:{second.pk}": "is gone",
        key(shop["order"]): "is cancelled, which was not sent",
        key(unsent): "was never sent",
        key(shop["ada"]): "differs from what was sent",
        key(joined): "was never sent",
    }
    assert {row.priority for row in OutboxRow.objects.all()} == {9}
    again, _ = reconcile(capsys)
    assert again["sent_again"] == 0  # what waits is left alone

    deliver_all()
    assert len(talon.calls()) > before
    final, is_good = reconcile(capsys, "--ask-talon")
    assert (findings(final), is_good) == ({}, True)
    assert final["asked"] >= 6
    mine = CustomerSession.objects.get(cart=key(first))
    assert talon.state()["sessions"][mine.integration_id]["cartItems"][0]["quantity"] == 7


def client(talon) -> IntegrationClient:
    return IntegrationClient(talon.url, api_key=talon.key)


def tamper(talon, session: CustomerSession, quantity: int) -> None:
    """Change a session at Talon.One behind the shop's back."""
    items = [{"name": "Mug", "sku": "mug", "quantity": quantity, "price": Decimal("10.00")}]
    body = {"customerSession": {"cartItems": items}}
    client(talon).update_customer_session_v2(session.integration_id, body)


def test_A2_drift_at_talon_one_is_told_in_money_and_mended_where_the_api_allows(
    talon, shop, capsys
):
    first, _second = shop["carts"]
    mine = CustomerSession.objects.get(cart=key(first))
    tamper(talon, mine, 4)
    client(talon).update_customer_profile_v2(
        str(shop["ada"].pk), {"attributes": {"tier": "bronze"}}
    )
    silently(OrderLine.objects.filter(order=shop["order"]), unit_price="21.50")
    report, is_good = reconcile(capsys, "--ask-talon", "--dry-run")
    assert not is_good
    assert reconcile(capsys)[0]["findings"] == [
        {
            "key": key(shop["order"]),
            "what": "was edited after its session was closed",
            "is_sent_again": True,
        }
    ]
    deliver_all()  # which records the edit, and can do no more
    report, is_good = reconcile(capsys, "--ask-talon")
    assert not is_good
    order_session = CustomerSession.objects.get(order=key(shop["order"]))
    assert report["findings"] == [
        {
            "key": key(first),
            "integration_id": mine.integration_id,
            "what": "has other lines at Talon.One",
            "is_sent_again": True,
            "shop_total": "14.90 EUR",
            "talon_total": "44.90 EUR",
        },
        {
            "key": key(shop["order"]),
            "integration_id": order_session.integration_id,
            "what": "has other lines at Talon.One",
            "is_sent_again": False,
            "shop_total": "26.40 EUR",
            "talon_total": "24.90 EUR",
        },
        {
            "key": key(shop["ada"]),
            "integration_id": str(shop["ada"].pk),
            "what": "has other attributes at Talon.One: tier",
            "is_sent_again": True,
        },
    ]
    assert (report["sent_again"], report["beyond_repair"]) == (2, 1)
    deliver_all()
    state = talon.state()
    assert state["sessions"][mine.integration_id]["cartItems"][0]["quantity"] == 1
    assert state["profiles"][str(shop["ada"].pk)]["attributes"] == {"tier": "gold"}
    report, is_good = reconcile(capsys, "--ask-talon")
    assert [found["key"] for found in report["findings"]] == [key(shop["order"])]


def test_A2_a_close_that_talon_one_lost_is_sent_again(talon, capsys):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    talon.snapshot("before")
    order = order_of(cart)
    deliver_all()
    talon.reset("snapshot:before")
    report, _ = reconcile(capsys, "--ask-talon")
    [found] = report["findings"]
    assert (found["key"], found["what"]) == (key(order), "is closed here, open at Talon.One")
    deliver_all()
    [session] = talon.state()["sessions"].values()
    assert session["state"] == "closed"
    assert reconcile(capsys, "--ask-talon")[1]


def test_A2_sessions_and_profiles_that_talon_one_does_not_know_are_made_again(talon, shop, capsys):
    talon.reset()
    report, is_good = reconcile(capsys, "--ask-talon")
    assert not is_good
    first, second = shop["carts"]
    # A closed session is kept for some weeks only: that it is gone says nothing.
    assert findings(report) == dict.fromkeys(
        [key(first), key(second), key(shop["ada"])], "is not at Talon.One"
    )
    deliver_all()
    assert sorted(s["state"] for s in talon.state()["sessions"].values()) == ["open", "open"]
    assert reconcile(capsys, "--ask-talon")[1]


def test_A2_what_sending_cannot_mend_is_told_and_left(talon, shop, capsys):
    silently(Order.objects.filter(pk=shop["order"].pk), status="draft")
    call = ["talon_reconcile"]
    with pytest.raises(CommandError, match="1 differed: 0 went into the outbox, 1 cannot"):
        call_command(*call)
    said = capsys.readouterr().out
    assert f"{key(shop['order'])} is open, and its session closed: sending again cannot" in said
    assert not OutboxRow.objects.exists()


def test_reconcile_leaves_history_dead_letters_and_what_waits_alone(talon, shop, capsys):
    with django_talon.paused():
        old = cart_with(("pen", "1.00", 1))
        order = order_of(cart_with(("ink", "1.00", 1)))
        member = customer("old")
    long_ago = timezone.now() - timedelta(days=400)
    Cart.objects.filter(pk__in=[old.pk, order.cart_id]).update(created_at=long_ago)
    Order.objects.filter(pk=order.pk).update(placed_at=long_ago)
    User.objects.filter(pk=member.pk).update(date_joined=long_ago)
    assert reconcile(capsys)[1]

    first, second = shop["carts"]
    silently(CartItem.objects.filter(cart=first), quantity=3)
    DeadLetter.objects.create(
        lane=key(first), aggregate=key(first), kind="mark", uid=uuid4(), reason="refused"
    )
    second.save()
    silently(CartItem.objects.filter(cart=second), quantity=3)
    assert reconcile(capsys)[1]


def test_reconcile_finds_a_row_that_cannot_be_sent(talon, shop, capsys):
    silently(Product.objects.filter(sku="mug"), name="")
    report, _ = reconcile(capsys)
    [found] = report["findings"]
    assert found["what"].startswith("cannot be sent: shop.CartItem ")
    deliver_all()
    assert DeadLetter.objects.get().aggregate == key(shop["carts"][0])
    assert reconcile(capsys)[1]


def test_reconcile_since_goes_by_the_field_that_the_adapter_names(talon, shop, capsys, monkeypatch):
    monkeypatch.setattr(Shop, "customer_updated", "last_login")
    bob = customer("bob")
    deliver_all()
    for user in (shop["ada"], bob):
        Profile.objects.update_or_create(user=user)
    deliver_all()
    silently(Profile.objects.all(), tier="silver")
    silently(User.objects.filter(pk=bob.pk), last_login=timezone.now())
    assert findings(reconcile(capsys, "--since", "1h", "--dry-run")[0]) == {
        key(bob): "differs from what was sent"
    }
    monkeypatch.setattr(walk, "TASK_ROWS", 1)
    assert tasks.reconcile() == 1  # what changed lately comes first
    assert OutboxRow.objects.get().aggregate == key(bob)


def test_reconcile_by_task_goes_on_where_the_last_run_stopped(talon, shop, monkeypatch):
    for _ in range(3):
        cart_with(("mug", "10.00", 1))
    deliver_all()
    silently(CartItem.objects.exclude(cart=shop["order"].cart_id), quantity=9)
    monkeypatch.setattr(walk, "TASK_ROWS", 2)
    found = [tasks.reconcile() for _ in range(12)]
    assert sum(found) == 5
    assert max(found) == 2
    assert len(set(OutboxRow.objects.values_list("aggregate", flat=True))) == 5


def test_reconcile_by_task_waits_for_a_short_queue_and_for_another_run(
    talon, shop, monkeypatch, settings
):
    silently(CartItem.objects.all(), quantity=9)
    with progress.running(walk.NAME, {}):
        assert tasks.reconcile() == 0
    monkeypatch.setattr(patience, "QUEUE", 0)
    cart_with(("cap", "1.00", 1))
    assert tasks.reconcile() == 0
    monkeypatch.setattr(patience, "QUEUE", 1000)
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    assert tasks.reconcile() == 0
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": True}
    assert tasks.reconcile() > 0


def test_reconcile_with_a_limit_goes_on_from_there(talon, shop, capsys):
    reports = [reconcile(capsys, "--limit", "2")[0]["looked_at"] for _ in range(3)]
    assert reports[:2] == [2, 2]
    with pytest.raises(CommandError, match="give it alone"):
        call_command("talon_reconcile", "--limit", "2", "--dry-run")


def test_reconcile_resync_sends_all_of_it_again(talon, shop, capsys):
    before = len(session_calls(talon))
    report, is_good = reconcile(capsys, "--resync", "--since", "1h", "--rate", "1000")
    assert not is_good
    assert report["by_reason"] == {"is sent again": 3}
    deliver_all()
    assert len(session_calls(talon)) == before + 2
    assert reconcile(capsys, "--resync", "--since", "2100-01-01")[1]


def test_reconcile_runs_once_at_a_time(talon):
    with progress.running(walk.NAME, {}), pytest.raises(CommandError, match="runs already"):
        call_command("talon_reconcile")


def test_A2_an_order_that_was_opened_again_is_compared_as_open(talon, shop, capsys, monkeypatch):
    monkeypatch.setattr(Shop, "order_states", {**Shop.order_states, "draft": "reopened"})
    silently(Order.objects.filter(pk=shop["order"].pk), status="draft")
    report, _ = reconcile(capsys, "--ask-talon")
    assert findings(report) == {key(shop["order"]): "is reopened, which was not sent"}
    deliver_all()
    session = CustomerSession.objects.get(order=key(shop["order"]))
    assert session.state == "open"
    assert reconcile(capsys, "--ask-talon")[1]
    tamper(talon, session, 3)
    report, _ = reconcile(capsys, "--ask-talon")
    assert findings(report) == {key(shop["order"]): "has other lines at Talon.One"}
    assert report["beyond_repair"] == 0
    deliver_all()
    assert reconcile(capsys, "--ask-talon")[1]
