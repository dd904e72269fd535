"""Erasures beyond the admin: several environments, guests, the log, and lifting."""

from __future__ import annotations

import json

import pytest

import django_talon
from django_talon import privacy
from django_talon.admin.checks import check_admin
from django_talon.models import CustomerSession, DeadLetter, Erasure, OutboxRow
from django_talon.shop import registry
from django_talon.signals import customer_erased
from tests.helpers import all_due, cart_with, customer, deliver_all, order_of, session_calls

pytestmark = pytest.mark.django_db(transaction=True)


def deliver_both_sweeps():
    deliver_all()
    all_due()
    deliver_all()


@pytest.fixture
def two_environments(talon, settings):
    here = {key: settings.TALON_ONE[key] for key in ("BASE_URL", "API_KEY")}
    settings.TALON_ONE = {
        **settings.TALON_ONE,
        **here,
        "ENVIRONMENT": "eu",
        "APPLICATIONS": {
            "outlet": {
                "BASE_URL": talon.url,
                "API_KEY": talon.server.key(talon.world, "outlet"),
                "ENVIRONMENT": "eu",
            },
            "us": {
                "BASE_URL": talon.url,
                "API_KEY": talon.server.key(f"{talon.world}-us"),
                "ENVIRONMENT": "us",
            },
        },
    }
    return talon


def test_G1_one_erasure_for_each_environment(two_environments):
    ada = customer()
    deliver_all()
    erasures = privacy.erase(ada, operator="op")
    assert sorted(erasure.environment for erasure in erasures) == ["eu", "us"]
    deliver_both_sweeps()
    assert set(Erasure.objects.values_list("environment", "status")) == {
        ("eu", "done"),
        ("us", "done"),
    }
    talon = two_environments
    assert len(talon.calls("deleteCustomerData")) == 2
    assert len(talon.server.calls(f"{talon.world}-us", "deleteCustomerData")) == 2


def test_G3_the_inventory_has_a_part_for_each_environment(two_environments):
    ada = customer()
    deliver_all()
    found = privacy.inventory(ada)
    assert set(found["environments"]) == {"eu", "us"}
    assert found["environments"]["eu"]["profile"]["integrationId"] == str(ada.pk)
    assert found["unknown_in"] == ["us"]


def test_G1_a_guest_is_erased_by_the_id_at_talon_one(talon):
    cart_with(("mug", "10.00", 1))
    deliver_all()
    guest = CustomerSession.objects.get().profile_id
    assert guest.startswith("guest-")
    assert privacy.inventory(guest)["unknown_in"] == []
    privacy.erase(guest)
    deliver_both_sweeps()
    assert Erasure.objects.get().status == "done"
    assert CustomerSession.objects.get().state == "cancelled"


def test_G1_an_erasure_tells_the_shop(talon):
    told = []

    def note(erasure, **_):
        told.append(erasure.status)

    customer_erased.connect(note)
    try:
        privacy.erase(customer())
        deliver_both_sweeps()
    finally:
        customer_erased.disconnect(note)
    assert told == ["done"]


def test_G1_what_waits_about_the_person_is_forgotten_and_an_order_still_closes(talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    key = f"customer:auth.user:{ada.pk}"
    DeadLetter.objects.create(
        kind="event",
        lane=key,
        aggregate=key,
        uid="00000000-0000-4000-8000-000000000001",
        payload={"type": "newsletter", "profile_id": str(ada.pk)},
    )
    order_of(cart)
    privacy.erase(ada)
    assert not OutboxRow.objects.filter(kind="event").exists()
    assert not DeadLetter.objects.exists()
    deliver_both_sweeps()
    assert session_calls(talon)[-1]["state"] == "closed"
    assert talon.calls("trackEventV2") == []
    assert Erasure.objects.get().status == "done"
    assert talon.violations() == []


def test_G2_lifting_lets_the_customer_be_known_again(talon):
    ada = customer()
    privacy.erase(ada)
    deliver_both_sweeps()
    with pytest.raises(ValueError, match="needs a reason"):
        privacy.lift(ada, reason=" ")
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    assert not session_calls(talon)[-1].get("profileId")
    assert privacy.lift(ada, reason="came back") == 1
    erasure = Erasure.objects.get()
    assert (erasure.lifted_reason, erasure.status) == ("came back", "done")
    assert erasure.lifted_at is not None
    cart_with(("mug", "10.00", 2), user=ada)
    deliver_all()
    assert session_calls(talon)[-1]["profileId"] == str(ada.pk)
    assert privacy.lift(ada, reason="again") == 0


def test_an_erasure_is_written_to_the_log_that_outlives_the_database(talon, settings, tmp_path):
    log = tmp_path / "erasures.jsonl"
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_LOG": str(log)}
    ada, bob = customer(), customer("bob")
    privacy.erase(ada, operator="op")
    privacy.erase(bob, operator="op")
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [entry["profile_id"] for entry in entries] == [str(ada.pk), str(bob.pk)]
    assert {entry["operator"] for entry in entries} == {"op"}
    assert {entry["environment"] for entry in entries} == {talon.url.removeprefix("http://")}


def test_a_check_warns_where_the_actions_found_no_admin(settings, monkeypatch):
    assert check_admin() == []
    written = {name: a for name, a in registry._adapters.items() if "BagShop" in name}
    monkeypatch.setattr(registry, "_adapters", written)
    [warning] = check_admin()
    assert warning.id == "django_talon.W004"
    assert "TalonCustomerAdminMixin" in warning.hint
    settings.TALON_ONE = {**settings.TALON_ONE, "ADMIN_ACTIONS": False}
    assert check_admin() == []
