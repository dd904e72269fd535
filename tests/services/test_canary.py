"""The canary: one person's address and name, and the key, are looked for in every place."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django.urls import reverse

import django_talon
from django_talon import privacy
from django_talon.client import TalonError
from django_talon.health import health as health_view
from django_talon.models import DeadLetter, Erasure, OutboxRow
from example_project.shop.models import Order
from example_project.shop.talon import Shop
from tests.helpers import UPDATE, all_due, cart_with, customer, deliver_all, order_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

MAIL = "canary.7c1f@songbird.example"
NAME = "Canaria-7c1f"
STREET = "7c1f Cage Lane"
WORDS = (MAIL, NAME, STREET)
SEED = {
    "attributes": {
        "CustomerProfile": {"email": "string", "name": "string"},
        "CustomerSession": {"street": "string"},
        "Event": {"mail": "string"},
    },
    "eventTypes": ["newsletter"],
    "additionalCosts": ["shipping"],
}


@pytest.fixture
def ada(talon, monkeypatch):
    """A customer whose attributes the shop has allowed to leave; so they do go to Talon.One."""
    talon.reset(seed=SEED)
    monkeypatch.setattr(
        Shop, "customer_attributes", {"email": "email", "name": "first_name"}, raising=False
    )
    monkeypatch.setattr(Shop, "order_attributes", {"street": "street"}, raising=False)
    ada = customer()
    ada.email, ada.first_name = MAIL, NAME
    ada.save()
    return ada


def rows():
    """Return everything that our tables and the admin's log hold, as text."""
    found = []
    for model in [*apps.get_app_config("django_talon").get_models(), LogEntry]:
        found += [f"{model.__name__} {row}" for row in model._default_manager.values()]
    return "\n".join(found)


def lists(client):
    """Return every list page of ours."""
    pages = []
    for model in admin.site._registry:
        if model._meta.app_label == "django_talon":
            page = client.get(reverse(f"admin:django_talon_{model._meta.model_name}_changelist"))
            pages.append(page.content.decode())
    assert len(pages) > 5
    return "\n".join(pages)


def rows_seen_by_others(viewer):
    """Return the page of each row, as those see it who may not see what would be sent."""
    pages = []
    for model in admin.site._registry:
        if model._meta.app_label == "django_talon":
            name = f"admin:django_talon_{model._meta.model_name}_change"
            for row in model._default_manager.order_by("-pk")[:20]:
                answer = viewer.get(reverse(name, args=[row.pk]), follow=True)
                pages.append(answer.content.decode())
    assert len(pages) > 10
    return "\n".join(pages)


@pytest.fixture
def viewer():
    """Somebody who may view everything but payloads and inventories."""
    user = User.objects.create_user("viewer", is_staff=True)
    views = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set(views.exclude(codename__in=["view_payload", "view_inventory"]))
    found = Client()
    found.force_login(user)
    return found


def everybodys(client, bob):
    """Run what is about everybody or about another; return what it shows."""
    for what in ("customers", "carts", "orders"):
        call_command("talon_backfill", what, "--since", "1d", "--yes")
    for more in ([], ["--ask-talon"]):
        call_command("talon_reconcile", *more)
    call_command("talon_export", str(bob.pk))
    with suppress(SystemExit, CommandError):
        call_command("talon_check")
    shopper = Client()
    shopper.force_login(bob)
    cart_with(("mug", "10.00", 1), user=bob)
    asked = shopper.get("/talon/evaluate/")
    chosen = {"action": "talon_download_customer_inventory", "_selected_action": [bob.pk]}
    exported = client.post(reverse("admin:auth_user_changelist"), chosen, follow=True)
    health = RequestFactory().get("/health/")
    health.user = bob
    seen = [asked, exported, health_view(health)]
    return "\n".join(answer.content.decode(errors="replace") for answer in seen)


