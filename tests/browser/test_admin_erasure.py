"""An operator erases customers and reads an inventory: list, pages, report, proof, receipt.

With ``TALON_PICTURES=docs/img`` the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from django_talon.models import CustomerSession, Erasure
from example_project.shop.models import Profile
from tests.helpers import all_due, cart_with, customer, deliver_all, order_of, states

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CUSTOMERS = "/admin/auth/user/"
WIDE, PHONE = 1280, 390


@pytest.fixture
def admin(browser, live_server):
    """The browser, logged in at the admin."""
    User.objects.create_superuser("root", password="secret")
    browser.size(WIDE)
    browser.open(live_server.url + "/admin/")
    browser.type("#id_username", "root")
    browser.type("#id_password", "secret")
    browser.click("[type=submit]")
    browser.wait("document.querySelector('#user-tools') !== null")
    return browser


@pytest.fixture
def picture(admin, tmp_path):
    """Take a picture of the page as it is now, of one width."""

    def take(name, width=WIDE):
        folder = Path(os.environ.get("TALON_PICTURES") or tmp_path)
        admin.size(width)
        admin.picture(folder / f"{name}.png")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        overflow = admin.js("document.documentElement.scrollWidth - innerWidth")
        admin.size(WIDE)
        assert overflow <= 0, f"{name} is {overflow} pixels too wide at {width}"

    return take


def choose(admin, live_server, action, *users):
    admin.open(live_server.url + CUSTOMERS)
    for user in users:
        admin.click(f"input.action-select[value='{user.pk}']")
    admin.choose("select[name=action]", action)
    admin.click("button[name=index]")


def choose_erasure(admin, live_server, *users):
    choose(admin, live_server, "talon_erase_customer_data", *users)
    admin.wait("document.querySelector('.talon-erase-confirmation') !== null")


def test_G1_erase_with_confirmation_in_a_browser(admin, live_server, talon, picture):
    ada, bob = customer(), customer("bob")
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()

    choose_erasure(admin, live_server, ada)
    page = admin.text()
    host = talon.url.removeprefix("http://")
    assert f"Environment {host}" in page
    assert f"Application default ({host})" in page
    assert "ada" in admin.js("document.querySelector('#customers').innerText")
    assert "bob" not in admin.js("document.querySelector('#customers').innerText")
    assert "Talon.One keeps the customer's id, without data." in page
    picture("erase-confirmation")
    picture("erase-confirmation-phone", PHONE)

    admin.click(".cancel-link")
    admin.wait("document.querySelector('#changelist') !== null")
    assert not Erasure.objects.exists()

    choose_erasure(admin, live_server, ada)
    admin.type("#id_reason", "asked by letter")
    admin.click("#content [type=submit]")
    admin.wait("document.querySelector('.messagelist') !== null")
    assert "The erasure of 1 customer is requested." in admin.text()
    assert Erasure.objects.get().reason == "asked by letter"

    for _ in range(2):
        deliver_all()
        all_due()
    admin.click(".messagelist a")
    admin.wait("document.querySelector('#result_list .field-receipt') !== null")
    listed = admin.js("document.querySelector('#result_list tbody').innerText")
    assert "deleted, and the proof is stored" in listed
    assert "attributes: 0" in listed
    assert states(talon) == ["open", "cancelled"]
    assert talon.state()["profiles"][str(bob.pk)]

    admin.click("#result_list .field-receipt a")
    admin.wait("document.querySelector('#receipt') !== null")
    assert Erasure.objects.get().pseudonym in admin.text()
    picture("erasure-receipt")
    picture("erasure-receipt-phone", PHONE)


def test_G1_a_guest_is_erased_by_id_in_a_browser(admin, live_server, talon, picture):
    cart_with(("mug", "10.00", 1))
    deliver_all()
    guest = CustomerSession.objects.get().profile_id
    admin.open(live_server.url + "/admin/django_talon/customerprofile/")
    admin.click(".object-tools a")
    admin.wait("document.querySelector('.talon-by-id [name=erase]') !== null")
    admin.type("#id_profile_id", guest)
    picture("customer-by-id")
    admin.click("[name=erase]")
    admin.wait("document.querySelector('.talon-erase-confirmation #id_reason') !== null")
    assert guest in admin.js("document.querySelector('#customers').innerText")
    admin.click("#content [type=submit]")
    admin.wait("document.querySelector('.messagelist') !== null")
    assert "The erasure of 1 customer is requested." in admin.text()
    assert Erasure.objects.get().profile_id == guest


def test_G2_lift_with_a_reason_in_a_browser(admin, live_server, talon):
    from django_talon import privacy

    [erasure] = privacy.erase(customer())
    admin.open(live_server.url + "/admin/django_talon/erasure/")
    admin.click(f"input.action-select[value='{erasure.pk}']")
    admin.choose("select[name=action]", "lift")
    admin.click("button[name=index]")
    admin.wait("document.querySelector('.talon-lift-confirmation') !== null")
    admin.click("#content [type=submit]")
    assert admin.js("document.querySelector('#id_reason:invalid') !== null")
    admin.type("#id_reason", "signed up again")
    admin.click("#content [type=submit]")
    admin.wait("document.querySelector('.messagelist') !== null")
    assert "1 erasure is lifted." in admin.text()
    assert Erasure.objects.get().lifted_by == "root"


def test_G3_an_inventory_to_read_in_a_browser(admin, live_server, talon, picture):
    ada, bob = customer(), customer("bob")
    Profile.objects.create(user=ada, tier="gold")
    order_of(cart_with(("mug", "10.00", 2), user=ada))
    cart_with(("tea", "4.50", 1), user=ada)
    deliver_all()
    Profile.objects.filter(user=bob).delete()

    admin.open(f"{live_server.url}{CUSTOMERS}{ada.pk}/change/")
    admin.click(".field-talon_inventory_link a")
    admin.wait("document.querySelector('.talon-inventory') !== null")
    page = admin.text()
    for title in ("Profile", "Coupons", "Referrals", "Loyalty", "Giveaways", "Achievements"):
        assert title in admin.js("document.querySelector('.talon-place').innerText")
    assert "gold" in page
    assert "closed" in admin.js("document.querySelector('#held').innerText")
    assert '{"' not in page
    picture("inventory")
    picture("inventory-phone", PHONE)

    unknown = User.objects.bulk_create([User(username="nobody")])[0]
    admin.open(f"{live_server.url}{CUSTOMERS}{unknown.pk}/talon-inventory/")
    assert "Talon.One does not know this customer." in admin.text()

    choose(admin, live_server, "talon_download_customer_inventory", ada, bob)
    admin.wait("document.querySelector('.talon-inventories #download') !== null")
    assert admin.js("document.querySelector('#download').href").endswith("/zip/")
