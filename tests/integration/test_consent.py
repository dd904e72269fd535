"""What leaves the shop of a person: what is listed, and only with consent."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

import django_talon
from django_talon.checks.adapters import check_adapters
from django_talon.models import CustomerProfile, CustomerSession, DeadLetter, OutboxRow
from example_project.shop.models import CartItem, Profile
from example_project.shop.talon import Shop
from tests import guards
from tests.helpers import (
    all_due,
    cart_with,
    customer,
    deliver_all,
    order_of,
    product,
    session_calls,
)

pytestmark = pytest.mark.django_db(transaction=True)

PROFILE = "updateCustomerProfileV2"


@pytest.fixture
def asking(talon, monkeypatch):
    """A shop that sends only those who are active."""
    monkeypatch.setattr(Shop, "may_be_sent", lambda self, user: user.is_active)
    monkeypatch.setattr(Shop, "cart_attributes", {"note": lambda cart: "gift"})
    monkeypatch.setattr(Shop, "order_attributes", {"note": lambda order: "gift"})
    names = {"CustomerSession": {"note": "string"}, "CustomerProfile": {"tier": "string"}}
    seed = {"name": "asking", "attributes": names, "eventTypes": ["viewed"]}
    talon.reset(seed={**seed, "additionalCosts": ["shipping"], "campaigns": []})
    return talon


def silent(name="ada"):
    """Make a customer who does not consent, with an attribute."""
    user = customer(name)
    User.objects.filter(pk=user.pk).update(is_active=False)
    Profile.objects.create(user=user, tier="gold")
    user.refresh_from_db()
    return user


def sent(talon):
    return json.dumps(talon.calls(), default=str)


def test_G5_by_default_no_address_name_or_email_leaves_the_shop(talon):
    assert Shop.customer_attributes == {"tier": "profile.tier"}
    ada = customer("countess")  # letters that no id of hexadecimal digits holds
    ada.first_name = "Augusta"
    ada.save()
    Profile.objects.create(user=ada, tier="gold")
    cart = cart_with(("mug", "10.00", 1), user=ada)
    django_talon.track("viewed", {}, customer=ada)
    deliver_all()
    order_of(cart)
    deliver_all()
    said = sent(talon)
    private = (guards.MAIL, guards.NAME, guards.STREET, "Augusta", ada.username, "London")
    assert [secret for secret in private if secret in said] == []
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {"tier": "gold"}


def test_G5_a_customer_who_does_not_consent_is_a_guest_without_attributes(asking):
    ada = silent()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    django_talon.track("viewed", {}, customer=ada)
    deliver_all()
    order_of(cart)
    deliver_all()
    opened, closed = session_calls(asking)
    guest = f"guest-{opened['id']}"
    assert [opened["profileId"], closed["profileId"]] == [guest, guest]
    assert [opened["attributes"], closed["attributes"]] == [{}, {}]
    assert closed["cartItems"][0]["sku"] == "mug"
    assert asking.calls(PROFILE) == asking.calls("trackEventV2") == []
    assert not CustomerProfile.objects.exists()
    assert not DeadLetter.objects.exists()
    assert not OutboxRow.objects.exists()


def test_G5_who_does_not_consent_is_not_sent_where_guests_are_not(asking, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "GUESTS": "off"}
    cart = cart_with(("mug", "10.00", 1), user=silent())
    deliver_all()
    order_of(cart)
    deliver_all()
    assert asking.calls() == []


def test_G5_consent_that_is_given_and_withdrawn(asking):
    ada = silent()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    ada.is_active = True
    ada.save()
    CartItem.objects.create(cart=cart, product=product("tea"), quantity=1)
    deliver_all()
    assert asking.state()["profiles"][str(ada.pk)]["attributes"] == {"tier": "gold"}
    assert session_calls(asking)[-1]["profileId"] == str(ada.pk)

    django_talon.track("viewed", {}, customer=ada)
    django_talon.track("viewed", {}, cart=cart)
    ada.is_active = False
    ada.save()
    deliver_all()
    assert asking.calls("trackEventV2") == []
    assert asking.state()["profiles"][str(ada.pk)]["attributes"] == {"tier": ""}
    CartItem.objects.create(cart=cart, product=product("pot"), quantity=1)
    deliver_all()
    cancelled, opened = session_calls(asking)[-2:]
    assert (cancelled["state"], opened["state"]) == ("cancelled", "open")
    assert opened["profileId"] == f"guest-{opened['id']}"
    django_talon.track("viewed", {}, cart=cart)
    deliver_all()
    [event] = asking.calls("trackEventV2")
    assert event["body"]["profileId"] == opened["profileId"]
    calls = len(asking.calls())
    ada.save()
    all_due()
    deliver_all()
    assert len(asking.calls()) == calls
    assert not DeadLetter.objects.exists()


def test_G5_backfill_and_reconcile_leave_out_who_does_not_consent(asking):
    with django_talon.paused():
        ada, bob = silent("ada"), customer("bob")
    call_command("talon_backfill", "customers", verbosity=0)
    call_command("talon_reconcile", verbosity=0)
    deliver_all()
    assert list(CustomerProfile.objects.values_list("profile_id", flat=True)) == [str(bob.pk)]
    assert str(ada.pk) not in asking.state()["profiles"]
    assert not CustomerSession.objects.exists()


PERSONAL = {
    "email": "an e-mail address",
    "eMail": "an e-mail address",
    "first_name": "a name",
    "get_full_name": "a name",
    "profile.phone_number": "a phone number",
    "profile.street": "an address",
    "profile.postcode": "an address",
    "profile.address": "an address",
    "profile.birth_date": "a date of birth",
}
HARMLESS = ("profile.tier", "is_email_verified", "email_verified", "address.country", "filename")


@pytest.mark.parametrize("listed", ["customer_attributes", "cart_attributes", "order_attributes"])
def test_W006_an_attribute_that_looks_personal(monkeypatch, listed):
    paths = {f"a{n}": path for n, path in enumerate([*PERSONAL, *HARMLESS])}
    monkeypatch.setattr(Shop, listed, {**paths, "phone": lambda row: "", "age": lambda row: 1})
    found = [check for check in check_adapters() if check.id == "django_talon.W006"]
    expected = [
        f"Shop.{listed} has {name!r}: {path!r} looks like {PERSONAL[path]}."
        for name, path in paths.items()
        if path in PERSONAL
    ]
    expected.append(f"Shop.{listed} has 'phone': 'phone' looks like a phone number.")
    assert [check.msg for check in found] == expected
    assert {check.level for check in found} == {30}


def test_W006_of_lines_and_not_of_a_truth_about_an_address(monkeypatch):
    attributes = {"engraved_for": "product.email", "active": "is_active"}
    monkeypatch.setattr(Shop, "item", {**Shop.item, "attributes": attributes})
    monkeypatch.setattr(Shop, "customer_attributes", {"mail": "is_staff"})
    found = [check.msg for check in check_adapters() if check.id == "django_talon.W006"]
    assert found == [
        "Shop.item['attributes'] has 'engraved_for': 'product.email' looks like an e-mail address."
    ]
