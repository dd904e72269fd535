"""Sessions in the admin: timeline, effects, what would be sent, dry run, send now."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_talon import checkout, privacy
from django_talon.conf import application
from django_talon.models import (
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Evaluation,
    Lane,
    OutboxRow,
)
from django_talon.outbox import clock, endpoint
from django_talon.outbox.preview import preview
from example_project.shop.models import Profile
from tests.helpers import (
    UPDATE,
    cart_with,
    customer,
    deliver_all,
    order_of,
    session_calls,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    OutboxRow.objects.all().delete()
    return user


def page_of(session, act=""):
    name = f"admin:django_talon_customersession_{act or 'change'}"
    return reverse(name, args=[session.pk])


def told(response):
    return [str(message) for message in response.context["messages"]]


def delivered_cart(*lines, user=None):
    cart = cart_with(*(lines or [("mug", "10.00", 2)]), user=user)
    deliver_all()
    return cart, CustomerSession.objects.get(cart=f"cart:shop.cart:{cart.pk}")


def exact(text):
    return json.loads(text, parse_float=Decimal)


def everything():
    """All that a question without a trace must leave as it is."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (CustomerSession, Evaluation, OutboxRow, DeadLetter, EffectRecord)
    ]


# What would be sent


def test_C8_the_admin_shows_what_would_be_sent_and_sends_nothing(client, root, talon):
    cart, session = delivered_cart()
    cart.items.update(quantity=3)  # no signal: Talon.One has 2
    before, calls = everything(), len(talon.calls())
    shown = client.post(page_of(session, "payload"))
    body = exact(shown.context["body"])
    assert body["customerSession"]["cartItems"][0]["quantity"] == 3
    assert session.integration_id in shown.content.decode()
    assert (everything(), len(talon.calls())) == (before, calls)
    assert LogEntry.objects.get().change_message == "Looked at what would be sent"
    # It is what is then sent.
    client.post(page_of(session, "send"))
    sent = talon.calls(UPDATE)[-1]["body"]
    assert sent == body


def test_C8_the_command_prints_what_would_be_sent(talon, capsys):
    cart, session = delivered_cart()
    before, calls = everything(), len(talon.calls())
    call_command("talon_preview", "shop.Cart", str(cart.pk))
    out, err = capsys.readouterr()
    assert exact(out) == talon.calls(UPDATE)[-1]["body"]
    assert "Talon.One has this already." in err
    assert session.integration_id in err
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    call_command("talon_preview", "auth.user", str(ada.pk))
    assert json.loads(capsys.readouterr().out) == {"attributes": {"tier": "gold"}}
    OutboxRow.objects.all().delete()
    assert (everything(), len(talon.calls())) == (before, calls)
    with pytest.raises(CommandError, match=r"No adapter names 'shop.product'. There are: auth"):
        call_command("talon_preview", "shop.product", "1")
    with pytest.raises(CommandError, match="Only carts and orders can be asked about"):
        call_command("talon_preview", "auth.user", str(ada.pk), "--dry-run")


def test_C8_the_command_asks_dry(talon, capsys):
    cart, _session = delivered_cart()
    before = everything()
    call_command("talon_preview", "shop.cart", str(cart.pk), "--dry-run")
    out, err = capsys.readouterr()
    assert "subtotal 20.00, additional costs 4.90" in err
    assert isinstance(json.loads(out), list)
    assert everything() == before
    assert talon.calls(UPDATE)[-1]["query"]["dry"] == "true"
    talon.faults.add(UPDATE, do={"status": {"code": 400}})
    with pytest.raises(CommandError, match=r"Talon.One refused it \(400\)"):
        call_command("talon_preview", "shop.cart", str(cart.pk), "--dry-run")


