"""Dead letters and waiting rows: replayed, discarded, hurried; and where a complaint comes from."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

import django_talon as talon_api
from django_talon.models import DeadLetter, Lane, OutboxRow
from django_talon.outbox import mapping, replay
from example_project.shop.talon import Shop
from tests.helpers import cart_with, customer, deliver_all, order_of, states

pytestmark = pytest.mark.django_db(transaction=True)

LETTERS = reverse("admin:django_talon_deadletter_changelist")
ROWS = reverse("admin:django_talon_outboxrow_changelist")


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    OutboxRow.objects.all().delete()
    return user


def letters(count, **values):
    return DeadLetter.objects.bulk_create(
        DeadLetter(
            application="default",
            lane=f"cart:shop.cart:{number}",
            aggregate=f"cart:shop.cart:{number}",
            kind="mark",
            uid=uuid4(),
            reason="x",
            **values,
        )
        for number in range(count)
    )


def choose(client, page, action, *rows, across=False, **more):
    keys = [row.pk for row in rows]
    data = {"action": action, "_selected_action": keys, "select_across": str(int(across)), **more}
    return client.post(page, data, follow=True)


YES = {"talon_confirm": "yes"}


def hidden(page):
    """What the page that asks sends along."""
    return dict(page.context["hidden"])


def told(response):
    return [str(message) for message in response.context["messages"]]


def detail(client, letter):
    page = reverse("admin:django_talon_deadletter_change", args=[letter.pk])
    return client.get(page).content.decode().replace("&#x27;", "'").replace("&gt;", ">")


# Where a complaint comes from


@pytest.fixture
def mapped(monkeypatch):
    """The example shop sends attributes that nobody declared at Talon.One."""
    lines = {**Shop.item, "attributes": {"material": "product.description"}}
    monkeypatch.setattr(Shop, "cart_attributes", {"channel": "user.username"})
    monkeypatch.setattr(Shop, "item", lines)
    monkeypatch.setattr(Shop, "customer_attributes", {"shoe_size": "username"})


def test_C10_an_unknown_attribute_names_the_mapping_entry(client, root, talon, mapped):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    letter = DeadLetter.objects.filter(operation="updateCustomerProfileV2").first()
    [complaint] = mapping.complaints(letter)
    assert complaint.entry == "customer_attributes['shoe_size'] = 'username'"
    assert complaint.place == "example_project/shop/talon.py, class Shop"
    shown = detail(client, letter)
    assert "customer_attributes['shoe_size'] = 'username'" in shown
    assert "example_project/shop/talon.py" in shown


@pytest.mark.parametrize(
    ("aggregate", "operation", "pointer", "entry"),
    [
        ("cart", "S", "/customerSession/attributes/channel", "cart_attributes['channel'] = 'user"),
        (
            "cart",
            "S",
            "/customerSession/cartItems/0/attributes/material",
            "item['attributes']['material'] = 'product.description'",
        ),
        ("cart", "S", "/customerSession/cartItems/0/price", "item['price'] = 'unit_price'"),
        ("cart", "S", "/customerSession/cartItems", "cart_items = 'items'"),
        ("order", "S", "/customerSession/cartItems", "order_items = 'lines'"),
        ("order", "S", "/customerSession/attributes/x", "order_attributes['x'] (by an overridden"),
        ("cart", "S", "/customerSession/additionalCosts/a~1b", "additional_costs() -> 'a/b'"),
        ("cart", "S", "/customerSession/profileId", "profile_id()"),
        ("cart", "S", "/customerSession/state", "order_states = {'placed'"),
        ("cart", "S", "/customerSession/couponCodes/0", "talon.evaluate(enter=...)"),
        (
            "cart",
            "updateCustomerSession",
            "/cartItems/0/attributes/material",
            "item['attributes']['material'] = 'product.description'",
        ),
        ("cart", "updateCustomerSession", "/coupon", "talon.evaluate(enter=...)"),
        ("customer", "updateCustomerProfile", "/attributes/shoe_size", "customer_attributes['sho"),
        ("customer", "trackEvent", "/attributes/size", "talon.track('signup', {'size': ...})"),
        ("customer", "P", "/attributes/shoe_size", "customer_attributes['shoe_size'] = 'username'"),
        ("customer", "E", "/attributes/size", "talon.track('signup', {'size': ...})"),
        ("customer", "E", "/type", "talon.track('signup', ...)"),
        ("customer", "E", "/other", ""),
        ("customer", "P", "/other", ""),
        ("cart", "S", "/customerSession/other", ""),
        ("cart", "O", "/x", ""),
        ("cart", "S", "", ""),
    ],
)
def test_C10_from_pointer_to_mapping_entry(mapped, aggregate, operation, pointer, entry):
    names = {"S": "updateCustomerSessionV2", "P": "updateCustomerProfileV2", "E": "trackEventV2"}
    labels = {"cart": "shop.cart", "order": "shop.order", "customer": "auth.user"}
    letter = DeadLetter(
        aggregate=f"{aggregate}:{labels[aggregate]}:1",
        operation=names.get(operation, operation),
        payload={"type": "signup"},
        pointers=[[pointer, "Bad"]],
    )
    [complaint] = mapping.complaints(letter)
    assert complaint.entry.startswith(entry) if entry else complaint.entry == ""


def test_C10_a_removed_adapter_leaves_the_pointer():
    letter = DeadLetter(aggregate="cart:gone.cart:1", operation="x", pointers=[["/a", "Bad"]])
    assert str(mapping.complaints(letter)[0]) == "/a Bad"


# The request, redacted


def test_H1_the_request_is_shown_without_values(client, root, talon):
    ada = customer()
    talon.faults.add("trackEventV2", do={"status": {"code": 400}})
    talon_api.track("signup", {"name": "Lovelace", "age": 36, "vip": True}, customer=ada)
    deliver_all()
    shown = detail(client, DeadLetter.objects.get(kind="event"))
    for part in ("signup", "&lt;text>", "&lt;number>", "&lt;boolean>", "trackEventV2"):
        assert part in shown
    assert "Lovelace" not in shown
    assert "36" not in shown.split("signup")[1][:200]


def test_H1_a_close_is_shown_with_its_lines_and_without_its_person(client, root, talon):
    cart = cart_with(("mug", "10.00", 2), user=customer())
    deliver_all()
    talon.faults.add("updateCustomerSessionV2", do={"status": {"code": 400}})
    order_of(cart)
    deliver_all()
    shown = detail(client, DeadLetter.objects.filter(kind="closed").first()).replace("&quot;", '"')
    assert '"sku": "mug"' in shown
    assert '"profileId": "&lt;text>"' in shown


def test_H1_state_is_not_kept(client, root):
    [letter] = letters(1)
    assert "rendered anew whenever they are sent" in detail(client, letter)


# Replay and discard


def test_H2_all_that_match_are_replayed_without_hidden_fields(client, root):
    first, *_ = letters(450)
    with CaptureQueriesContext(connection) as seen:
        done = choose(client, LETTERS, "replay", first, across=True, **YES)
    assert told(done) == ["450 dead letters are in the outbox again."]
    assert OutboxRow.objects.count() == 450
    assert LogEntry.objects.count() == 450
    assert len(seen) < 100


def test_F4_those_that_a_filter_finds_are_replayed(client, root):
    letters(2)
    first, *_ = letters(3, status=429)
    done = choose(client, f"{LETTERS}?status=429", "replay", first, across=True, **YES)
    assert told(done) == ["3 dead letters are in the outbox again."]
    assert set(DeadLetter.objects.waiting().values_list("status", flat=True)) == {None}
    assert OutboxRow.objects.count() == 3


def test_H2_what_there_is_no_time_for_is_left_and_told(client, root, monkeypatch):
    monkeypatch.setattr(replay, "CHUNK", 2)
    letters(5)
    done = replay.replay_chosen(DeadLetter.objects.all(), seconds=-1)
    assert sum(map(len, done)) == 2
    assert DeadLetter.objects.waiting().count() == 3


def test_H4_replaying_asks_and_reports_what_was_left(client, root):
    first, *_ = letters(120)
    [gone] = letters(1, discarded_at=timezone.now())
    page = choose(client, LETTERS, "replay", first, across=True)
    text = page.content.decode()
    assert "121 rows are chosen." in text
    assert text.count('type="hidden" name="_selected_action"') == 1
    assert not OutboxRow.objects.exists()
    assert not LogEntry.objects.exists()
    [late] = letters(1)
    done = client.post(LETTERS, hidden(page), follow=True)
    assert told(done)[0] == "120 dead letters are in the outbox again."
    assert told(done)[1].endswith("no time for more: 1.")
    assert list(DeadLetter.objects.waiting()) == [late]
    assert OutboxRow.objects.count() == 120
    replayed = LogEntry.objects.filter(change_message="Replayed")
    assert replayed.count() == LogEntry.objects.count() == 120
    assert not replayed.filter(object_id=gone.pk).exists()


def test_H4_discarding_asks_for_a_reason_and_keeps_a_record(client, root):
    first, *_ = letters(150)
    page = choose(client, LETTERS, "discard", first, across=True)
    assert page.content.decode().count('type="hidden" name="_selected_action"') == 1
    assert "150 rows are chosen." in page.content.decode()
    [late] = letters(1)
    sent = {**YES, "talon_newest": hidden(page)["talon_newest"]}
    asked = choose(client, LETTERS, "discard", first, across=True, **sent)
    assert asked.context["form"].errors
    assert DeadLetter.objects.waiting().count() == 151
    done = choose(client, LETTERS, "discard", first, across=True, reason="old shop", **sent)
    assert told(done) == ["150 dead letters are discarded."]
    assert list(DeadLetter.objects.waiting()) == [late]
    first.refresh_from_db()
    assert (first.discarded_by, first.discarded_reason) == ("root", "old shop")
    assert LogEntry.objects.filter(change_message="Discarded: old shop").count() == 150
    assert not OutboxRow.objects.exists()
    listed = client.get(LETTERS, {"decision": "discarded"})
    assert listed.context["cl"].result_count == 150
    assert client.get(LETTERS, {"decision": "none"}).context["cl"].result_count == 1
    assert client.get(LETTERS, {"decision": "replayed"}).context["cl"].result_count == 0


def test_H4_an_erasure_cannot_be_discarded(client, root):
    [erasure] = letters(1)
    DeadLetter.objects.update(kind="erase")
    sent = {**YES, "reason": "no"}
    done = choose(client, LETTERS, "discard", erasure, **sent)
    assert told(done)[0].startswith("Left as they are")
    assert DeadLetter.objects.waiting().count() == 1


def test_H2_a_discarded_letter_is_neither_replayed_nor_counted(client, root):
    [letter] = letters(1, discarded_at=timezone.now())
    assert "Left as they are" in told(choose(client, LETTERS, "replay", letter, **YES))[0]
    assert replay.replay([letter]) == 0
    assert not OutboxRow.objects.exists()


# Waiting rows


def test_H2_waiting_rows_are_tried_now_but_not_against_a_hold(client, root, talon):
    cart, held = cart_with(("mug", "10.00", 1)), cart_with(("mug", "10.00", 1))
    soon = timezone.now() + timedelta(minutes=5)
    OutboxRow.objects.update(due_at=soon)
    for one, why in ((cart, "backoff"), (held, "hold")):
        Lane.objects.create(key=f"cart:shop.cart:{one.pk}", blocked_until=soon, why=why)
    rows = list(OutboxRow.objects.all())
    before = len(rows)
    done = choose(client, ROWS, "hurry", *rows)
    late = OutboxRow.objects.filter(due_at=soon)
    assert set(late.values_list("lane", flat=True)) == {f"cart:shop.cart:{held.pk}"}
    assert told(done)[0] == f"{before - late.count()} changes are due now."
    assert LogEntry.objects.filter(change_message="Tried now").count() == before - late.count()
    deliver_all()
    assert states(talon) == ["open"]


def test_H2_each_of_many_rows_tried_now_is_recorded(client, root):
    soon = timezone.now() + timedelta(minutes=5)
    rows = OutboxRow.objects.bulk_create(
        OutboxRow(application="default", lane=str(n), aggregate="a", kind="mark", due_at=soon)
        for n in range(250)
    )
    done = choose(client, ROWS, "hurry", rows[0], across=True)
    assert told(done) == ["250 changes are due now."]
    assert not OutboxRow.objects.filter(due_at=soon).exists()
    assert LogEntry.objects.filter(change_message="Tried now").count() == 250


def test_H2_waiting_rows_are_discarded_into_records(client, root, talon):
    cart_with(("mug", "10.00", 1))
    rows = list(OutboxRow.objects.all())
    asked = choose(client, ROWS, "discard", *rows)
    assert "with your name and the reason" in asked.content.decode()
    erase = OutboxRow.objects.create(application="default", lane="e", aggregate="e", kind="erase")
    sent = {**YES, "reason": "test order"}
    done = choose(client, ROWS, "discard", *rows, erase, **sent)
    assert told(done) == [
        f"{len(rows)} changes are discarded; see the dead letters.",
        "Left as they are, because they are erasures or are gone by now: 1.",
    ]
    assert list(OutboxRow.objects.all()) == [erase]
    assert DeadLetter.objects.exclude(discarded_at=None).count() == len(rows)
    assert DeadLetter.objects.first().discarded_reason == "test order"


def test_the_outbox_names_the_shops_own_object(client, root, talon):
    cart = cart_with(("mug", "10.00", 1))
    page = client.get(ROWS).content.decode()
    assert f'<a href="{reverse("admin:shop_cart_change", args=[cart.pk])}">' in page


def test_an_erasure_among_the_letters_links_to_its_receipt(client, root):
    [letter] = letters(1, pointers=[["/x", "Bad"]])
    DeadLetter.objects.update(kind="erase", aggregate="erasure:django_talon.erasure:7")
    page = client.get(LETTERS).content.decode()
    assert f'<a href="{reverse("admin:django_talon_erasure_change", args=[7])}">' in page
    assert "/x Bad" in page
    assert "erasure:django_talon.erasure:7" in detail(client, letter)
