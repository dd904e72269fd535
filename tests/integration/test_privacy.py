"""Erasures beyond the admin: several environments, guests, the log, and lifting."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from django.core.management import call_command
from django.urls import reverse

import django_talon
from django_talon import privacy
from django_talon.admin.checks import check_admin
from django_talon.client import TalonConnectionError
from django_talon.conf import TalonConfigurationError
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Erasure,
    OutboxRow,
)
from django_talon.models.privacy import pseudonym
from django_talon.outbox import delivery, lanes
from django_talon.shop import registry
from django_talon.signals import customer_erased
from example_project.shop.models import Profile
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


def test_G1_an_erasure_waits_while_no_application_has_its_environment(talon, settings, caplog):
    ada = customer()
    deliver_all()
    here = settings.TALON_ONE
    privacy.erase(ada)
    settings.TALON_ONE = {**here, "ENVIRONMENT": "new"}
    deliver_both_sweeps()
    old = talon.url.removeprefix("http://")
    assert f"An erasure waits for the environment {old!r}" in caplog.text
    assert talon.calls("deleteCustomerData") == []
    assert Erasure.objects.get().status == "requested"
    settings.TALON_ONE = here
    all_due()
    deliver_both_sweeps()
    assert Erasure.objects.get().status == "done"


def test_G1_an_environment_that_this_process_cannot_call_is_erased_by_the_workers(
    two_environments, settings
):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    CustomerSession.objects.update(application="us")
    complete = settings.TALON_ONE
    web = {**complete["APPLICATIONS"], "us": {**complete["APPLICATIONS"]["us"], "API_KEY": ""}}
    settings.TALON_ONE = {**complete, "APPLICATIONS": web}
    erasures = privacy.erase(ada)
    assert sorted(erasure.environment for erasure in erasures) == ["eu", "us"]
    deliver_both_sweeps()
    assert Erasure.objects.get(environment="eu").status == "done"
    assert Erasure.objects.get(environment="us").status == "requested"
    # What the other erasure still has to cancel is known by the id.
    assert CustomerSession.objects.get().profile_id == str(ada.pk)
    settings.TALON_ONE = complete
    all_due()
    deliver_both_sweeps()
    assert set(Erasure.objects.values_list("status", flat=True)) == {"done"}
    assert not CustomerSession.objects.exclude(profile_id="").exists()


def test_G1_no_erasure_is_requested_where_an_environment_is_not_known(talon, settings):
    ada = customer()
    deliver_all()
    nowhere = {"us": {"API_KEY": "k"}}
    settings.TALON_ONE = {**settings.TALON_ONE, "APPLICATIONS": nowhere}
    with pytest.raises(TalonConfigurationError, match="'us' has neither BASE_URL nor ENVIRONMENT"):
        privacy.erase(ada)
    assert not Erasure.objects.exists()
    assert CustomerProfile.objects.get().fingerprint


def test_G3_the_inventory_has_a_part_for_each_environment(two_environments):
    ada = customer()
    deliver_all()
    found = privacy.inventory(ada)
    assert set(found["environments"]) == {"eu", "us"}
    assert found["environments"]["eu"]["profile"]["integrationId"] == str(ada.pk)
    assert found["unknown_in"] == ["us"]


def without(settings, alias, **changed):
    """Let one of the Applications be as it must not be."""
    every = settings.TALON_ONE["APPLICATIONS"]
    every = {**every, alias: {**every[alias], **changed}}
    settings.TALON_ONE = {**settings.TALON_ONE, "APPLICATIONS": every}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"BASE_URL": "http://127.0.0.1:9"}, "TalonConnectionError"),
        ({"API_KEY": "worn-out"}, "TalonAuthError 401"),
        ({"API_KEY": ""}, "The Talon.One application 'us' lacks BASE_URL or API_KEY."),
    ],
)
def test_G3_an_inventory_says_which_environment_did_not_answer(
    two_environments, settings, changed, why
):
    ada = customer()
    deliver_all()
    without(settings, "us", **changed)
    found = privacy.inventory(ada)
    assert list(found["environments"]) == ["eu"]
    assert list(found["unanswered"]) == ["us"]
    assert found["unanswered"]["us"].startswith(why)
    assert found["held_by_this_shop"]["profiles"]


def test_G3_where_nobody_answers_there_is_no_inventory(two_environments, settings):
    without(settings, "us", BASE_URL="http://127.0.0.1:9")
    without(settings, "outlet", BASE_URL="http://127.0.0.1:9")
    settings.TALON_ONE = {**settings.TALON_ONE, "BASE_URL": "http://127.0.0.1:9"}
    with pytest.raises(TalonConnectionError):
        privacy.inventory(customer())


def test_G3_the_file_and_the_page_say_which_environment_did_not_answer(
    two_environments, settings, admin_client, capsys
):
    ada, bob = customer(), customer("bob")
    deliver_all()
    without(settings, "us", API_KEY="worn-out")
    call_command("talon_export", str(ada.pk), "--operator", "dpo")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["unanswered"] == {"us": "TalonAuthError 401"}
    assert printed.err == "Not complete: no answer came from us (TalonAuthError 401).\n"
    [about] = set(DeliveryLog.objects.filter(aggregate__contains="inv").values_list("aggregate"))
    assert about == (f"inventory of {pseudonym(str(ada.pk))[:12]} for dpo",)
    page = admin_client.get(reverse("admin:auth_user_talon_inventory", args=[ada.pk]))
    assert "No answer came from here (TalonAuthError 401)" in page.content.decode()
    chosen = {"_selected_action": [ada.pk, bob.pk]}
    action = {"action": "talon_download_customer_inventory", **chosen}
    both = admin_client.post(reverse("admin:auth_user_changelist"), action, follow=True)
    packed = b"".join(admin_client.get(both.context["download"]).streaming_content)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        missing = json.loads(archive.read("not-there.json"))
        inside = json.loads(archive.read(f"inventory-{ada.pk}.json"))
    assert inside["unanswered"] == {"us": "TalonAuthError 401"}
    why = {"environment": "us", "why": "TalonAuthError 401"}
    assert missing == [{"customer": str(user.pk), **why} for user in (ada, bob)]


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


@pytest.mark.parametrize("what", ["profile", "cart", "event", "order"])
def test_G2_an_erasure_after_a_step_is_rendered(talon, monkeypatch, what):
    """What was read before the customer was erased is not sent after it."""
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    erased, take = [], lanes.acquire

    def take_late(key, *given, **more):
        if key.startswith(lanes.PROFILE) and not erased:
            erased.append(privacy.erase(ada))
            assert delivery.serve_lane(OutboxRow.objects.get(kind="erase").lane)
            assert talon.calls("deleteCustomerData")
        return take(key, *given, **more)

    if what == "profile":
        Profile.objects.create(user=ada, tier="gold")
    elif what == "cart":
        cart.items.update(quantity=2)
        django_talon.mark(cart)
    elif what == "event":
        django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    else:
        order_of(cart)
    monkeypatch.setattr(lanes, "acquire", take_late)
    deliver_both_sweeps()
    deliver_both_sweeps()
    assert erased
    judged = [v for v in talon.violations() if v["monitor"] in {"overlap", "write-after-erase"}]
    assert judged == []
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {}
    assert not OutboxRow.objects.exists()
    assert not DeadLetter.objects.exists()


def test_G2_what_an_erased_person_buys_later_says_nothing_of_them(talon):
    """A promotion is looked up, an order is placed and reconciled: nobody is named."""
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    deliver_all()
    privacy.erase(ada)
    deliver_both_sweeps()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    assert django_talon.evaluate(cart).total
    deliver_all()
    assert django_talon.evaluate(cart, fresh=True).total
    order_of(cart)
    deliver_all()
    call_command("talon_reconcile", "--ask-talon")
    deliver_all()
    assert [v for v in talon.violations() if v["monitor"] == "write-after-erase"] == []
    assert {body.get("profileId") for body in session_calls(talon)} == {""}
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {}
    assert not DeadLetter.objects.exists()
