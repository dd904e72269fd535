"""The actions on the admin of the shop's own customers: erase, and download the inventory."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from django_talon.admin import TalonCustomerAdminMixin
from django_talon.admin.customers import GUARDED, actions_found, add_actions, add_to
from django_talon.models import DeliveryLog, Endpoint, Erasure, OutboxRow
from django_talon.outbox import delivery
from django_talon.shop import Adapter, register
from django_talon.shop.registry import unregister
from tests.helpers import all_due, cart_with, customer, deliver_all, session_calls, states

pytestmark = pytest.mark.django_db(transaction=True)

ERASE = "talon_erase_customer_data"
DOWNLOAD = "talon_download_customer_inventory"
DELETE = "deleteCustomerData"


@pytest.fixture
def changelist():
    return reverse("admin:auth_user_changelist")


def staff(name="op", *permissions):
    user = User.objects.create_user(name, password="secret", is_staff=True)
    codenames = ["view_user", "change_user", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def operator(client):
    user = staff("op", "erase_customer", "view_inventory", "view_erasure")
    client.force_login(user)
    return user


def chosen(action, *customers, **more):
    return {"action": action, "_selected_action": [user.pk for user in customers], **more}


def told(response):
    return [str(message) for message in response.context["messages"]]


# Where the actions are


def test_own_actions_stay_and_ours_are_added_once():
    class Own(UserAdmin):
        actions = ("greet",)

        def greet(self, request, queryset): ...

    model_admin = Own(User, admin.AdminSite())
    add_to(model_admin)
    add_to(model_admin)
    assert model_admin.actions == ["greet", *GUARDED]
    assert Own.actions == ("greet",)
    assert model_admin.check() == []


def test_actions_that_are_switched_off_stay_off():
    class Off(UserAdmin):
        actions = None

    model_admin = Off(User, admin.AdminSite())
    add_to(model_admin)
    assert model_admin.actions is None


def test_the_registered_admin_has_them_after_ready():
    assert actions_found()
    add_actions()
    assert list(admin.site._registry[User].actions).count(next(iter(GUARDED))) == 1


def test_a_proxy_of_the_customer_model_gets_them_as_well(settings):
    class Shopper(User):
        class Meta:
            proxy = True
            app_label = "shops"

    admin.site.register(Shopper)
    try:
        settings.TALON_ONE = {**settings.TALON_ONE, "ADMIN_ACTIONS": False}
        add_actions()
        assert not admin.site._registry[Shopper].actions
        settings.TALON_ONE = {**settings.TALON_ONE, "ADMIN_ACTIONS": True}
        add_actions()
        assert admin.site._registry[Shopper].actions == list(GUARDED)
    finally:
        admin.site.unregister(Shopper)


def test_the_mixin_is_for_other_sites(rf):
    class CustomerAdmin(TalonCustomerAdminMixin, UserAdmin):
        pass

    site = admin.AdminSite("backstage")
    site.register(User, CustomerAdmin)
    request = rf.get("/")
    request.user = User.objects.create_superuser("root")
    assert {ERASE, DOWNLOAD} <= set(site._registry[User].get_actions(request))


# Who may


@pytest.mark.parametrize("action", [ERASE, DOWNLOAD])
def test_H4_staff_without_the_permission_see_no_action_and_get_403(
    client, changelist, talon, action
):
    client.force_login(staff())
    ada = customer()
    assert action not in client.get(changelist).content.decode()
    response = client.post(changelist, chosen(action, ada, confirm="yes"))
    assert response.status_code == 403
    assert not Erasure.objects.exists()
    assert not LogEntry.objects.exists()
    assert talon.calls() == []


@pytest.mark.parametrize(
    ("permission", "offered", "other"),
    [("erase_customer", ERASE, DOWNLOAD), ("view_inventory", DOWNLOAD, ERASE)],
)
def test_H4_each_action_has_a_permission_of_its_own(client, changelist, permission, offered, other):
    client.force_login(staff("half", permission))
    ada = customer()
    page = client.get(changelist).content.decode()
    assert offered in page
    assert other not in page
    assert client.post(changelist, chosen(other, ada)).status_code == 403


# Erasing


def test_G1_the_confirmation_page_names_the_environment_and_nothing_happens_yet(
    client, changelist, talon, settings, operator
):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENVIRONMENT": "Live Europe", "LEASE": 60}
    ada = customer()
    page = client.post(changelist + "?is_staff__exact=0", chosen(ERASE, ada))
    assert page.status_code == 200
    assert "admin/django_talon/erase_confirmation.html" in [part.name for part in page.templates]
    text = page.content.decode()
    host = talon.url.removeprefix("http://")
    assert "Environment <strong>Live Europe</strong>" in text
    assert f"Application <strong>default</strong> ({host})" in text
    assert "about 90 seconds later" in text
    assert f"<code>{ada.pk}</code>" in text
    assert f'name="_selected_action" value="{ada.pk}"' in text
    assert f'href="{changelist}?is_staff__exact=0"' in text
    assert not Erasure.objects.exists()
    assert not LogEntry.objects.exists()


def test_G1_every_environment_and_application_is_named(client, changelist, settings, operator):
    applications = {
        alias: {"BASE_URL": f"http://{host}", "API_KEY": "k", "ENVIRONMENT": environment}
        for alias, host, environment in [
            ("de", "de.example.com", "eu"),
            ("us", "us.example.com", "us"),
            ("fr", "fr.example.com", "eu"),
        ]
    }
    settings.TALON_ONE = {"APPLICATIONS": applications}
    page = client.post(changelist, chosen(ERASE, customer()))
    assert page.context["environments"] == [
        ("eu", [("de", "de.example.com"), ("fr", "fr.example.com")]),
        ("us", [("us", "us.example.com")]),
    ]


def test_G1_down_then_up_erased_with_proof(client, changelist, talon_sandbox, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    assert states(talon) == ["open"]
    talon_sandbox.stop()
    try:
        answer = client.post(
            changelist, chosen(ERASE, ada, confirm="yes", reason="asked by letter"), follow=True
        )
        assert "The erasure of 1 customer is requested." in told(answer)[0]
        assert reverse("admin:django_talon_erasure_changelist") in told(answer)[0]
        delivery.drain()
        assert Erasure.objects.get().status == "requested"
        assert OutboxRow.objects.filter(kind="erase").count() == 1
    finally:
        talon_sandbox.start()
    all_due()
    deliver_all()
    assert Erasure.objects.get().status == "swept"
    all_due()
    deliver_all()
    erasure = Erasure.objects.get()
    assert erasure.status == "done"
    assert erasure.proof["attributes"] == 0
    assert (erasure.operator, erasure.reason) == ("op", "asked by letter")
    assert erasure.profile_id == ""
    assert erasure.confirmed_at is not None
    assert [call["status"] for call in talon.calls(DELETE)] == [204, 204]
    assert states(talon)[-1] == "cancelled"
    assert not talon.state()["profiles"][str(ada.pk)]["attributes"]
    assert talon.violations() == []
    [entry] = LogEntry.objects.filter(user=operator)
    assert entry.object_id == str(ada.pk)
    assert "Requested erasure in Talon.One" in entry.change_message


def test_G2_after_the_erasure_no_id_and_no_attribute_is_sent(client, changelist, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    client.post(changelist, chosen(ERASE, ada, confirm="yes"))
    for _ in range(2):
        deliver_all()
        all_due()
    before = len(session_calls(talon))
    cart_with(("mug", "10.00", 3), user=ada)
    deliver_all()
    [after] = session_calls(talon)[before:]
    assert not after.get("profileId")
    assert after["attributes"] == {}
    assert talon.violations() == []


def test_both_numbers_are_told(client, changelist, talon, operator):
    ada, bob = customer(), customer("bob")
    client.post(changelist, chosen(ERASE, ada, confirm="yes"), follow=True)
    answer = client.post(changelist, chosen(ERASE, ada, bob, confirm="yes"), follow=True)
    [requested, left] = told(answer)
    assert requested.startswith("The erasure of 1 customer is requested.")
    assert left == "Left as they are, because their erasure is under way already: 1."
    assert Erasure.objects.count() == 2
    assert LogEntry.objects.count() == 2


def test_the_erasures_are_linked_only_for_those_who_may_see_them(client, changelist, talon):
    client.force_login(staff("op", "erase_customer"))
    answer = client.post(changelist, chosen(ERASE, customer(), confirm="yes"), follow=True)
    assert told(answer) == ["The erasure of 1 customer is requested. The workers carry it out."]


def test_an_erasure_is_kept_while_delivery_is_switched_off(
    client, changelist, talon, settings, operator
):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    client.post(changelist, chosen(ERASE, customer(), confirm="yes"))
    assert OutboxRow.objects.filter(kind="erase").count() == 1


def test_too_many_at_once_are_refused(client, changelist, talon, operator, monkeypatch):
    monkeypatch.setattr("django_talon.admin.erasing.MOST", 1)
    monkeypatch.setattr("django_talon.admin.inventories.MOST", 1)
    both = customer(), customer("bob")
    for action in (ERASE, DOWNLOAD):
        answer = client.post(changelist, chosen(action, *both, confirm="yes"), follow=True)
        assert told(answer) == ["Please choose at most 1 customers at a time."]
    assert not Erasure.objects.exists()


def test_without_an_application_nothing_is_promised(client, changelist, settings, operator):
    settings.TALON_ONE = {}
    ada = customer()
    erase = client.post(changelist, chosen(ERASE, ada, confirm="yes"), follow=True)
    assert told(erase) == ["TALON_ONE names no Application to erase data in."]
    download = client.post(changelist, chosen(DOWNLOAD, ada), follow=True)
    assert told(download) == ["TALON_ONE names no Application to ask."]
    assert not Erasure.objects.exists()


@pytest.fixture
def ids_are_addresses():
    from example_project.shop.talon import Shop

    original = Shop.profile_id
    Shop.profile_id = lambda self, customer: f"{customer.username}@example.com"
    yield
    if "profile_id" in Shop.__dict__ and original is Adapter.profile_id:
        del Shop.profile_id
    else:
        Shop.profile_id = original


def test_an_id_that_is_an_address_is_refused_in_words(
    client, changelist, talon, operator, ids_are_addresses
):
    ada = customer()
    for action in (ERASE, DOWNLOAD):
        answer = client.post(changelist, chosen(action, ada, confirm="yes"), follow=True)
        [text] = told(answer)
        assert "gave an e-mail address" in text
        assert "ada@" not in text
    assert not Erasure.objects.exists()


def test_another_site_without_our_lists_gets_the_report_without_a_link(rf, talon):
    from django.contrib.messages.storage.cookie import CookieStorage

    class CustomerAdmin(TalonCustomerAdminMixin, UserAdmin):
        pass

    site = admin.AdminSite("backstage")
    site.register(User, CustomerAdmin)
    request = rf.post("/", {"confirm": "yes"})
    request.user = User.objects.create_superuser("root")
    request._messages = CookieStorage(request)
    action = next(iter(GUARDED))
    ada = customer()
    assert action(site._registry[User], request, User.objects.filter(pk=ada.pk)) is None
    [message] = request._messages
    assert str(message) == "The erasure of 1 customer is requested. The workers carry it out."


def test_a_customer_of_several_adapters_is_erased_once(client, changelist, talon, operator):
    @register
    class Second(Adapter):
        cart = "shop.Cart"
        cart_customer = "user"
        cart_items = "items"

    try:
        client.post(changelist, chosen(ERASE, customer(), confirm="yes"))
    finally:
        unregister(Second)
    assert Erasure.objects.count() == 1


# Downloading


def body(response):
    return b"".join(response.streaming_content)


def test_G3_one_customer_is_a_json_file_with_all_six_sections(client, changelist, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    answer = client.post(changelist, chosen(DOWNLOAD, ada))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == f'attachment; filename="inventory-{ada.pk}.json"'
    assert "no-store" in answer["Cache-Control"]
    found = json.loads(body(answer))
    assert found["profile_id"] == str(ada.pk)
    assert found["unknown_in"] == []
    [sections] = found["environments"].values()
    assert set(sections) == {
        "profile",
        "referrals",
        "coupons",
        "loyalty",
        "giveaways",
        "achievements",
    }
    assert sections["profile"]["integrationId"] == str(ada.pk)
    [call] = talon.calls("getCustomerInventory")
    assert set(call["query"]) >= set(sections)
    [entry] = LogEntry.objects.filter(user=operator)
    assert entry.object_id == str(ada.pk)
    assert entry.change_message == "Downloaded the inventory from Talon.One"


def test_G3_several_customers_are_a_zip(client, changelist, talon, operator):
    ada, bob = customer(), customer("bob")
    deliver_all()
    answer = client.post(changelist, chosen(DOWNLOAD, ada, bob))
    assert answer["Content-Disposition"] == 'attachment; filename="inventories.zip"'
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        names = [f"inventory-{user.pk}.json" for user in (ada, bob)]
        assert sorted(archive.namelist()) == sorted(names)
        ids = {json.loads(archive.read(name))["profile_id"] for name in names}
    assert ids == {str(ada.pk), str(bob.pk)}
    assert LogEntry.objects.filter(user=operator).count() == 2


def test_G3_a_customer_whom_talon_one_does_not_know_is_said_in_the_file(
    client, changelist, talon, operator
):
    answer = client.post(changelist, chosen(DOWNLOAD, customer()))
    found = json.loads(body(answer))
    [environment] = found["environments"]
    assert found["environments"][environment] is None
    assert found["unknown_in"] == [environment]
    # An answer 404 to this question says nothing about the endpoint.
    assert not Endpoint.objects.exclude(health="healthy").exists()


def test_G3_no_answer_is_a_message_and_no_look_is_recorded(
    client, changelist, talon_sandbox, talon, operator
):
    ada = customer()
    talon_sandbox.stop()
    try:
        answer = client.post(changelist, chosen(DOWNLOAD, ada), follow=True)
    finally:
        talon_sandbox.start()
    assert told(answer) == [
        "Talon.One did not give the inventory (TalonConnectionError). Nothing was downloaded."
    ]
    assert not LogEntry.objects.exists()
    assert DeliveryLog.objects.get().outcome == "TalonConnectionError"
