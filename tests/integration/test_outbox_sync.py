"""From a shop's save to what Talon.One received."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

import django_talon
from django_talon.models import (
    CodeEntry,
    CustomerSession,
    DeadLetter,
    Installation,
    OutboxRow,
)
from django_talon.outbox import delivery
from example_project.shop.models import Cart, CartItem, Order, Profile
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
from tests.shops.models import ArchivedInvoice, Bag, BagEntry, Invoice, Member, Purchase

pytestmark = pytest.mark.django_db(transaction=True)


def test_B1_each_change_of_a_cart_or_its_lines_gives_one_delivery(talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 2), user=ada)
    deliver_all()
    [first] = session_calls(talon)
    assert first["profileId"] == str(ada.pk)
    assert first["state"] == "open"
    assert first["cartItems"] == [
        {"sku": "mug", "name": "Mug", "quantity": 2, "price": Decimal("10.00"), "attributes": {}}
    ]
    assert first["additionalCosts"] == {"shipping": {"price": Decimal("4.90")}}
    assert first["couponCodes"] == []

    line = cart.items.get()
    line.quantity = 3
    line.save()
    deliver_all()
    CartItem.objects.create(cart=cart, product=product("tea", "5.50"), quantity=1)
    deliver_all()
    line.delete()
    deliver_all()

    bodies = session_calls(talon)
    assert [[(i["sku"], i["quantity"]) for i in body["cartItems"]] for body in bodies] == [
        [("mug", 2)],
        [("mug", 3)],
        [("mug", 3), ("tea", 1)],
        [("tea", 1)],
    ]
    assert len({body["id"] for body in bodies}) == 1
    assert not OutboxRow.objects.exists()


def test_a_line_that_moves_is_told_to_both_carts(talon):
    source, target = cart_with(("mug", "10.00", 1)), cart_with(("tea", "5.00", 1))
    deliver_all()
    line = CartItem.objects.get(cart=source)
    line.cart = target
    line.save()
    assert set(OutboxRow.objects.values_list("lane", flat=True)) == {
        f"cart:shop.cart:{source.pk}",
        f"cart:shop.cart:{target.pk}",
    }
    deliver_all()
    emptied, filled = session_calls(talon)[-2:]
    if emptied["cartItems"]:
        emptied, filled = filled, emptied
    assert emptied["cartItems"] == []
    assert [item["sku"] for item in filled["cartItems"]] == ["mug", "tea"]


def test_an_empty_cart_that_was_never_sent_stays_unknown(talon):
    Cart.objects.create()
    deliver_all()
    assert talon.calls() == []
    assert not CustomerSession.objects.exists()


def test_B2_an_order_closes_the_session_of_its_cart(talon):
    cart = cart_with(("mug", "10.00", 2), user=customer())
    deliver_all()
    with transaction.atomic():
        order = order_of(cart)
    deliver_all()

    opened, closed = session_calls(talon)
    assert (opened["id"], opened["state"]) == (closed["id"], "open")
    assert closed["state"] == "closed"
    assert closed["cartItems"] == opened["cartItems"]
    session = CustomerSession.objects.get()
    assert session.state == "closed"
    assert session.order == f"order:shop.order:{order.pk}"


def test_B2_the_map_of_states_may_be_a_method(talon):
    invoice = Invoice.objects.create()
    invoice.lines.create(code="a", label="A", cents=1250)
    deliver_all()
    invoice.status = "complete"
    invoice.save()
    deliver_all()
    invoice.status = "void"
    invoice.save()
    deliver_all()
    assert states(talon) == ["open", "closed", "cancelled"]


def test_closed_then_cancelled_are_two_calls_in_order(talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=customer()))
    order.status = Order.Status.CANCELLED
    order.save()
    deliver_all()
    assert states(talon) == ["closed", "cancelled"]


def test_a_transition_to_the_state_already_sent_makes_no_call(talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=customer()))
    deliver_all()
    before = len(talon.calls())
    order.status = Order.Status.PAID
    order.save()
    deliver_all()
    assert len(talon.calls()) == before
    assert not OutboxRow.objects.exists()


def test_no_open_session_follows_a_close(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    order_of(cart)
    deliver_all()
    cart.save()
    cart.items.get().save()
    deliver_all()
    assert states(talon)[-1] == "closed"
    assert CustomerSession.objects.count() == 1


def test_a_cart_edited_after_its_order_gets_a_session_of_its_own(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    order_of(cart)
    deliver_all()
    cart.items.all().delete()
    deliver_all()
    CartItem.objects.create(cart=cart, product=product("tea", "5.00"), quantity=1)
    deliver_all()
    closed, second = session_calls(talon)[-2:]
    assert (closed["state"], second["state"]) == ("closed", "open")
    assert closed["id"] != second["id"]


def an_hour_passes_without_delivery() -> None:
    before = Now() - timedelta(hours=1)
    OutboxRow.objects.update(created_at=before, due_at=before)


@pytest.mark.parametrize("is_known", [True, False], ids=["cart was sent", "nothing was sent"])
@pytest.mark.parametrize("batch", [1, 2, 500])
def test_a_cart_edited_before_its_order_got_through_gets_a_session_of_its_own(
    talon, monkeypatch, is_known, batch
):
    monkeypatch.setattr(delivery, "BATCH", batch)
    cart = cart_with(("mug", "10.00", 1), user=customer())
    if is_known:
        deliver_all()
    order_of(cart)
    an_hour_passes_without_delivery()
    CartItem.objects.create(cart=cart, product=product("tea", "5.00"), quantity=1)
    deliver_all()
    *_, closed, second = session_calls(talon)
    assert (closed["state"], [item["sku"] for item in closed["cartItems"]]) == ("closed", ["mug"])
    assert (second["state"], len(second["cartItems"])) == ("open", 2)
    assert closed["id"] != second["id"]
    assert not OutboxRow.objects.exists()


def test_a_pending_orders_cart_that_was_edited_meanwhile_gets_a_session_of_its_own(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    order = order_of(cart, status="draft")
    an_hour_passes_without_delivery()
    cart.items.update(quantity=7)
    cart.save()
    deliver_all()
    order.status = Order.Status.PAID
    order.save()
    deliver_all()
    *_, second, closed = session_calls(talon)
    assert (second["state"], second["cartItems"][0]["quantity"]) == ("open", 7)
    assert (closed["state"], closed["cartItems"][0]["quantity"]) == ("closed", 1)


def test_a_cart_edited_before_its_link_got_through_gets_a_session_of_its_own(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    order = order_of(cart)
    Order.objects.filter(pk=order.pk).update(cart=None)
    django_talon.link(cart, order)
    an_hour_passes_without_delivery()
    cart.items.update(quantity=3)
    cart.save()
    deliver_all()
    assert [(body["state"], body["cartItems"][0]["quantity"]) for body in session_calls(talon)] == [
        ("open", 1),
        ("closed", 1),
        ("open", 3),
    ]


def test_a_cart_saved_late_by_what_placed_its_order_gets_none(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    order_of(cart)
    an_hour_passes_without_delivery()
    cart.save()
    deliver_all()
    assert states(talon) == ["closed"]
    cart.save()
    deliver_all()
    assert states(talon) == ["closed"]


def test_an_order_edited_after_its_close_is_recorded_as_drift(talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=customer()))
    deliver_all()
    before = len(talon.calls())
    order.lines.update(quantity=5)
    order.save()
    deliver_all()
    assert len(talon.calls()) == before
    assert CustomerSession.objects.get().drift_at is not None


def test_a_deleted_cart_cancels_its_session_unless_an_order_has_it(talon):
    lost, bought = cart_with(("mug", "10.00", 1)), cart_with(("tea", "5.00", 1))
    deliver_all()
    order_of(bought)
    bought.delete()
    lost.delete()
    deliver_all()
    assert sorted(states(talon)) == ["cancelled", "closed", "open", "open"]
    assert CustomerSession.objects.get(state="closed").order


def test_an_order_without_a_cart_gets_a_session_when_it_closes(talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=customer()))
    OutboxRow.objects.all().delete()
    order.cart = None
    order.save()
    deliver_all()
    [closed] = session_calls(talon)
    assert closed["state"] == "closed"
    assert [item["sku"] for item in closed["cartItems"]] == ["mug"]


def test_an_order_whose_lines_come_later_is_closed_with_its_lines(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0.5}
    cart = cart_with(("mug", "10.00", 1), user=customer())
    order = order_of(cart)
    order.lines.all().delete()
    delivery.drain()
    order.lines.create(product=product(), unit_price="10.00", quantity=7)
    from tests.helpers import wait_for

    wait_for(lambda: (delivery.drain(), "closed" in states(talon))[1])
    closed = session_calls(talon)[-1]
    assert [item["quantity"] for item in closed["cartItems"]] == [7]


def test_1000_orders_older_than_the_installation_make_no_call(talon):
    ada, mug = customer(), product()
    deliver_all()
    before = len(talon.calls())
    Installation.objects.all().delete()
    Installation.objects.create(installed_at=timezone.now() + timedelta(hours=1))
    for number in range(1000):
        order = Order(
            user=ada,
            name="",
            street="",
            postcode=str(number),
            city="",
            shipping_price=0,
            discount=0,
            total=10,
        )
        order.save()
        order.lines.create(product=mug, unit_price="10.00", quantity=1)
    assert OutboxRow.objects.filter(kind="closed").count() == 1000
    deliver_all(within=300)
    assert len(talon.calls()) == before
    assert not OutboxRow.objects.exists()


def test_B4_users_become_profiles_with_the_listed_attributes_only(talon):
    ada = User.objects.create_user("ada", email="ada@example.org", first_name="Ada")
    deliver_all()
    Profile.objects.create(user=ada, tier="gold")
    deliver_all()
    calls = talon.calls("updateCustomerProfileV2")
    assert [call["profileId"] for call in calls] == [str(ada.pk)] * 2
    assert [call["body"] for call in calls] == [
        {"attributes": {}},
        {"attributes": {"tier": "gold"}},
    ]


def test_B4_a_login_is_not_news(talon, client):
    customer()
    deliver_all()
    before = len(talon.calls())
    assert client.login(username="ada", password="secret")
    deliver_all()
    assert len(talon.calls()) == before


def test_B4_a_customer_model_of_ones_own(talon):
    member = Member.objects.create(nickname="silver")
    bag = Bag.objects.create(member=member)
    BagEntry.objects.create(bag=bag, article="a", title="A", amount=0.1, count=3)
    deliver_all()
    [profile] = talon.calls("updateCustomerProfileV2")
    assert profile["profileId"] == str(member.pk)
    assert profile["body"] == {"attributes": {"tier": "silver"}}
    [session] = session_calls(talon)
    assert session["profileId"] == str(member.pk)
    assert session["cartItems"][0]["price"] == Decimal("0.1")


def test_C1_three_shapes_of_shops(talon):
    """A shop with products, one with a UUID and flags, one with a single model in cents."""
    order_of(cart_with(("mug", "10.00", 1), user=customer()))
    bag = Bag.objects.create(member=Member.objects.create())
    BagEntry.objects.create(bag=bag, article="b", title="B", amount=2.5, count=2)
    purchase = Purchase.objects.create(bag=bag, member=bag.member)
    purchase.entries.create(article="b", title="B", amount=2.5, count=2)
    bag.checked_out = True
    bag.save()
    purchase.stage = 1
    purchase.save()
    invoice = Invoice.objects.create(user=User.objects.get())
    invoice.lines.create(code="c", label="C", cents=1999, pieces=3)
    invoice.status = "complete"
    invoice.save()
    deliver_all()
    closed = {
        item["sku"]: (item["quantity"], item["price"])
        for body in session_calls(talon)
        for item in body["cartItems"]
        if body["state"] == "closed"
    }
    assert closed == {
        "mug": (1, Decimal(10)),
        "b": (2, Decimal("2.5")),
        "c": (3, Decimal("19.99")),
    }
    assert "cancelled" not in states(talon)


def test_a_proxy_of_a_watched_model_is_watched(talon):
    invoice = ArchivedInvoice.objects.create()
    assert OutboxRow.objects.get().aggregate == f"cart:shops.invoice:{invoice.pk}"


def test_B7_ten_saves_make_one_call_and_an_identical_save_none(talon):
    cart = cart_with(*[(f"p{n}", "1.00", 1) for n in range(10)], user=customer())
    deliver_all()
    assert len(talon.calls(UPDATE)) == 1
    for item in cart.items.all():
        item.save()
    cart.save()
    deliver_all()
    assert len(talon.calls(UPDATE)) == 1
    assert not OutboxRow.objects.exists()


def test_what_no_signal_tells_is_marked_by_hand(talon):
    cart = cart_with(("mug", "10.00", 1), ("tea", "5.00", 1))
    deliver_all()
    CartItem.objects.filter(cart=cart).update(quantity=4)
    assert not OutboxRow.objects.exists()
    django_talon.mark(CartItem.objects.filter(cart=cart))
    assert OutboxRow.objects.count() == 1
    deliver_all()
    assert [item["quantity"] for item in session_calls(talon)[-1]["cartItems"]] == [4, 4]


def test_mark_of_a_stranger_says_what_to_do():
    with pytest.raises(LookupError, match="No adapter names shop.Product"):
        django_talon.mark(product())


def test_paused_and_muted(talon):
    with django_talon.paused():
        forgotten = cart_with(("mug", "10.00", 1))
    assert not OutboxRow.objects.exists()
    with pytest.raises(ZeroDivisionError), django_talon.paused(flush=True):
        cart_with(("tea", "5.00", 1), ("pot", "9.00", 1))
        with django_talon.paused():
            forgotten.save()
        1 / 0  # noqa: B018
    assert OutboxRow.objects.count() == 1
    OutboxRow.objects.all().delete()
    with django_talon.muted(forgotten):
        for _ in range(5):
            forgotten.save()
    assert OutboxRow.objects.count() == 1


def test_the_kill_switch_stops_marking_and_delivering(talon, settings):
    cart = cart_with(("mug", "10.00", 1))
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    cart.save()
    before = OutboxRow.objects.count()
    cart.save()
    assert OutboxRow.objects.count() == before
    assert delivery.drain() == 0
    assert not django_talon.evaluate(cart).answered
    assert talon.calls() == []


def test_loaddata_is_not_news(talon, tmp_path):
    from django.core.management import call_command

    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.all().delete()
    dump = tmp_path / "shop.json"
    call_command("dumpdata", "shop", output=str(dump))
    call_command("loaddata", str(dump), verbosity=0)
    assert not OutboxRow.objects.exists()


def test_B9_a_guest_who_logs_in_keeps_the_cart(talon):
    cart = cart_with(("mug", "10.00", 1))
    deliver_all()
    [guest] = session_calls(talon)
    assert guest["profileId"] == f"guest-{guest['id']}"
    cart.user = customer()
    cart.save()
    deliver_all()
    last = [body for body in session_calls(talon) if body["state"] == "open"][-1]
    assert last["profileId"] == str(cart.user.pk)
    assert [item["sku"] for item in last["cartItems"]] == ["mug"]
    live = CustomerSession.objects.filter(state="open")
    assert live.get().profile_id == str(cart.user.pk)
    assert talon.violations() == []


def test_entered_codes_move_with_a_merged_cart(talon):
    guests, ours = cart_with(("mug", "10.00", 1)), cart_with(("tea", "9.00", 1), user=customer())
    django_talon.evaluate(guests, enter=["WELCOME10"])
    guests.items.update(cart=ours)
    django_talon.merged(guests, ours)
    guests.delete()
    deliver_all()
    assert CodeEntry.objects.get().cart == f"cart:shop.cart:{ours.pk}"
    survivor = [body for body in session_calls(talon) if body["state"] == "open"][-1]
    assert survivor["couponCodes"] == ["WELCOME10"]
    assert states(talon).count("cancelled") == 1


def test_events_keep_their_place_and_their_key(talon):
    ada = customer()
    django_talon.track("newsletter", {}, customer=ada)
    deliver_all()
    operations = [call["operation"] for call in talon.calls()]
    assert operations == ["updateCustomerProfileV2", "trackEventV2"]
    event = talon.calls("trackEventV2")[0]
    assert event["body"] == {"profileId": str(ada.pk), "type": "newsletter", "attributes": {}}
    assert event["idempotencyKey"]


def test_an_event_of_nobody_is_refused_at_once():
    with pytest.raises(ValueError, match="neither cart nor customer"):
        django_talon.track("newsletter", {})


def test_a_guest_who_logs_in_to_pay_closes_a_session_of_ones_own(talon):
    cart = cart_with(("mug", "10.00", 1))
    deliver_all()
    order = order_of(cart)
    Order.objects.filter(pk=order.pk).update(user=customer())
    deliver_all()
    closed = [body for body in session_calls(talon) if body["state"] == "closed"]
    assert [body["profileId"] for body in closed] == [str(User.objects.get().pk)]
    assert not DeadLetter.objects.exists()
    assert CustomerSession.objects.get(state="closed").order


def test_a_status_changed_behind_the_signals_is_told_by_the_next_line(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    with django_talon.paused():
        order = order_of(cart, status="draft")
    django_talon.mark(order)
    deliver_all()
    Order.objects.filter(pk=order.pk).update(status="paid")
    order.lines.get().save()
    deliver_all()
    assert states(talon)[-1] == "closed"
    assert not OutboxRow.objects.exists()


def test_an_order_cancelled_before_any_answer_came_is_cancelled(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    talon.faults.add(
        match={"operation": UPDATE}, when={"first": 1}, phase="after_apply", do={"reset": {}}
    )
    deliver_all()
    with django_talon.paused():
        order = order_of(cart, status="cancelled")
    django_talon.mark(order)
    OutboxRow.objects.filter(kind="mark").delete()
    all_due()
    deliver_all()
    [session] = talon.state()["sessions"].values()
    assert session["state"] == "cancelled"
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("later", ["nothing", "cart deleted", "paid later"])
@pytest.mark.parametrize("known", [True, False], ids=["cart sent", "cart not sent yet"])
def test_link_tells_of_an_order_without_a_field_for_its_cart(talon, known, later):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    django_talon.evaluate(cart, enter=["WELCOME10"]) if known else None
    if known:
        deliver_all()
    with transaction.atomic():
        order = order_without_cart(cart, "draft" if later == "paid later" else "paid")
        django_talon.link(cart, order)
        if later == "cart deleted":
            cart.delete()
    deliver_all()
    if later == "paid later":
        order.status = "paid"
        order.save()
        deliver_all()
    assert states(talon)[-1] == "closed"
    assert session_calls(talon)[-1]["couponCodes"] == (["WELCOME10"] if known else [])
    assert len({body["id"] for body in session_calls(talon)}) == 1
    assert CustomerSession.objects.get().state == "closed"


def order_without_cart(cart, status):
    """Place an order in a shop whose orders do not know their cart."""
    order = Order.objects.create(
        user=cart.user,
        status=status,
        name="",
        street="",
        postcode="",
        city="",
        shipping_price=0,
        discount=0,
        total=0,
    )
    for item in cart.items.all():
        order.lines.create(product=item.product, unit_price=item.unit_price, quantity=1)
    return order
