"""The admin of erasures: deadline, receipt, and lifting with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_talon import privacy
from django_talon.models import CustomerProfile, Erasure, Selection
from tests.helpers import all_due, customer, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/django_talon/erasure/"


def login(client, *permissions):
    user = User.objects.create_user("op", password="secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user


def told(response):
    return [str(message) for message in response.context["messages"]]


def lift(*erasures):
    return {"action": "lift", "_selected_action": [erasure.pk for erasure in erasures]}


def test_G1_a_receipt_survives_everything(client, talon):
    login(client, "view_erasure")
    ada = customer()
    deliver_all()
    privacy.erase(ada, operator="dpo", reason="letter 7")
    deliver_all()
    all_due()
    deliver_all()
    ada.delete()
    CustomerProfile.objects.all().delete()
    Erasure.objects.update(requested_at=timezone.now() - timedelta(days=5000))
    from django_talon.outbox.purge import purge

    purge(0)
    erasure = Erasure.objects.get()
    listed = client.get(LIST).content.decode()
    url = reverse("admin:django_talon_erasure_receipt", args=[erasure.pk])
    assert f'href="{url}"' in listed
    text = client.get(url).content.decode()
    for part in (erasure.pseudonym, "dpo", "letter 7", erasure.environment, "without data"):
        assert part in text
    for moment in (erasure.first_sweep_at, erasure.second_sweep_at, erasure.confirmed_at):
        assert timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") in text
    # Found by the id, which is nowhere in it.
    found = client.get(LIST, {"q": str(ada.pk or "")}).status_code
    assert found == 200
    missing = reverse("admin:django_talon_erasure_receipt", args=[9999])
    assert told(client.get(missing, follow=True)) == ["It is not there any more."]


def test_G1_the_profiles_of_one_person_are_one_customer(client, talon):
    login(client, "view_customerprofile", "erase_customer")
    rows = [CustomerProfile(environment=name, profile_id="7") for name in ("eu", "us")]
    chosen = [str(row.pk) for row in CustomerProfile.objects.bulk_create(rows)]
    where = reverse("admin:django_talon_customerprofile_changelist")
    action = {"action": "talon_erase_customer_data", "_selected_action": chosen}
    asks = client.post(where, action, follow=True)
    assert "The data of this customer will be deleted" in asks.content.decode()
    done = client.post(asks.request["PATH_INFO"], follow=True)
    assert told(done) == ["The erasure of 1 customer is requested. The workers carry it out."]


def test_G1_an_overdue_erasure_is_red_and_can_be_listed(client, talon):
    login(client, "view_erasure")
    privacy.erase(customer())
    late, _fresh = privacy.erase(customer("bob")), privacy.erase(customer("eve"))
    Erasure.objects.filter(pk=late[0].pk).update(requested_at=timezone.now() - timedelta(days=31))
    page = client.get(LIST).content.decode()
    assert page.count('<strong class="talon-overdue">') == 1
    assert "django_talon/admin/privacy.css" in page
    chosen = client.get(LIST, {"overdue": "yes"}).context["cl"].result_list
    assert [erasure.pk for erasure in chosen] == [late[0].pk]
    receipt = client.get(reverse("admin:django_talon_erasure_receipt", args=[late[0].pk]))
    assert "overdue" in receipt.content.decode()


def test_G2_lifting_asks_for_a_reason_and_is_recorded(client, talon):
    operator = login(client, "view_erasure", "lift_erasure")
    ada, bob = customer(), customer("bob")
    [first], [second] = privacy.erase(ada), privacy.erase(bob)
    privacy.lift(bob, reason="before")
    page = client.post(LIST, lift(first, second), follow=True)
    assert first.pseudonym[:12] in page.content.decode()
    url = page.request["PATH_INFO"]
    empty = client.post(url, {"reason": "  "})
    assert empty.context["form"].errors["reason"]
    assert not Erasure.objects.get(pk=first.pk).lifted_at
    lifted, left = told(client.post(url, {"reason": "signed up again"}, follow=True))
    assert lifted == "1 erasure is lifted."
    assert left == "Left as they are, because they were lifted before: 1."
    first.refresh_from_db()
    assert (first.lifted_by, first.lifted_reason) == ("op", "signed up again")
    [entry] = LogEntry.objects.filter(user=operator)
    assert (entry.object_id, entry.change_message) == (str(first.pk), "Lifted: signed up again")
    assert not Selection.objects.exists()
    assert "answered already" in told(client.post(url, {"reason": "x"}, follow=True))[0]


def test_H4_view_only_staff_can_lift_nothing(client, talon):
    login(client, "view_erasure")
    [erasure] = privacy.erase(customer())
    assert "lift" not in [name for name, _ in client.get(LIST).context.get("actions", [])]
    client.post(LIST, lift(erasure))
    url = reverse("admin:django_talon_erasure_lift", args=["00000000-0000-4000-8000-000000000001"])
    assert client.post(url, {"reason": "x"}).status_code == 403
    for name in ("change", "delete"):
        page = reverse(f"admin:django_talon_erasure_{name}", args=[erasure.pk])
        assert client.post(page, {"post": "yes"}).status_code == 403
    erasure.refresh_from_db()
    assert erasure.lifted_at is None


def test_too_many_at_once_are_refused(client, talon, monkeypatch):
    login(client, "view_erasure", "lift_erasure")
    monkeypatch.setattr("django_talon.admin.erasures.MOST", 1)
    [first], [second] = privacy.erase(customer()), privacy.erase(customer("bob"))
    answer = client.post(LIST, lift(first, second), follow=True)
    assert told(answer) == ["Please choose at most 1 erasures at a time."]


@pytest.mark.parametrize("url", [LIST, "/admin/django_talon/customerprofile/"])
def test_H1_the_queries_of_a_list_do_not_grow_with_the_rows(client, talon, url):
    login(client, "view_erasure", "lift_erasure", "view_customerprofile", "erase_customer")
    counts = []
    for size in (100, 10_000):
        names = [f"{size}-{n}" for n in range(size)]
        Erasure.objects.bulk_create(Erasure(environment="e", pseudonym=name) for name in names)
        CustomerProfile.objects.bulk_create(
            CustomerProfile(environment="e", profile_id=name) for name in names
        )
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