def without(text, *words):
    for word in words:
        assert word not in text, f"{word} in ...{text[max(0, text.find(word) - 200) :][:400]}"


def refuse(talon, operation, code):
    """Let Talon.One repeat what it was sent in its refusal, as servers do."""
    echo = {
        "message": f"cannot take {MAIL}",
        "StatusCode": code,
        "errors": [
            {
                "title": "invalid attribute",
                "details": f"{NAME} of {STREET}, {MAIL}",
                "source": {"pointer": "/attributes/email"},
            }
        ],
    }
    talon.faults.add(
        match={"operation": operation},
        when={"first": 1},
        do={"status": {"code": code, "body": echo}},
    )


def test_G6_the_canary_is_nowhere(talon, talon_sandbox, ada, client, viewer, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    client.force_login(User.objects.create_superuser("root"))
    bob = customer("bob")

    # A cart, an order and an event, delivered: Talon.One has what the shop allows, and no more.
    cart = cart_with(("mug", "10.00", 2), user=ada)
    django_talon.evaluate(cart)
    deliver_all()
    order = order_of(cart)
    Order.objects.filter(pk=order.pk).update(name=NAME, street=STREET)
    django_talon.track("newsletter", {"mail": MAIL}, customer=ada)
    deliver_all()
    known = talon.state()["profiles"][str(ada.pk)]["attributes"]
    assert known == {"email": MAIL, "name": NAME}
    without(lists(client), *WORDS, talon.key)

    # Refusals that repeat the person's data, an outage, and a row of theirs that waits.
    for code in (400, 500):
        for operation in ("updateCustomerProfileV2", "trackEventV2", UPDATE):
            refuse(talon, operation, code)
        ada.first_name = f"{NAME}-{code}"
        ada.save()
        django_talon.track("newsletter", {"mail": MAIL}, customer=ada)
        another = cart_with(("tea", "3.00", 1), user=ada)
        django_talon.evaluate(another)
        deliver_all()
        all_due()
        deliver_all()
        talon.faults.clear()
    assert DeadLetter.objects.exists()
    for letter in DeadLetter.objects.all():
        without(f"{letter} {letter.reason} {letter.pointers} {letter!r}", *WORDS, talon.key)
    without(lists(client) + rows_seen_by_others(viewer), *WORDS, talon.key)
    refuse(talon, "getCustomerInventory", 400)
    with pytest.raises(TalonError) as refused:
        privacy.inventory(ada)
    without(f"{refused.value} {refused.value!r} {refused.value.args}", *WORDS, talon.key)
    django_talon.track("newsletter", {"mail": MAIL}, customer=ada)
    assert MAIL in rows()  # a row that waits holds what the shop allows, until it is delivered

    # What another person is told.
    told = json.dumps(privacy.inventory(bob))
    page = client.get(reverse("admin:auth_user_talon_inventory", args=[bob.pk]))
    without(told + page.content.decode(), *WORDS, talon.key)

    without(everybodys(client, bob), *WORDS, talon.key)
    deliver_all()

    # Erased: by the operator's page, with the commands looking on.
    client.post(reverse("admin:auth_user_talon_erase_one", args=[ada.pk]), {"reason": "letter"})
    without(rows(), *WORDS, talon.key)
    for _ in range(2):
        deliver_all()
        all_due()
    assert Erasure.objects.get().status == "done"
    assert not OutboxRow.objects.exists()
    call_command("talon_status", "--json")
    call_command("talon_retry", "--all")
    call_command("talon_erase", str(ada.pk), "--dry-run")
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {}
    without(rows(), *WORDS, talon.key)
    erasure = Erasure.objects.get()
    receipt = client.get(reverse("admin:django_talon_erasure_receipt", args=[erasure.pk]))
    without(lists(client) + receipt.content.decode(), *WORDS, talon.key)
    printed = capsys.readouterr()
    without(caplog.text + printed.out + printed.err, *WORDS, talon.key)
