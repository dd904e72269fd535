"""People of whom the shop has no row, such as guests: inventory and erasure by id in the admin."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from django_talon import privacy
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeliveryLog,
    Erasure,
    Selection,
)
from django_talon.models.privacy import pseudonym
from tests.helpers import all_due, cart_with, deliver_all, order_of, states

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:django_talon_customerprofile_changelist"
PAGE = "admin:django_talon_customerprofile_talon_by_id"


def staff(client, *codenames):
    user = User.objects.create_user("op", password="secret", is_staff=True)
    names = ["view_customerprofile", *codenames]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return user


@pytest.fixture
def guest(talon):
    """A guest with a cart at Talon.One; no row of the list names them."""
    cart_with(("mug", "10.00", 1))
    deliver_all()
    found = CustomerSession.objects.get().profile_id
    assert found.startswith("guest-")
    assert not CustomerProfile.objects.exists()
    return found


def test_G1_a_guest_is_erased_by_id_in_the_admin(client, talon, guest):
    staff(client, "erase_customer", "view_erasure")
    assert reverse(PAGE) in client.get(reverse(LIST)).content.decode()
    page = client.get(reverse(PAGE)).content.decode()
    assert 'name="erase"' in page
    assert 'name="inventory"' not in page
    asks = client.post(reverse(PAGE), {"profile_id": f" {guest} ", "erase": "1"}, follow=True)
    assert guest in asks.content.decode()
    assert not Erasure.objects.exists()
    where = asks.request["PATH_INFO"]
    done = client.post(where, {"reason": "asked in the shop"}, follow=True)
    assert "The erasure of 1 customer is requested." in done.content.decode()
    [entry] = LogEntry.objects.all()
    assert entry.object_id == pseudonym(guest)[:12]
    assert guest not in f"{entry.object_repr} {entry.change_message}"
    assert not Selection.objects.exists()
    for _ in range(2):
        deliver_all()
        all_due()
    erasure = Erasure.objects.get()
    assert (erasure.status, erasure.reason) == ("done", "asked in the shop")
    assert states(talon) == ["open", "cancelled"]
    assert len(talon.calls("deleteCustomerData")) == 2
    again = client.post(where, {"reason": "twice"}, follow=True)
    assert "answered already" in again.content.decode()


def test_G7_an_erased_guest_leaves_no_id_in_our_rows(client, talon, guest):
    uuid = guest.removeprefix("guest-")
    privacy.erase(guest)
    for _ in range(2):
        deliver_all()
        all_due()
    session = CustomerSession.objects.get()
    assert (session.state, session.profile_id) == ("cancelled", "")
    assert session.integration_id == f"erased:{pseudonym(uuid)}"[:64]
    logged = set(DeliveryLog.objects.exclude(session_id="").values_list("session_id", flat=True))
    assert logged == {session.integration_id}
    [held] = [Erasure.objects.values().get()]
    assert uuid not in str(held)


def test_G7_what_was_chosen_by_an_erased_persons_id_is_forgotten(client, talon, guest):
    staff(client, "view_inventory")
    for profile_id in (guest, "somebody-else"):
        client.post(reverse(PAGE), {"profile_id": profile_id, "inventory": "1"})
    assert Selection.objects.count() == 2
    privacy.erase(guest)
    assert Selection.objects.get().keys == ["somebody-else"]


def test_G7_the_session_of_an_erased_guests_order_keeps_its_id_for_the_books(talon):
    order = order_of(cart_with(("mug", "10.00", 1)))
    deliver_all()
    session = CustomerSession.objects.get()
    assert session.state == "closed"
    privacy.erase(f"guest-{session.integration_id}")
    for _ in range(2):
        deliver_all()
        all_due()
    kept = CustomerSession.objects.get()
    assert (kept.integration_id, kept.profile_id) == (session.integration_id, "")
    assert DeliveryLog.objects.filter(session_id=kept.integration_id).exists()
    order.status = "cancelled"
    order.save()
    deliver_all()
    assert states(talon) == ["closed", "cancelled"]


def test_G3_the_inventory_of_a_guest_by_id(client, talon, guest):
    user = staff(client, "view_inventory")
    page = client.post(reverse(PAGE), {"profile_id": guest, "inventory": "1"}, follow=True)
    assert guest in page.content.decode()
    assert "cart:shop.cart:" in page.content.decode()
    file = client.get(page.context["download"])
    found = json.loads(b"".join(file.streaming_content))
    assert found["profile_id"] == guest
    assert found["held_by_this_shop"]["sessions"][0]["profile_id"] == guest
    assert file["Content-Disposition"] == f'attachment; filename="inventory-{guest}.json"'
    looked = LogEntry.objects.order_by("pk").values_list("user_id", "object_id", "change_message")
    assert list(looked) == [
        (user.pk, pseudonym(guest)[:12], "Looked at the inventory from Talon.One"),
        (user.pk, pseudonym(guest)[:12], "Downloaded the inventory from Talon.One"),
    ]


def test_G6_each_button_needs_its_permission(client, talon, guest):
    user = staff(client)
    assert client.get(reverse(PAGE)).status_code == 403
    assert reverse(PAGE) not in client.get(reverse(LIST)).content.decode()
    user.user_permissions.add(Permission.objects.get(codename="view_inventory"))
    assert client.get(reverse(PAGE)).status_code == 200
    asked = client.post(reverse(PAGE), {"profile_id": guest, "erase": "1"})
    assert asked.status_code == 403
    assert not Selection.objects.exists()


@pytest.mark.parametrize("wrong", ["", " ", ".", "..", "x" * 256])
def test_what_is_no_id_is_asked_for_again(client, talon, wrong):
    staff(client, "erase_customer")
    answer = client.post(reverse(PAGE), {"profile_id": wrong, "erase": "1"})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not Selection.objects.exists()
