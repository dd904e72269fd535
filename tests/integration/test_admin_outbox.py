"""The read-only lists: what waits, what failed, and why."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_talon import privacy
from django_talon.conf import application
from django_talon.models import (
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Erasure,
    Lane,
    OutboxRow,
    Progress,
)
from django_talon.outbox.replay import replay
from tests.helpers import all_due, cart_with, customer, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)

SOON = timedelta(minutes=5)
LEFT = (
    "Left as they are, because they were replayed or discarded before, or there was no time for"
    " more: 1."
)
LISTS = [
    "outboxrow",
    "deadletter",
    "deliverylog",
    "endpoint",
    "customersession",
    "erasure",
    "progress",
]


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    forget_users()
    return user


def forget_users():
    """Staff are customers too, so making one is news; here it is in the way."""
    OutboxRow.objects.all().delete()


def page_of(name):
    return reverse(f"admin:django_talon_{name}_changelist")


def row(number=1, **values):
    key = f"cart:shop.cart:{number}"
    made = {"lane": key, "aggregate": key, "kind": "mark", "application": "default", **values}
    return OutboxRow.objects.create(**made)


def letter(number=1, **values):
    key = f"cart:shop.cart:{number}"
    made = {
        "lane": key,
        "aggregate": key,
        "kind": "mark",
        "application": "default",
        "uid": uuid4(),
        "status": 400,
        "operation": "updateCustomerSessionV2",
        "reason": "Talon.One refused it (400).",
        "pointers": [["/customerSession/cartItems/0/price", "Bad price"]],
        **values,
    }
    return DeadLetter.objects.create(**made)


def fill(count):
    """Make rows of every list."""
    for number in range(count):
        key = f"cart:shop.cart:{number}"
        row(number)
        Lane.objects.create(key=key, blocked_until=timezone.now() + SOON, why="backoff")
        letter(number)
        DeliveryLog.objects.create(
            application="default", operation="o", aggregate=key, outcome="delivered"
        )
        Endpoint.objects.create(key=f"default-{number}", application="default", base_url="http://x")
        CustomerSession.objects.create(application="default", cart=key, profile_id=str(number))
        Erasure.objects.create(environment="e", pseudonym=f"{number:064}", proof={"attributes": 0})
        Progress.objects.create(name=f"run {number}", counts={"sent": number, "failed": 1})


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_queries_however_many_rows_it_has(client, root, name, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ADMIN_BANNER": False}  # it is kept for a while
    fill(2)
    client.get(page_of(name))  # content types and such are cached now
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert client.get(page_of(name)).context["cl"].result_count == 2
    fill_more = 40
    for model in apps.get_app_config("django_talon").get_models():
        model.objects.all().delete()
    fill(fill_more)
    with CaptureQueriesContext(connection) as many:
        assert client.get(page_of(name)).context["cl"].result_count == fill_more
    assert len(many) == len(few)


@pytest.mark.parametrize("name", LISTS)
def test_H4_nobody_adds_changes_or_deletes(client, root, name):
    fill(1)
    model = client.get(page_of(name)).context["cl"].model
    pk = model.objects.get().pk
    there = reverse(f"admin:django_talon_{name}_change", args=[pk])
    assert client.get(there).status_code == 200
    assert client.post(there, {}).status_code == 403
    assert client.get(reverse(f"admin:django_talon_{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:django_talon_{name}_delete", args=[pk])).status_code == 403
    page = client.post(page_of(name), {"action": "delete_selected", "_selected_action": [pk]})
    assert model.objects.count() == 1
    assert page.status_code in {200, 302}


@pytest.mark.parametrize("name", LISTS)
def test_H4_staff_see_a_list_with_its_view_permission_only(client, name):
    staff = User.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(page_of(name)).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename=f"view_{name}"))
    assert client.get(page_of(name)).status_code == 200


# Why it waits


def reason_shown(client):
    [shown] = client.get(page_of("outboxrow")).context["cl"].result_list
    admin = client.get(page_of("outboxrow")).context["cl"].model_admin
    return admin.why_it_waits(shown)


def test_a_change_that_waits_says_why(client, root, talon, settings):
    waiting = row(due_at=timezone.now() - SOON)
    assert reason_shown(client) == "due; no worker has taken it up yet"
    OutboxRow.objects.update(due_at=timezone.now() + SOON)
    assert reason_shown(client) == "not due yet: more changes may follow"
    lane = Lane.objects.create(key=waiting.lane, blocked_until=timezone.now() + SOON, why="hold")
    assert reason_shown(client).startswith("a call may still be under way at Talon.One (next try: ")
    lane.token, lane.lease_until = uuid4(), timezone.now() + SOON
    lane.save()
    assert reason_shown(client) == "a worker is at it"
    endpoint = Endpoint.objects.create(
        key=application("default").endpoint,
        application="default",
        base_url=talon.url,
        health="refused",
    )
    assert reason_shown(client) == "refused: the API key is not accepted"
    endpoint.until = timezone.now() + SOON
    endpoint.save()
    assert "(next try: " in reason_shown(client)
    OutboxRow.objects.update(schema=99)
    assert "newer release" in reason_shown(client)
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    assert reason_shown(client) == "TALON_ONE['ENABLED'] is off"


def test_the_endpoint_of_an_old_key_is_no_reason(client, root, talon):
    row(due_at=timezone.now() - SOON)
    Endpoint.objects.create(
        key="default-old", application="default", base_url=talon.url, health="refused"
    )
    assert reason_shown(client) == "due; no worker has taken it up yet"


def test_why_a_real_outage_keeps_a_cart_waiting(client, root, talon_sandbox, talon):
    talon_sandbox.stop()
    try:
        cart = cart_with(("mug", "10.00", 1))
        deliver_all()
    finally:
        talon_sandbox.start()
    shown = client.get(page_of("outboxrow")).content.decode()
    assert f"cart:shop.cart:{cart.pk}" in shown
    assert "waiting to try again (next try: " in shown
    log = client.get(page_of("deliverylog")).content.decode()
    assert "TalonConnectionError" in log


# Dead letters


def replay_by_hand(client, *letters):
    return client.post(
        page_of("deadletter"),
        {
            "action": "replay",
            "_selected_action": [found.pk for found in letters],
            "talon_confirm": "yes",
        },
        follow=True,
    )


def told(response):
    return [str(message) for message in response.context["messages"]]


def test_the_progress_of_a_run_is_shown(client, root):
    Progress.objects.create(name="backfill customers default", counts={"sent": 9, "failed": 1})
    page = client.get(page_of("progress")).content.decode()
    assert "backfill customers default" in page
    assert "failed: 1, sent: 9" in page


def test_what_failed_says_why_without_values(client, root):
    letter(payload={"type": "signup", "attributes": {"name": "Ada Lovelace"}})
    listed = client.get(page_of("deadletter")).content.decode()
    assert "Talon.One refused it (400)." in listed
    assert "/customerSession/cartItems/0/price Bad price" in listed
    detail = client.get(
        reverse("admin:django_talon_deadletter_change", args=[DeadLetter.objects.get().pk])
    )
    assert "Lovelace" not in listed + detail.content.decode()


def test_F4_one_dead_letter_is_delivered_after_the_repair(client, root, talon):
    cart = cart_with(("mug", "10.00", 1))
    talon.faults.add("updateCustomerSessionV2", do={"status": {"code": 400}})
    deliver_all()
    dead = DeadLetter.objects.get()
    talon.faults.clear()
    assert told(replay_by_hand(client, dead)) == ["1 dead letter is in the outbox again."]
    [again] = OutboxRow.objects.all()
    assert (again.lane, again.aggregate, again.kind, again.payload, again.uid) == (
        dead.lane,
        dead.aggregate,
        dead.kind,
        dead.payload,
        dead.uid,
    )
    deliver_all()
    assert CustomerSession.objects.get(cart=f"cart:shop.cart:{cart.pk}").state == "open"
    [entry] = LogEntry.objects.all()
    assert (entry.user, entry.change_message) == (root, "Replayed")
    dead.refresh_from_db()
    assert dead.replayed_at is not None


def test_F4_replay_leaves_what_was_replayed_and_tells_both_numbers(client, root):
    first, second = letter(1), letter(2, replayed_at=timezone.now())
    assert told(replay_by_hand(client, first, second)) == [
        "1 dead letter is in the outbox again.",
        LEFT,
    ]
    assert OutboxRow.objects.count() == 1
    # Somebody else was faster: the letter in hand still looks fresh.
    assert replay([first]) == 0
    assert told(replay_by_hand(client, first)) == [LEFT]


def test_H4_replay_needs_a_permission_of_its_own(client):
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_deadletter"))
    client.force_login(staff)
    forget_users()
    dead = letter()
    assert 'value="replay"' not in client.get(page_of("deadletter")).content.decode()
    replay_by_hand(client, dead)
    assert not OutboxRow.objects.exists()
    staff.user_permissions.add(Permission.objects.get(codename="replay_deadletter"))
    forget_users()
    replay_by_hand(client, dead)
    assert OutboxRow.objects.count() == 1


def test_G1_an_erasure_that_was_refused_goes_on_after_its_replay(client, root, talon):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    talon.faults.add("deleteCustomerData", do={"status": {"code": 400}})
    privacy.erase(ada)
    deliver_all()
    assert Erasure.objects.get().status == "failed"
    talon.faults.clear()
    replay_by_hand(client, DeadLetter.objects.get())
    assert Erasure.objects.get().status == "requested"
    for _ in range(2):
        deliver_all()
        all_due()
    assert Erasure.objects.get().status == "done"


# Erasures


def test_erasures_show_the_hash_and_are_found_by_the_id(client, root, talon):
    ada, bob = customer("ada"), customer("bob")
    for user in (ada, bob):
        privacy.erase(user, operator="op")
    page = page_of("erasure")
    found = client.get(page, {"q": f" {ada.pk} "}).context["cl"].result_list
    erasure = Erasure.objects.get(profile_id=str(ada.pk))
    assert list(found) == [erasure]
    by_hash = client.get(page, {"q": erasure.pseudonym[:12]}).context["cl"].result_list
    assert list(by_hash) == [erasure]
    assert len(client.get(page, {"q": ""}).context["cl"].result_list) == 2
    Erasure.objects.update(profile_id="secret-id")
    detail = reverse("admin:django_talon_erasure_change", args=[erasure.pk])
    shown = client.get(page).content.decode() + client.get(detail).content.decode()
    assert "secret-id" not in shown
    assert erasure.pseudonym in shown
