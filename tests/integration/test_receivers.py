"""Which changes of the shop's rows are noticed, and what noticing them costs."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from contextlib import contextmanager, nullcontext

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

import django_talon
from django_talon.models import OutboxRow
from django_talon.outbox import rows
from django_talon.outbox.rows import losses
from example_project.shop.models import Cart, CartItem, Order
from example_project.shop.talon import Shop
from tests.helpers import cart_with, customer, deliver_all, order_of, product, session_calls
from tests.shops.models import (
    Bag,
    BagEntry,
    BigCrateItem,
    Coupon,
    Crate,
    CrateItem,
    CrateLabel,
    Extra,
    GiftCrate,
    ItemNote,
    Member,
    Sticker,
    Wrapping,
)

pytestmark = pytest.mark.django_db(transaction=True)


def marked() -> list[str]:
    """Return what is marked, each once, and forget it."""
    found = sorted(set(OutboxRow.objects.values_list("aggregate", flat=True)))
    lanes = sorted(set(OutboxRow.objects.values_list("lane", flat=True)))
    assert found == lanes
    OutboxRow.objects.all().delete()
    return found


def crates(*rows: GiftCrate) -> list[str]:
    return sorted(f"cart:shops.giftcrate:{row.pk}" for row in rows)


def bags(*rows: Bag) -> list[str]:
    return sorted(f"cart:shops.bag:{row.pk}" for row in rows)


def crate_with_item() -> tuple[GiftCrate, CrateItem]:
    crate = GiftCrate.objects.create()
    item = CrateItem.objects.create(crate=crate, code="a")
    OutboxRow.objects.all().delete()
    return crate, item


@contextmanager
def inserts_only(statements: int = 1):
    """Assert that the outbox costs so many INSERTs, and that nothing else is read for it."""
    lost = losses.count
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        yield
    ours = [query["sql"] for query in queries if "django_talon" in query["sql"]]
    reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert all("INSERT INTO" in sql for sql in ours)
    assert (len(ours), reads) == (statements, [])
    assert losses.count == lost


# Many-to-many relations


def test_B5_a_many_to_many_relation_of_a_cart_is_noticed_from_both_sides():
    first, second = GiftCrate.objects.create(), GiftCrate.objects.create()
    coupon = Coupon.objects.create(code="A")
    OutboxRow.objects.all().delete()

    first.coupons.add(coupon)  # the field stands on the coupon
    assert marked() == crates(first)
    coupon.crates.add(first, second)
    assert marked() == crates(second)  # the first one was there
    coupon.crates.add(first, second)
    assert marked() == []
    second.coupons.remove(coupon)
    assert marked() == crates(second)
    coupon.crates.remove(first)
    assert marked() == crates(first)
    coupon.crates.set([first, second])
    assert marked() == crates(first, second)
    coupon.crates.clear()
    assert marked() == crates(first, second)
    coupon.crates.clear()
    assert marked() == []
    first.coupons.clear()
    assert marked() == crates(first)


def test_B5_a_many_to_many_relation_of_a_line_is_told_to_its_cart():
    crate, item = crate_with_item()
    ribbon = Extra.objects.create(name="ribbon")
    item.extras.add(ribbon)
    assert marked() == crates(crate)
    ribbon.items.remove(item)
    assert marked() == crates(crate)
    ribbon.items.add(item)
    assert marked() == crates(crate)
    ribbon.items.clear()
    assert marked() == crates(crate)
    CrateItem.objects.only("code").get().extras.add(ribbon)
    assert marked() == crates(crate)


def test_B5_keys_that_the_database_writes_otherwise_are_noticed_too():
    bag, other = Bag.objects.create(), Bag.objects.create()
    paper = Wrapping.objects.create(name="paper")
    OutboxRow.objects.all().delete()
    paper.bags.add(bag, other)
    assert marked() == bags(bag, other)
    paper.bags.clear()
    assert marked() == bags(bag, other)
    bag.wrappings.add(paper)
    assert marked() == bags(bag)


def test_B5_relations_of_customers_that_no_attribute_reads_are_nobodys_news():
    from django.contrib.auth.models import Group

    ada = customer()
    OutboxRow.objects.all().delete()
    ada.groups.add(Group.objects.create(name="staff"))
    assert marked() == []


def test_B5_noticing_costs_one_insert_and_reads_nothing():
    crate, item = crate_with_item()
    coupon = Coupon.objects.create(code="A")
    other = GiftCrate.objects.create()
    note = ItemNote.objects.create(item=item, text="x")
    with inserts_only():
        crate.save()
    with inserts_only():
        item.save()
    with inserts_only():
        note.save()
    item.crate = other
    with inserts_only():
        item.save()
    for pk in (item.pk, item.pk):
        unread = CrateItem(pk=pk, crate=crate, code="b")
        with inserts_only(2):
            unread.save()
    crate.coupons.add(coupon)
    with inserts_only():
        crate.coupons.remove(coupon)
    coupon.crates.add(crate)
    with inserts_only():
        coupon.crates.clear()
    with inserts_only():
        django_talon.mark(CrateItem.objects.all())


# Lines that move


def test_B5_a_line_that_moves_is_told_to_both_however_it_was_loaded():
    crate, item = crate_with_item()
    other = GiftCrate.objects.create()
    OutboxRow.objects.all().delete()

    item.crate = other
    item.save()
    assert marked() == crates(crate, other)
    CrateItem(pk=item.pk, crate=crate, code="by hand").save()
    assert marked() == crates(crate, other)
    deferred = CrateItem.objects.only("code").get()
    deferred.crate = other
    deferred.save()
    assert marked() == crates(crate, other)
    deferred = CrateItem.objects.defer("crate").get()
    deferred.crate_id = crate.pk
    deferred.save(update_fields=["crate"])
    assert marked() == crates(crate, other)
    item = CrateItem.objects.get()
    item.crate = other
    item.save(update_fields=["code"])  # does not move
    assert crates(crate)[0] in marked()
    item.save()
    assert marked() == crates(crate, other)
    item.crate = crate
    item.save()
    marked()
    CrateItem.objects.update_or_create(pk=item.pk, defaults={"crate": other})
    assert marked() == crates(crate, other)


def test_B5_a_line_of_which_the_cart_was_not_loaded_is_told_to_its_cart():
    crate, _item = crate_with_item()
    deferred = CrateItem.objects.only("quantity").get()
    deferred.quantity = 3
    deferred.save()
    assert marked() == crates(crate)
    CrateItem.objects.only("quantity").get().delete()
    assert marked() == crates(crate)


def test_B5_a_line_with_a_key_that_makes_itself():
    bag, other = Bag.objects.create(), Bag.objects.create()
    OutboxRow.objects.all().delete()
    entry = BagEntry.objects.create(bag=bag, article="a", title="A")
    assert marked() == bags(bag)
    moved = BagEntry.objects.only("title").get(pk=entry.pk)
    moved.bag = other
    moved.save()
    assert marked() == bags(bag, other)


# What belongs to a line


def test_B5_a_row_that_belongs_to_a_line_is_told_to_the_cart(talon):
    crate, item = crate_with_item()
    other = GiftCrate.objects.create()
    second = CrateItem.objects.create(crate=other, code="b")
    OutboxRow.objects.all().delete()

    note = ItemNote.objects.create(item=item, text="for Ada")
    assert marked() == crates(crate)
    note.text = "for Grace"
    note.save()
    assert marked() == crates(crate)
    note.item = second
    note.save()
    assert marked() == crates(crate, other)
    note.delete()
    assert marked() == crates(other)
    ItemNote.objects.create(item=item, text="x")
    marked()
    item.delete()
    assert marked() == crates(crate)


def test_B5_a_way_that_begins_at_a_column_other_than_the_key():
    crate, _item = crate_with_item()
    label = CrateLabel.objects.create(name="fragile", crate=crate)
    assert marked() == []  # nobody asked for labels
    sticker = Sticker.objects.create(label=label, text="!")
    assert marked() == crates(crate)
    sticker.delete()
    assert marked() == crates(crate)


def test_B5_a_note_of_a_line_reaches_talon_one(talon):
    talon.reset(seed={"attributes": {"CartItem": {"notes": "string"}}})
    _crate, item = crate_with_item()
    item.save()
    deliver_all()
    ItemNote.objects.create(item=item, text="for Ada")
    deliver_all()
    notes = [body["cartItems"][0]["attributes"]["notes"] for body in session_calls(talon)]
    assert notes == ["", "for Ada"]


# Inheritance


def test_B5_models_with_two_tables_are_noticed_by_either_name():
    crate, _item = crate_with_item()
    crate.save()
    assert marked() == crates(crate)
    Crate.objects.get().save()
    assert marked() == crates(crate)
    big = BigCrateItem.objects.create(crate=crate, code="big")
    assert marked() == crates(crate)
    CrateItem.objects.get(pk=big.pk).save()
    assert marked() == crates(crate)
    big.extras.add(Extra.objects.create(name="ribbon"))
    assert marked() == crates(crate)
    big.delete()
    assert marked() == crates(crate)
    Crate.objects.get().delete()
    assert marked() == crates(crate)


# Orders and their states


def test_an_order_whose_state_cannot_be_told_at_its_save_is_looked_at_again(talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=customer()), status="draft")
    deliver_all()
    Order.objects.filter(pk=order.pk).update(status="placed")
    Order.objects.only("total").get(pk=order.pk).save()
    deliver_all()
    assert session_calls(talon)[-1]["state"] == "closed"


def test_why_a_state_cannot_be_told_is_logged_without_the_message(caplog, monkeypatch):
    def broken(self, order):
        raise ValueError("ada@example.com")

    monkeypatch.setattr(Shop, "state", broken)
    with caplog.at_level(logging.DEBUG, logger="django_talon"):
        order_of(cart_with(("mug", "10.00", 1)))
    assert "at its save: ValueError (" in caplog.text
    assert "test_receivers.broken:" in caplog.text
    assert "ada@" not in caplog.text


# By hand, and in bulk


def test_B5_a_queryset_is_marked_in_one_statement_however_large():
    Cart.objects.bulk_create([Cart() for _ in range(1200)])
    cart = Cart.objects.first()
    goods = [product(name) for name in ("mug", "tea", "pot")]
    CartItem.objects.bulk_create([CartItem(cart=cart, product=one) for one in goods])
    assert not OutboxRow.objects.exists()
    with inserts_only():
        django_talon.mark(Cart.objects.all())
    assert len(marked()) == 1200
    django_talon.mark(CartItem.objects.filter(quantity=1))
    assert OutboxRow.objects.count() == 1
    marked()
    django_talon.mark(Cart.objects.order_by("-pk")[:700])
    assert len(marked()) == 700
    django_talon.mark(Cart.objects.none())
    django_talon.mark(Cart.objects.filter(pk=cart.pk).union(Cart.objects.filter(pk=cart.pk + 1)))
    assert len(marked()) == 2
    Bag.objects.bulk_create([Bag() for _ in range(600)])
    django_talon.mark(Bag.objects.values("pk"))
    assert len(marked()) == 600


def test_a_marked_row_is_the_same_however_it_was_written():
    cart = cart_with(("mug", "10.00", 1))
    OutboxRow.objects.all().delete()
    cart.save()
    django_talon.mark(Cart.objects.all())
    plain, selected = OutboxRow.objects.order_by("pk").values()
    differing = {name for name in plain if plain[name] != selected[name]}
    assert differing <= {"id", "uid", "created_at", "due_at"}
    assert abs((plain["due_at"] - selected["due_at"]).total_seconds()) < 30


def test_an_order_marked_in_bulk_becomes_what_its_status_says(talon):
    order_of(cart_with(("mug", "10.00", 1), user=customer()))
    deliver_all()
    Order.objects.update(status="cancelled")
    django_talon.mark(Order.objects.all())
    assert OutboxRow.objects.get().kind == "cancelled"
    deliver_all()
    assert session_calls(talon)[-1]["state"] == "cancelled"


# Pausing


def test_B8_a_bulk_import_under_pause_sends_nothing_and_then_each_once(talon):
    with django_talon.paused(flush=True):
        carts = [cart_with(("mug", "10.00", 1), ("tea", "2.00", 1)) for _ in range(3)]
        CartItem.objects.filter(cart=carts[0]).get(product__sku="mug").save()
        deliver_all()
        assert talon.calls() == []
        assert not OutboxRow.objects.exists()
    assert OutboxRow.objects.count() == 3
    deliver_all()
    assert len(session_calls(talon)) == 3


def test_B8_pauses_nest_and_survive_exceptions():
    cart, other = Cart.objects.create(), Cart.objects.create()
    marked()
    with django_talon.paused(flush=True):
        with pytest.raises(ZeroDivisionError), django_talon.paused(flush=True):
            cart.save()
            1 / 0  # noqa: B018
        with django_talon.paused():
            other.save()
        assert not OutboxRow.objects.exists()
        django_talon.mark(other)  # said by hand: that is no noticing
        assert marked() == [f"cart:shop.cart:{other.pk}"]
    assert marked() == [f"cart:shop.cart:{cart.pk}"]

    @django_talon.paused()
    def job() -> None:
        cart.save()

    job()
    job()
    assert marked() == []
    cart.save()
    assert marked() == [f"cart:shop.cart:{cart.pk}"]


def test_B8_a_pause_holds_back_what_only_the_database_knows():
    crate, item = crate_with_item()
    with django_talon.paused(flush=True):
        ItemNote.objects.create(item=item, text="x")
        assert not OutboxRow.objects.exists()
    assert marked() == crates(crate)
    with django_talon.paused(), inserts_only(0):
        ItemNote.objects.create(item=item, text="x")
    assert marked() == []


def test_B8_a_pause_is_of_one_thread_only():
    cart = Cart.objects.create()
    marked()

    def save() -> None:
        cart.save()
        connection.close()

    with django_talon.paused():
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()
    assert marked() == [f"cart:shop.cart:{cart.pk}"]


def test_B8_a_pause_is_of_one_task_only_and_ends_for_those_it_started():
    first, second, third = (Cart.objects.create() for _ in range(3))
    marked()

    async def pausing(inside: asyncio.Event, outside: asyncio.Event) -> asyncio.Task:
        async def survivor() -> None:
            await outside.wait()
            await third.asave()

        async with django_talon.paused(flush=True):
            task = asyncio.create_task(survivor())
            await first.asave()
            inside.set()
            await asyncio.sleep(0)
            mine = OutboxRow.objects.filter(lane=f"cart:shop.cart:{first.pk}")
            assert not await mine.aexists()
        outside.set()
        return task

    async def bystander(inside: asyncio.Event) -> None:
        await inside.wait()
        await second.asave()

    async def both() -> None:
        inside, outside = asyncio.Event(), asyncio.Event()
        task, _ = await asyncio.gather(pausing(inside, outside), bystander(inside))
        await task
        await sync_to_async(connections.close_all)()

    asyncio.run(both())
    assert marked() == sorted(f"cart:shop.cart:{cart.pk}" for cart in (first, second, third))


def test_B8_a_block_that_writes_at_its_end_asks_for_async_with():
    cart = Cart.objects.create()

    async def wrong() -> None:
        with pytest.raises(RuntimeError, match="async with"), django_talon.paused(flush=True):
            pass
        async with django_talon.muted(cart):
            await cart.asave()
            await cart.asave()
        await sync_to_async(connections.close_all)()

    marked()
    asyncio.run(wrong())
    assert OutboxRow.objects.count() == 1


def test_B8_a_muted_cart_is_marked_once_and_others_are_not_held_back():
    cart = cart_with(("mug", "10.00", 1))
    other = Cart.objects.create()
    marked()
    with pytest.raises(ZeroDivisionError), django_talon.muted(cart):
        for line in cart.items.all():
            line.save()
        cart.save()
        other.save()
        assert marked() == [f"cart:shop.cart:{other.pk}"]
        1 / 0  # noqa: B018
    assert OutboxRow.objects.count() == 1
    assert marked() == [f"cart:shop.cart:{cart.pk}"]
    with pytest.raises(LookupError, match="no cart"):
        django_talon.muted(order_of(cart))


def test_B8_one_switch_turns_everything_off_and_on_again_live(talon, settings):
    cart = cart_with(("mug", "10.00", 1))
    waiting = OutboxRow.objects.count()
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    cart.save()
    django_talon.mark(Cart.objects.all())
    django_talon.track("newsletter", {}, cart=cart)
    deliver_all_but_nothing_happens(waiting)
    assert talon.calls() == []
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": True}
    cart.save()
    deliver_all()
    assert len(session_calls(talon)) == 1


def deliver_all_but_nothing_happens(waiting: int) -> None:
    from django_talon.outbox import delivery

    assert delivery.drain() == 0
    assert OutboxRow.objects.count() == waiting


# Noise


def test_loaded_data_is_no_news_with_its_relations_neither(tmp_path):
    crate, item = crate_with_item()
    ItemNote.objects.create(item=item, text="x")
    Bag.objects.create(member=Member.objects.create())
    dump = tmp_path / "shops.json"
    call_command("dumpdata", "shops", output=str(dump))
    OutboxRow.objects.all().delete()
    with django_talon.paused():  # the signal of a many-to-many relation does not say "raw"
        call_command("loaddata", str(dump), verbosity=0)
    assert marked() == []
    assert crate.pk


def test_a_save_of_nothing_but_a_stamp_is_no_news():
    ada = customer()
    marked()
    ada.save(update_fields=["last_login"])
    assert marked() == []
    ada.save(update_fields=["last_login", "first_name"])
    assert marked() == [f"customer:auth.user:{ada.pk}"]


@pytest.mark.parametrize(("number", "is_told"), [(1213, True), (1205, False)])
def test_a_deadlock_that_took_the_whole_transaction_is_told_to_the_shop(
    monkeypatch, number, is_told
):
    """MySQL has rolled back what the shop saved: to go on would save half of it."""

    def refuse(*_):
        raise OperationalError(number, "told by the server")

    monkeypatch.setattr(rows, "_run", refuse)
    before = losses.count
    with pytest.raises(OperationalError) if is_told else nullcontext():
        cart_with(("mug", "1.00", 1))
    assert (losses.count > before) is not is_told


def test_the_connection_of_a_thread_that_ended_is_let_go():
    ended: list[weakref.ref] = []

    def save():
        cart_with(("mug", "1.00", 1))
        ended.append(weakref.ref(connections["default"]))
        connections["default"].close()

    thread = threading.Thread(target=save)
    thread.start()
    thread.join()
    del thread
    gc.collect()
    assert ended[0]() is None
