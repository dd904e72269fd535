"""An operator erases a customer: list, action, confirmation page, report, proof."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from django_talon.models import Erasure
from tests.helpers import all_due, cart_with, customer, deliver_all, states

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CUSTOMERS = "/admin/auth/user/"


@pytest.fixture
def admin(browser, live_server):
    """The browser, logged in at the admin."""
    User.objects.create_superuser("root", password="secret")
    browser.open(live_server.url + "/admin/")
    browser.type("#id_username", "root")
    browser.type("#id_password", "secret")
    browser.click("[type=submit]")
    browser.wait("document.querySelector('#user-tools') !== null")
    return browser


def choose_erasure(admin, live_server, user):
    admin.open(live_server.url + CUSTOMERS)
    admin.click(f"input.action-select[value='{user.pk}']")
    admin.choose("select[name=action]", "talon_erase_customer_data")
    admin.click("button[name=index]")
    admin.wait("document.querySelector('.talon-erase-confirmation') !== null")


def test_G1_erase_with_confirmation_in_a_browser(admin, live_server, talon):
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
    admin.wait("location.pathname === '/admin/django_talon/erasure/'")
    listed = admin.js("document.querySelector('#result_list tbody').innerText")
    assert "deleted, and the proof is stored" in listed
    assert "attributes: 0" in listed
    assert states(talon) == ["open", "cancelled"]
    assert talon.state()["profiles"][str(bob.pk)]