def test_C8_it_says_why_nothing_would_be_sent(talon, settings):
    gone = "cart:shop.cart:999"
    assert preview(gone).note == "It is gone from the shop."
    empty = cart_with()
    assert "is empty" in preview(f"cart:shop.cart:{empty.pk}").note
    cart, _session = delivered_cart()
    order = order_of(cart)
    assert preview(f"order:shop.order:{order.pk}").body["customerSession"]["state"] == "closed"
    deliver_all()
    assert "was ordered" in preview(f"cart:shop.cart:{cart.pk}").note
    assert "session is over" in preview(f"order:shop.order:{order.pk}").note
    order.status = "cancelled"
    order.save()
    assert preview(f"order:shop.order:{order.pk}").body == {
        "customerSession": {"state": "cancelled"}
    }
    deliver_all()
    assert "nothing to cancel" in preview(f"order:shop.order:{order.pk}").note
    ada = customer()
    privacy.erase(ada)
    assert "erased" in preview(f"customer:auth.user:{ada.pk}").note
    settings.TALON_ONE = {**settings.TALON_ONE, "GUESTS": "off"}
    other = cart_with(("mug", "10.00", 1))
    assert "Guests are not sent" in preview(f"cart:shop.cart:{other.pk}").note
    settings.TALON_ONE = {**settings.TALON_ONE, "SYNC_ORDERS_SINCE": "2999-01-01"}
    old = order_of(cart_with(("mug", "10.00", 1)))
    assert "SYNC_ORDERS_SINCE" in preview(f"order:shop.order:{old.pk}").note


def test_C8_a_cart_of_another_customer_would_get_a_new_session(talon):
    cart, session = delivered_cart(user=customer())
    cart.user = customer("bob")
    cart.save()
    found = preview(session.cart)
    assert "a new one opened" in found.note
    assert found.integration_id != session.integration_id


# Dry run and send now


def test_H2_a_dry_run_is_shown_and_stores_nothing(client, root, talon):
    cart, session = delivered_cart()
    checkout.evaluate(cart, enter=["WELCOME10"])
    deliver_all()
    before, state = everything(), talon.state()
    shown = client.post(page_of(session, "dry-run".replace("-", "_")))
    assert shown.status_code == 200
    assert str(shown.context["answer"].subtotal) == "20.00"
    assert everything() == before
    assert talon.state() == state
    assert talon.calls(UPDATE)[-1]["query"]["dry"] == "true"
    assert LogEntry.objects.get().change_message == "Asked Talon.One dry"


def test_H2_a_dry_run_says_what_went_wrong(client, root, talon):
    cart, session = delivered_cart()
    talon.faults.add(UPDATE, do={"status": {"code": 400}})
    failed = client.post(page_of(session, "dry_run"), follow=True)
    assert told(failed)[0].startswith("Talon.One refused it (400).")
    endpoint.pause(application("default"), "op", "")
    paused = client.post(page_of(session, "dry_run"), follow=True)
    assert told(paused) == ["An operator paused the calls to this Application."]
    cart.items.update(quantity=0)
    cart.delete()
    gone = client.post(page_of(session, "dry_run"), follow=True)
    assert told(gone) == ["It is gone from the shop."]


def test_H2_send_now_sends_even_what_seems_unchanged(client, root, talon):
    _cart, session = delivered_cart()
    count = len(session_calls(talon))
    done = client.post(page_of(session, "send"), follow=True)
    assert told(done) == ["The session was sent to Talon.One."]
    assert len(session_calls(talon)) == count + 1
    assert not OutboxRow.objects.exists()
    assert LogEntry.objects.get().change_message == "Sent now"


def test_H2_send_now_says_why_it_waits_or_failed(client, root, talon, settings):
    cart, session = delivered_cart()
    Lane.objects.filter(key=session.cart).update(blocked_until=clock.now() + timezone.timedelta(1))
    assert (
        "It waits in the outbox: a worker is at it"
        in told(client.post(page_of(session, "send"), follow=True))[0]
    )
    Lane.objects.update(blocked_until=None)
    endpoint.pause(application("default"), "op", "")
    assert (
        "its Application is resting" in told(client.post(page_of(session, "send"), follow=True))[0]
    )
    endpoint.resume(application("default"))
    talon.faults.add(UPDATE, do={"status": {"code": 400}})
    assert told(client.post(page_of(session, "send"), follow=True))[0].startswith("It failed:")
    talon.faults.clear()
    order_of(cart)
    deliver_all()
    nothing = client.post(page_of(session, "send"), follow=True)
    assert told(nothing) == ["There was nothing to send."]
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    off = client.post(page_of(session, "send"), follow=True)
    assert told(off) == ["It waits in the outbox: TALON_ONE['ENABLED'] is off."]


