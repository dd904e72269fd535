"""What can go wrong between a save and Talon.One, and that nothing gets lost."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

import django_talon
from django_talon.models import (
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Lane,
    OutboxRow,
)
from django_talon.outbox import clock, delivery, lanes, rows
from django_talon.signals import delivery_failed
from example_project.shop.models import CartItem, Product
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
from tests.shops.models import Bag, BagEntry
from tests.shops.talon import BagShop

pytestmark = pytest.mark.django_db(transaction=True)


def test_F2_an_outage_then_all_ten_carts_arrive_with_one_call_each(talon_sandbox, talon):
    carts = [cart_with((f"p{n}", "1.00", 1)) for n in range(10)]
    deliver_all()
    before = len(talon.calls(UPDATE))
    talon_sandbox.stop()
    try:
        for cart in carts:
            cart.items.get().save()
            item = cart.items.get()
            item.quantity = 5
            item.save()
        for _ in range(4):
            delivery.drain()
            all_due()
    finally:
        talon_sandbox.start()
    assert OutboxRow.objects.filter(kind="mark").count() == 20
    all_due()
    deliver_all()
    calls = talon.calls(UPDATE)[before:]
    assert len(calls) == len({call["sessionId"] for call in calls}) == 10
    assert {call["body"]["customerSession"]["cartItems"][0]["quantity"] for call in calls} == {5}
    assert not OutboxRow.objects.exists()


def test_F8_an_outage_is_the_endpoints_state_and_burns_no_attempts(talon_sandbox, talon):
    for number in range(12):
        cart_with((f"p{number}", "1.00", 1))
    talon_sandbox.stop()
    try:
        delivery.drain()
        assert Endpoint.objects.get().health == "failing"
        made = DeliveryLog.objects.count()
        for _ in range(3):
            delivery.drain()
        assert DeliveryLog.objects.count() == made == 5
    finally:
        talon_sandbox.start()
    all_due()
    deliver_all()
    assert len(session_calls(talon)) == 12
    assert Endpoint.objects.get().health == "healthy"


def test_F8_one_probe_and_then_all(talon_sandbox, talon):
    for number in range(8):
        cart_with((f"p{number}", "1.00", 1))
    talon.faults.add(match={}, phase="before_apply", do={"status": {"code": 503}})
    delivery.drain()
    made = len(talon.calls())
    for _ in range(3):
        Endpoint.objects.update(until=clock.now())
        Lane.objects.update(blocked_until=None)
        OutboxRow.objects.update(due_at=clock.now())
        delivery.drain()
    assert len(talon.calls()) == made + 3
    talon.faults.clear()
    all_due()
    deliver_all()
    assert len(session_calls(talon)) == 8


def test_a_refused_key_stops_all_and_a_new_one_resumes(talon, settings):
    for number in range(5):
        cart_with((f"p{number}", "1.00", 1))
    talon.revoke()
    delivery.drain()
    endpoint = Endpoint.objects.get()
    assert (endpoint.health, endpoint.reason) == ("refused", "TalonAuthError")
    assert len(talon.calls()) == 1
    assert set(OutboxRow.objects.values_list("attempts", flat=True)) == {0}
    assert not DeadLetter.objects.exists()
    talon.restore()
    settings.TALON_ONE = {**settings.TALON_ONE, "API_KEY": f"{talon.key}.rotated"}
    OutboxRow.objects.update(due_at=clock.now())
    deliver_all()
    assert len(session_calls(talon)) == 5


def test_retry_after_is_the_floor(talon):
    cart_with(("mug", "1.00", 1))
    cart_with(("tea", "1.00", 1))
    talon.faults.add(
        match={},
        when={"first": 1},
        phase="before_apply",
        do={"status": {"code": 429, "retryAfter": "120"}},
    )
    delivery.drain()
    endpoint = Endpoint.objects.get()
    assert endpoint.health == "paused"
    assert 100 < (endpoint.until - clock.now()).total_seconds() < 122
    assert len(talon.calls()) == 1
    assert set(OutboxRow.objects.values_list("attempts", flat=True)) == {0}
    all_due()
    deliver_all()
    assert len(session_calls(talon)) == 2


def test_a_refused_row_becomes_a_dead_letter_and_others_go_on(talon, settings, caplog):
    letters = []
    receiver = lambda dead_letter, **_: letters.append(dead_letter.pk)  # noqa: E731
    delivery_failed.connect(receiver)
    bad, good = cart_with(("bad", "1.00", 1)), cart_with(("good", "1.00", 1))
    talon.faults.add(
        match={"operation": UPDATE},
        when={"first": 1},
        phase="before_apply",
        do={
            "status": {
                "code": 400,
                "body": {
                    "message": "The submitted data was invalid",
                    "errors": [
                        {
                            "title": "Unknown",
                            "details": "secret of Ada",
                            "source": {"pointer": "/customerSession/attributes/colour"},
                        }
                    ],
                },
            }
        },
    )
    deliver_all()
    delivery_failed.disconnect(receiver)
    letter = DeadLetter.objects.get()
    assert letters == [letter.pk]
    assert letter.aggregate == f"cart:shop.cart:{bad.pk}"
    assert (letter.status, letter.operation) == (400, UPDATE)
    assert letter.pointers == [["/customerSession/attributes/colour", "Unknown"]]
    assert "secret of Ada" not in caplog.text
    [sent] = session_calls(talon)
    assert sent["cartItems"][0]["sku"] == "good"
    assert good.pk
    # The next change of the cart is rendered anew.
    bad.items.get().save()
    deliver_all()
    assert len(session_calls(talon)) == 2
    assert not DeadLetter.objects.exists()


def test_a_row_that_cannot_be_rendered_becomes_a_dead_letter(talon, monkeypatch):
    monkeypatch.setitem(BagShop.item, "quantity", "amount")
    bag = Bag.objects.create()
    entry = BagEntry.objects.create(bag=bag, article="a", title="A", amount=1.5)
    cart_with(("good", "1.00", 1))
    deliver_all()
    assert DeadLetter.objects.get().reason.startswith(
        f"shops.BagEntry {entry.pk}: the quantity 1.5 is not whole"
    )
    assert len(session_calls(talon)) == 1


@pytest.mark.parametrize("loss", ["reset", "junk"])
def test_a_lost_answer_is_made_good_by_sending_again(talon, loss):
    cart = cart_with(("mug", "1.00", 2), user=customer())
    talon.faults.add(
        match={"operation": UPDATE}, when={"first": 1}, phase="after_apply", do={loss: {}}
    )
    deliver_all()
    lane = Lane.objects.get(key=f"cart:shop.cart:{cart.pk}")
    assert lane.why == "hold"
    assert (lane.blocked_until - clock.now()).total_seconds() > 20
    all_due()
    deliver_all()
    first, second = talon.calls(UPDATE)
    assert first["body"] == second["body"]
    assert first["sessionId"] == second["sessionId"]
    assert CustomerSession.objects.get().state == "open"


def test_a_close_is_retried_with_the_same_bytes_and_key(talon):
    cart = cart_with(("mug", "1.00", 2), user=customer())
    deliver_all()
    order = order_of(cart)
    talon.faults.add(
        match={"operation": UPDATE}, when={"first": 1}, phase="after_apply", do={"reset": {}}
    )
    deliver_all()
    assert OutboxRow.objects.get(kind="closed").payload
    order.lines.update(quantity=9)
    all_due()
    deliver_all()
    _open, lost, again = talon.calls(UPDATE)
    assert lost["body"] == again["body"]
    assert lost["idempotencyKey"] == again["idempotencyKey"] != ""
    assert CustomerSession.objects.get().state == "closed"
    [profile] = talon.state()["profiles"].values()
    assert profile["closedSessions"] == 1


def test_a_call_applied_late_does_not_overwrite_what_came_after(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 2}
    cart = cart_with(("mug", "1.00", 1), user=customer())
    deliver_all()
    talon.faults.add(
        match={"operation": UPDATE}, when={"first": 1}, phase="late_apply", seconds=1.0
    )
    cart.items.update(quantity=2)
    django_talon.mark(cart)
    delivery.drain()
    cart.items.update(quantity=3)
    django_talon.mark(cart)
    from tests.helpers import wait_for

    wait_for(lambda: (delivery.drain(), not OutboxRow.objects.exists())[1])
    [session] = talon.state()["sessions"].values()
    assert session["cartItems"][0]["quantity"] == 3


def test_409_waits_a_moment_and_is_no_attempt(talon):
    cart_with(("mug", "1.00", 1))
    talon.faults.add(
        match={"operation": UPDATE},
        when={"first": 1},
        phase="before_apply",
        do={"status": {"code": 409}},
    )
    delivery.drain()
    assert set(OutboxRow.objects.values_list("attempts", flat=True)) == {0}
    assert Lane.objects.filter(why="conflict").exists()
    assert not Endpoint.objects.filter(health="failing").exists()
    all_due()
    deliver_all()
    assert states(talon) == ["open"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_B6_nothing_is_sent_for_what_rolls_back_on_either_database(talon):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        cart_with(("mug", "1.00", 1))
        1 / 0  # noqa: B018
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="other"):
        Product.objects.using("other").create(sku="tea", name="Tea", price=1)
        cart = cart_with.__globals__["Cart"].objects.using("other").create()
        CartItem.objects.using("other").create(
            cart=cart, product=Product.objects.using("other").get(), quantity=1
        )
        assert OutboxRow.objects.using("other").count() == 2
        1 / 0  # noqa: B018
    assert not OutboxRow.objects.exists()
    assert not OutboxRow.objects.using("other").exists()
    deliver_all()
    assert talon.calls() == []


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_B6_the_mark_is_in_the_transaction_of_its_own_database(talon):
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="default"):
        with transaction.atomic(using="other"):
            cart_with.__globals__["Cart"].objects.using("other").create()
        1 / 0  # noqa: B018
    assert OutboxRow.objects.using("other").count() == 1
    assert not OutboxRow.objects.exists()


def test_B6_a_savepoint_takes_its_marks_with_it_and_later_ones_stay(talon):
    cart = cart_with(("mug", "1.00", 1))
    OutboxRow.objects.all().delete()
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            cart.save()
            1 / 0  # noqa: B018
        assert not OutboxRow.objects.exists()
        cart.save()
    assert OutboxRow.objects.count() == 1


def test_an_outbox_that_cannot_be_written_does_not_break_the_shop(talon, caplog):
    before = rows.losses.count
    table = OutboxRow._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        with transaction.atomic():
            cart = cart_with(("mug", "1.00", 1))
        assert cart.items.count() == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")
    assert rows.losses.count == before + 2
    assert caplog.text.count("could not note a change") <= 1


def test_a_mark_costs_one_query(talon, django_assert_num_queries):
    cart = cart_with(("mug", "1.00", 1))
    with transaction.atomic(), django_assert_num_queries(2):
        cart.save()
    item = cart.items.select_related("cart").get()
    with transaction.atomic(), django_assert_num_queries(2):
        item.save()


def test_ids_that_commit_out_of_order_lose_nothing(talon):
    """The schedule R3: only rows that were read before rendering are deleted."""
    cart = cart_with(("mug", "1.00", 1))
    seen = {}

    def commit_late(**_):
        # What another transaction had inserted first commits while the call is under way.
        if not seen:
            seen["row"] = OutboxRow.objects.order_by("pk").first().pk
            late = OutboxRow.objects.order_by("pk").first()
            late.pk = seen["row"] - 1000
            late.save(force_insert=True)

    from django_talon.signals import pre_send

    pre_send.connect(commit_late, weak=False)
    try:
        delivery.serve_next()
    finally:
        pre_send.disconnect(commit_late)
    assert OutboxRow.objects.get().pk == seen["row"] - 1000
    cart.items.update(quantity=7)
    deliver_all()
    assert session_calls(talon)[-1]["cartItems"][0]["quantity"] == 7


def test_twenty_threads_one_lease(talon):
    now = clock.now()
    won = []

    def compete():
        try:
            won.append(lanes.acquire("cart:shop.cart:1", now))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=compete) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [lease] = [one for one in won if one is not None]
    assert not lanes.acquire("cart:shop.cart:1", now)
    assert lanes.release(lease)
    assert lanes.acquire("cart:shop.cart:1", now)


def test_a_lane_released_while_others_moved_its_rows_is_due_at_once(talon):
    cart = cart_with(("mug", "1.00", 1))
    key = f"cart:shop.cart:{cart.pk}"
    lease = lanes.acquire(key, clock.now())
    assert not delivery.serve_next()
    assert OutboxRow.objects.filter(lane=key, due_at=lease.until).exists()
    lanes.release(lease)
    deliver_all()
    assert states(talon) == ["open"]


def test_a_newer_releases_rows_are_left_alone(talon):
    cart_with(("mug", "1.00", 1))
    OutboxRow.objects.update(schema=99)
    assert not delivery.serve_next()
    assert OutboxRow.objects.exists()


def test_a_row_that_ends_its_worker_again_and_again_is_put_aside(talon):
    cart_with(("mug", "1.00", 1))
    OutboxRow.objects.update(claims=3)
    deliver_all()
    assert "ended its worker" in DeadLetter.objects.get().reason
    assert talon.calls() == []


def test_settings_that_name_no_application_keep_the_rows(talon, settings):
    cart_with(("mug", "1.00", 1))
    good = settings.TALON_ONE
    settings.TALON_ONE = {"DEBOUNCE": 0}
    delivery.drain()
    assert OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()
    settings.TALON_ONE = good
    all_due()
    deliver_all()
    assert states(talon) == ["open"]


def test_a_wrong_address_is_the_endpoints_state(talon_sandbox, talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "BASE_URL": f"{talon_sandbox.url}/elsewhere"}
    cart_with(("mug", "1.00", 1))
    delivery.drain()
    assert Endpoint.objects.get().health == "misconfigured"
    assert OutboxRow.objects.exists()


def test_a_product_that_never_reaches_the_shop_is_no_cart():
    assert product().pk
    assert not OutboxRow.objects.exists()


def test_rows_that_a_router_places_respect_a_resting_endpoint(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ROUTER": lambda row: "default"}
    for number in range(9):
        cart_with((f"p{number}", "1.00", 1))
    assert set(OutboxRow.objects.values_list("application", flat=True)) == {""}
    talon.faults.add(match={}, phase="before_apply", do={"status": {"code": 503}})
    delivery.drain()
    assert len(talon.calls()) == 5
    OutboxRow.objects.update(due_at=clock.now())
    delivery.drain()
    assert len(talon.calls()) == 5
    assert max(OutboxRow.objects.values_list("attempts", flat=True)) == 1
    talon.faults.clear()
    all_due()
    deliver_all()
    assert len(session_calls(talon)) == 9


def test_a_time_limit_of_celery_harms_no_row(talon, monkeypatch):
    from celery.exceptions import SoftTimeLimitExceeded

    def too_long(self, cart):
        raise SoftTimeLimitExceeded

    cart_with(("mug", "1.00", 1))
    with monkeypatch.context() as patch:
        patch.setattr("example_project.shop.talon.Shop.additional_costs", too_long)
        with pytest.raises(SoftTimeLimitExceeded):
            delivery.drain()
    deliver_all()
    assert states(talon) == ["open"]
    assert not DeadLetter.objects.exists()


def test_a_shop_query_that_fails_backs_off_and_lets_others_pass(talon, monkeypatch):
    from django.db import OperationalError

    def broken(self, bag):
        raise OperationalError("no such table")

    bag = Bag.objects.create()
    BagEntry.objects.create(bag=bag, article="a", title="A", amount=1.0)
    cart_with(("good", "1.00", 1))
    monkeypatch.setattr(BagShop, "is_active", broken)
    deliver_all()
    assert [body["cartItems"][0]["sku"] for body in session_calls(talon)] == ["good"]
    assert OutboxRow.objects.filter(attempts=1, due_at__gt=clock.now()).exists()


def test_lines_without_quantity_are_left_out_and_one_without_sku_is_told(talon):
    bag = Bag.objects.create()
    BagEntry.objects.create(bag=bag, article="a", title="A", amount=1.0, count=0)
    entry = BagEntry.objects.create(bag=bag, article="b", title="B", amount=1.0)
    deliver_all()
    assert [item["sku"] for item in session_calls(talon)[-1]["cartItems"]] == ["b"]
    entry.article = ""
    entry.save()
    deliver_all()
    assert "the sku is empty" in DeadLetter.objects.get().reason


def test_a_path_that_leads_nowhere_names_the_row(talon, monkeypatch):
    monkeypatch.setattr(BagShop, "cart_customer", "owner")
    bag = Bag.objects.create()
    deliver_all()
    assert DeadLetter.objects.get().reason == f"shops.Bag {bag.pk}: Bag has no 'owner'"


def test_a_close_that_is_refused_time_and_again_is_one_dead_letter(talon):
    """Each save of a closed order says that it is closed; the one that arrives ends the matter."""
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    refusal = {"status": {"code": 400, "body": {"message": "no", "errors": []}}}
    talon.faults.add(match={"operation": UPDATE}, phase="before_apply", do=refusal)
    order = order_of(cart)
    for _ in range(2):
        order.save()
        deliver_all()
        assert [letter.kind for letter in DeadLetter.objects.all()] == ["closed"]
    talon.faults.clear()
    order.save()
    deliver_all()
    assert states(talon)[-1] == "closed"
    assert not DeadLetter.objects.exists()


def test_a_key_that_cannot_be_fetched_loses_nothing_and_breaks_no_page(talon, settings):
    keys = [settings.TALON_ONE["API_KEY"]]

    def vault():
        return keys[0]

    settings.TALON_ONE = {**settings.TALON_ONE, "API_KEY": vault}
    [key] = keys
    keys.clear()
    cart = cart_with(("mug", "10.00", 1), user=customer())
    assert django_talon.evaluate(cart).allocation.total == Decimal("14.90")
    deliver_all()
    assert OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()
    assert talon.calls() == []
    keys.append(key)
    all_due()
    deliver_all()
    assert states(talon) == ["open"]
    assert not OutboxRow.objects.exists()
