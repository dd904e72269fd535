"""The actions on the admin of the shop's own customers: erase, and download the inventory."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import reverse
from django.utils import timezone

from django_talon.admin import TalonCustomerAdminMixin
from django_talon.admin.customers import GUARDED, actions_found, add_actions, add_to
from django_talon.admin.erasing import erase_view
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeliveryLog,
    Endpoint,
    Erasure,
    OutboxRow,
    Selection,
)
from django_talon.outbox import delivery
from django_talon.shop import Adapter, register
from django_talon.shop.registry import unregister
from django_talon.signals import pre_send
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


def confirm(client, changelist, *customers, reason="", query="", **more):
    """Choose customers, follow to the page that asks, and say yes."""
    page = client.post(changelist + query, chosen(ERASE, *customers, **more))
    assert page.status_code == 302, told(client.get(page["Location"], follow=True))
    return client.post(page["Location"], {"reason": reason}, follow=True)


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


@isolate_apps("tests.shops")
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
    page = client.post(changelist + "?is_staff__exact=0", chosen(ERASE, ada), follow=True)
    assert page.status_code == 200
    assert "admin/django_talon/erase_confirmation.html" in [part.name for part in page.templates]
    text = page.content.decode()
    host = talon.url.removeprefix("http://")
    assert "Environment <strong>Live Europe</strong>" in text
    assert f"Application <strong>default</strong> ({host})" in text
    assert "about 90 seconds later" in text
    assert "after 30 days" in text
    assert f"<code>{ada.pk}</code>" in text
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
    page = client.post(changelist, chosen(ERASE, customer()), follow=True)
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
        answer = confirm(client, changelist, ada, reason="asked by letter")
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
    assert (erasure.profile_id, erasure.customer) == ("", "")
    assert erasure.confirmed_at is not None
    assert [call["status"] for call in talon.calls(DELETE)] == [204, 204]
    assert states(talon)[-1] == "cancelled"
    assert not talon.state()["profiles"][str(ada.pk)]["attributes"]
    assert talon.violations() == []
    [entry] = LogEntry.objects.filter(user=operator)
    assert entry.object_id == str(ada.pk)
    assert entry.object_repr == f"user {ada.pk}"
    assert "Requested erasure in Talon.One" in entry.change_message


def test_G2_after_the_erasure_no_id_and_no_attribute_is_sent(client, changelist, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    confirm(client, changelist, ada)
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


def test_G1_from_the_page_of_a_customer(client, talon, operator):
    ada = customer()
    page = client.get(reverse("admin:auth_user_change", args=[ada.pk])).content.decode()
    url = reverse("admin:auth_user_talon_erase_one", args=[ada.pk])
    assert f'href="{url}"' in page
    assert f'href="{reverse("admin:auth_user_talon_inventory", args=[ada.pk])}"' in page
    assert "ada" in client.get(url).content.decode()
    assert "The erasure of 1 customer is requested." in told(client.post(url, follow=True))[0]
    assert Erasure.objects.get().profile_id == str(ada.pk)
    gone = client.post(reverse("admin:auth_user_talon_erase_one", args=[9999]), follow=True)
    assert told(gone) == ["It is not there any more."]


def test_H4_the_pages_of_a_customer_need_their_permission(client, talon):
    client.force_login(staff())
    ada = customer()
    page = client.get(reverse("admin:auth_user_change", args=[ada.pk])).content.decode()
    assert "talon-erase" not in page
    assert "talon-inventory" not in page
    for name in ("talon_erase_one", "talon_inventory", "talon_inventory_json"):
        url = reverse(f"admin:auth_user_{name}", args=[ada.pk])
        assert client.get(url).status_code == 403
        assert client.post(url).status_code == 403
    assert not Erasure.objects.exists()
    assert talon.calls() == []


def test_G1_a_selection_belongs_to_its_operator_and_is_answered_once(
    client, changelist, talon, operator
):
    page = client.post(changelist, chosen(ERASE, customer()))["Location"]
    client.force_login(staff("other", "erase_customer", "view_inventory"))
    for name in ("erase", "inventories", "inventories_zip"):
        url = (
            page
            if name == "erase"
            else reverse(f"admin:auth_user_talon_{name}", args=[Selection.objects.get().pk])
        )
        assert "answered already" in told(client.post(url, follow=True))[0]
    assert not Erasure.objects.exists()
    client.force_login(operator)
    Selection.objects.update(created_at=timezone.now() - timedelta(hours=13))
    assert "too long ago" in told(client.post(page, follow=True))[0]
    Selection.objects.update(created_at=timezone.now())
    client.post(page)
    assert "answered already" in told(client.post(page, follow=True))[-1]
    assert Erasure.objects.count() == 1


def test_both_numbers_are_told(client, changelist, talon, operator):
    ada, bob, eve = customer(), customer("bob"), customer("eve")
    confirm(client, changelist, ada)
    page = client.post(changelist, chosen(ERASE, ada, bob, eve))["Location"]
    eve.delete()
    requested, left, gone = told(client.post(page, follow=True))
    assert requested.startswith("The erasure of 1 customer is requested.")
    assert left == "Left as they are, because their erasure is under way already: 1."
    assert gone == "Not erased, because the shop does not have them any more: 1."
    assert Erasure.objects.count() == 2
    assert LogEntry.objects.count() == 2


def test_the_erasures_are_linked_only_for_those_who_may_see_them(client, changelist, talon):
    client.force_login(staff("op", "erase_customer"))
    answer = confirm(client, changelist, customer())
    assert told(answer) == ["The erasure of 1 customer is requested. The workers carry it out."]


def test_an_erasure_is_kept_while_delivery_is_switched_off(
    client, changelist, talon, settings, operator
):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    confirm(client, changelist, customer())
    assert OutboxRow.objects.filter(kind="erase").count() == 1


def test_too_many_at_once_are_refused(client, changelist, talon, operator, monkeypatch):
    monkeypatch.setattr("django_talon.admin.erasing.MOST", 1)
    monkeypatch.setattr("django_talon.admin.inventories.MOST", 1)
    both = customer(), customer("bob")
    for action in (ERASE, DOWNLOAD):
        answer = client.post(changelist, chosen(action, *both), follow=True)
        assert told(answer)[0].startswith("Please choose at most 1 customers at a time")
    assert not Erasure.objects.exists()


def test_no_more_are_looked_at_than_are_too_many(client, changelist, operator, talon, monkeypatch):
    from example_project.shop.talon import Shop

    looked = []
    monkeypatch.setattr("django_talon.admin.erasing.MOST", 1)
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: looked.append(user) or str(user.pk))
    made = [customer(name) for name in ("ada", "bob", "eve", "dan")]
    looked.clear()
    client.post(changelist, chosen(ERASE, *made))
    assert len(looked) == 2


def test_without_an_application_nothing_is_promised(client, changelist, settings, operator):
    settings.TALON_ONE = {}
    ada = customer()
    erase = client.post(changelist, chosen(ERASE, ada), follow=True)
    problem = (
        "TALON_ONE does not say where to erase data: the application 'default' has neither"
        " BASE_URL nor ENVIRONMENT. Set one of them; no key is needed for it."
    )
    assert told(erase) == [problem]
    one = client.get(reverse("admin:auth_user_talon_erase_one", args=[ada.pk]), follow=True)
    assert told(one) == [problem]
    download = client.post(changelist, chosen(DOWNLOAD, ada), follow=True)
    assert told(download) == ["TALON_ONE names no Application to ask."]
    page = client.get(reverse("admin:auth_user_talon_inventory", args=[ada.pk]), follow=True)
    assert told(page) == ["TALON_ONE names no Application to ask."]
    assert not Erasure.objects.exists()


def test_G1_all_of_a_list_across_its_pages(client, changelist, talon, operator):
    User.objects.bulk_create([User(username=f"u{n}") for n in range(120)])
    url = changelist + "?is_staff__exact=0"
    [one] = User.objects.filter(username="u7")
    page = client.post(url, chosen(ERASE, one, select_across="1"), follow=True)
    text = page.content.decode()
    assert "these 120 customers" in text
    assert "and 100 more" in text
    assert len(page.content) < 20_000
    assert text.count('type="hidden"') <= 2
    answer = client.post(page.request["PATH_INFO"], follow=True)
    assert "The erasure of 120 customers is requested." in told(answer)[0]
    assert Erasure.objects.count() == OutboxRow.objects.filter(kind="erase").count() == 120
    assert LogEntry.objects.count() == 120
    assert not Selection.objects.exists()


@pytest.mark.parametrize("atomic", [True, False])
def test_G1_the_statements_of_an_erasure_do_not_grow_with_the_people(
    client, changelist, talon, operator, atomic, monkeypatch
):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    counts = []
    for size in (1, 10, 400):
        made = User.objects.bulk_create([User(username=f"{size}-{n}") for n in range(size)])
        page = client.post(changelist, chosen(ERASE, *made))["Location"]
        with CaptureQueriesContext(connection) as queries:
            client.post(page)
        # Django writes many new rows in several statements, where a database bounds them.
        plain = [q["sql"] for q in queries if "INSERT" not in q["sql"]]
        counts.append(len(plain))
    assert counts[1] == counts[2] < 50
    assert Erasure.objects.count() == 411


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
        answer = client.post(changelist, chosen(action, ada), follow=True)
        [text] = told(answer)
        assert "gave an e-mail address" in text
        assert "ada@" not in text
    assert not Erasure.objects.exists()


def test_another_site_without_our_lists_gets_the_report_without_a_link(rf, talon):
    from django.contrib.messages.storage.cookie import CookieStorage

    class CustomerAdmin(TalonCustomerAdminMixin, UserAdmin):
        pass

    model_admin = CustomerAdmin(User, admin.AdminSite("backstage"))
    ada = customer()
    request = rf.post("/")
    request.user = User.objects.create_superuser("root")
    request._messages = CookieStorage(request)
    request._dont_enforce_csrf_checks = True
    # No URL configuration leads to this site, so its address is asked for, not visited.
    assert "talon_erase_one" in [
        str(url.name).removeprefix("auth_user_") for url in model_admin.urls
    ]
    erase_view(model_admin, request, object_id=str(ada.pk))
    [message] = request._messages
    assert str(message) == "The erasure of 1 customer is requested. The workers carry it out."


def test_a_customer_of_several_adapters_is_erased_once(client, changelist, talon, operator):
    @register
    class Second(Adapter):
        cart = "shop.Cart"
        cart_customer = "user"
        cart_items = "items"

    try:
        confirm(client, changelist, customer())
    finally:
        unregister(Second)
    assert Erasure.objects.count() == 1


# Looking and downloading


def body(response):
    return b"".join(response.streaming_content)


def page_of(user, name="inventory"):
    return reverse(f"admin:auth_user_talon_{name}", args=[user.pk])


def test_G3_one_customer_is_a_page_to_read(client, changelist, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    answer = client.post(changelist, chosen(DOWNLOAD, ada), follow=True)
    assert answer.request["PATH_INFO"] == page_of(ada)
    text = answer.content.decode()
    for title in ("Profile", "Coupons", "Referrals", "Loyalty", "Giveaways", "Achievements"):
        assert f"<h3>{title}</h3>" in text
    assert "<h3>Customer sessions</h3>" in text
    assert CustomerSession.objects.get().integration_id in text
    assert "{&#x27;" not in text
    assert "no-store" in answer["Cache-Control"]
    [entry] = LogEntry.objects.filter(user=operator)
    assert (entry.object_id, entry.object_repr) == (str(ada.pk), f"user {ada.pk}")
    assert entry.change_message == "Looked at the inventory from Talon.One"
    history = client.get(reverse("admin:auth_user_history", args=[ada.pk])).content.decode()
    assert "Looked at the inventory" in history


def test_G3_one_customer_is_a_json_file_with_all_six_sections(client, talon, operator):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    answer = client.get(page_of(ada, "inventory_json"))
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
    [session] = found["held_by_this_shop"]["sessions"]
    assert session["state"] == "open"
    [call] = talon.calls("getCustomerInventory")
    assert set(call["query"]) >= set(sections)
    [entry] = LogEntry.objects.filter(user=operator)
    assert entry.object_id == str(ada.pk)
    assert entry.change_message == "Downloaded the inventory from Talon.One"


def test_G3_several_customers_are_a_zip(client, changelist, talon, operator):
    ada, bob = customer(), customer("bob")
    deliver_all()
    page = client.post(changelist, chosen(DOWNLOAD, ada, bob), follow=True)
    text = page.content.decode()
    assert f'href="{page_of(ada)}"' in text
    assert not LogEntry.objects.exists()
    assert talon.calls("getCustomerInventory") == []
    answer = client.get(page.context["download"])
    assert answer["Content-Disposition"] == 'attachment; filename="inventories.zip"'
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        names = [f"inventory-{user.pk}.json" for user in (ada, bob)]
        assert sorted(archive.namelist()) == sorted(names)
        ids = {json.loads(archive.read(name))["profile_id"] for name in names}
    assert ids == {str(ada.pk), str(bob.pk)}
    assert LogEntry.objects.filter(user=operator).count() == 2


def test_G3_a_zip_names_those_of_whom_no_answer_came(client, changelist, talon, operator):
    ada, bob = customer(), customer("bob")
    deliver_all()
    talon.faults.add(
        match={"operation": "getCustomerInventory"},
        when={"first": 1},
        do={"status": {"code": 503}},
    )
    page = client.post(changelist, chosen(DOWNLOAD, ada, bob), follow=True)
    answer = client.get(page.context["download"])
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        assert archive.namelist() == [f"inventory-{bob.pk}.json", "not-there.json"]
        [missing] = json.loads(archive.read("not-there.json"))
    assert missing["customer"] == str(ada.pk)
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(bob.pk)]


@pytest.mark.parametrize("name", ["inventory", "inventory_json"])
def test_G3_no_transaction_is_open_while_talon_one_is_asked(
    client, talon, operator, name, monkeypatch
):
    ada = customer()
    deliver_all()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    seen = []

    def note(**_):
        seen.append(connection.in_atomic_block)

    pre_send.connect(note)
    try:
        assert client.get(page_of(ada, name)).status_code == 200
    finally:
        pre_send.disconnect(note)
    assert seen == [False]


def test_G3_a_customer_whom_talon_one_does_not_know_is_said(client, talon, operator):
    bob = customer("bob")
    OutboxRow.objects.all().delete()
    found = json.loads(body(client.get(page_of(bob, "inventory_json"))))
    [environment] = found["environments"]
    assert found["environments"][environment] is None
    assert found["unknown_in"] == [environment]
    assert "Talon.One does not know this customer." in client.get(page_of(bob)).content.decode()
    # An answer 404 to this question says nothing about the endpoint.
    assert not Endpoint.objects.exclude(health="healthy").exists()


def test_G3_no_answer_is_a_message_and_no_look_is_recorded(client, talon_sandbox, talon, operator):
    ada = customer()
    talon_sandbox.stop()
    try:
        for name in ("inventory", "inventory_json"):
            answer = client.get(page_of(ada, name), follow=True)
            assert told(answer) == [
                "Talon.One did not give the inventory (TalonConnectionError). Nothing was shown."
            ]
    finally:
        talon_sandbox.start()
    assert not LogEntry.objects.exists()
    assert set(DeliveryLog.objects.values_list("outcome", flat=True)) == {"TalonConnectionError"}


# Customers who are no longer users


def test_G1_G3_a_customer_whose_account_is_gone(client, talon):
    operator = staff("op", "erase_customer", "view_inventory", "view_customerprofile")
    client.force_login(operator)
    ada, bob = customer(), customer("bob")
    deliver_all()
    pk = ada.pk
    ada.delete()
    profiles = reverse("admin:django_talon_customerprofile_changelist")
    for term in (str(pk), f"auth.user:{pk}"):
        found = client.get(profiles, {"q": term}).context["cl"].result_list
        assert [profile.profile_id for profile in found] == [str(pk)]
    profile = CustomerProfile.objects.get(profile_id=str(pk))
    url = reverse("admin:django_talon_customerprofile_talon_inventory", args=[profile.pk])
    assert "<h3>Profile</h3>" in client.get(url).content.decode()
    answer = confirm(client, profiles, profile)
    assert "The erasure of 1 customer is requested." in told(answer)[0]
    for _ in range(2):
        deliver_all()
        all_due()
    assert Erasure.objects.get().status == "done"
    left = CustomerProfile.objects.values_list("profile_id", flat=True)
    assert set(left) == {str(bob.pk), str(operator.pk)}
    assert not talon.state()["profiles"][str(pk)]["attributes"]
    assert {entry.object_repr for entry in LogEntry.objects.all()} == {
        f"customer profile {profile.pk}"
    }