def test_H2_calls_are_made_outside_transactions_under_ATOMIC_REQUESTS(client, root, talon):
    _cart, session = delivered_cart()
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        # The guard of the suite fails the test if a call is made inside one.
        assert client.post(page_of(session, "send")).status_code == 302
        assert client.post(page_of(session, "dry_run")).status_code == 200
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert DeliveryLog.objects.filter(session_id=session.integration_id).count() == 3


@pytest.mark.parametrize(
    ("act", "permission"),
    [
        ("payload", "view_payload"),
        ("dry_run", "dry_run_customersession"),
        ("send", "send_customersession"),
    ],
)
def test_H4_each_act_on_a_session_has_a_permission_of_its_own(client, talon, act, permission):
    _cart, session = delivered_cart()
    staff = User.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    staff.user_permissions.add(Permission.objects.get(codename="view_customersession"))
    count = len(talon.calls())
    assert f"talon-{act.replace('_', '-')}" not in client.get(page_of(session)).content.decode()
    assert client.post(page_of(session, act)).status_code == 403
    assert client.get(page_of(session, act)).status_code == 405
    assert len(talon.calls()) == count
    staff.user_permissions.add(Permission.objects.get(codename=permission))
    assert f"talon-{act.replace('_', '-')}" in client.get(page_of(session)).content.decode()
    assert client.post(page_of(session, act)).status_code in {200, 302}


def test_H4_a_dry_run_shows_the_request_only_to_those_who_may_see_it(client, talon):
    _cart, session = delivered_cart()
    staff = User.objects.create_user("staff", is_staff=True)
    codenames = ["view_customersession", "dry_run_customersession"]
    staff.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(staff)
    shown = client.post(page_of(session, "dry_run"))
    assert shown.context["body"] == ""
    assert "cartItems" not in shown.content.decode()


# The page


def test_a_session_tells_its_story(client, root, talon):
    cart, session = delivered_cart()
    talon.faults.add(UPDATE, do={"status": {"code": 503}}, when={"first": 1})
    order = order_of(cart)
    deliver_all()
    Lane.objects.update(blocked_until=None)
    OutboxRow.objects.update(due_at=clock.now())
    deliver_all()
    line = order.lines.get()
    line.quantity = 5
    line.save()
    deliver_all()
    shown = client.get(page_of(session))
    story = [moment.what for moment in shown.context["timeline"]]
    assert story[0] == "made"
    assert "sent: open" in story
    assert "closed failed: TalonServerError 503" in story
    assert story[-2:] == ["sent: closed", "edited in the shop after the close"]
    page = shown.content.decode()
    assert reverse("admin:shop_order_change", args=[order.pk]) in page
    assert "Timeline" in page


def test_the_page_costs_the_same_queries_however_long_the_story(client, root, talon):
    _cart, session = delivered_cart()

    def queries():
        with CaptureQueriesContext(connection) as seen:
            assert client.get(page_of(session)).status_code == 200
        return len(seen)

    def fill(count):
        DeliveryLog.objects.bulk_create(
            DeliveryLog(
                application="default",
                operation="o",
                aggregate=session.cart,
                outcome="delivered",
                session_id=session.integration_id,
                state=("open", "closed")[number % 2],
            )
            for number in range(count)
        )
        EffectRecord.objects.bulk_create(
            EffectRecord(session=session, state="closed", effect_type="x", effect="{}")
            for _ in range(count)
        )

    fill(100)
    queries()
    few = queries()
    fill(1_000)
    assert queries() == few
