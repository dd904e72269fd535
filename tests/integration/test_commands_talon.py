"""The management commands, as an operator or a cron job runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from datetime import timedelta
from getpass import getuser
from uuid import uuid4

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.utils import OperationalError
from django.utils import timezone

from django_talon.management.commands import _customers
from django_talon.models import (
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Erasure,
    Heartbeat,
    Lane,
    OutboxRow,
)
from django_talon.outbox import clock, delivery
from django_talon.shop import Adapter, register
from django_talon.shop.registry import unregister
from example_project.shop.models import Product
from tests.helpers import all_due, cart_with, customer, deliver_all, states, wait_for
from tests.shops.models import Member

pytestmark = pytest.mark.django_db(transaction=True)


def run(capsys, name, *arguments):
    """Return what the command printed."""
    capsys.readouterr()
    call_command(name, *arguments)
    return capsys.readouterr().out


def letter(**values):
    key = "cart:shop.cart:1"
    made = {"lane": key, "aggregate": key, "kind": "mark", "uid": uuid4(), "reason": "refused"}
    return DeadLetter.objects.create(**{**made, **values})


# talon_relay


def started(settings, *arguments):
    """Start a command in a process of its own, on this test's database and sandbox.

    What it prints, errors too, is one stream.
    """
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TALON_TEST_NAME": str(connection.settings_dict["NAME"]),
        "TALON_TEST_TALON_ONE": json.dumps(settings.TALON_ONE),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "django", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_talon_relay_once_delivers_what_is_due_and_ends(capsys, talon):
    cart_with(("mug", "10.00", 1))
    cart_with(("mug", "10.00", 2))
    run(capsys, "talon_relay", "--once")
    assert states(talon) == ["open", "open"]
    assert not OutboxRow.objects.exists()
    assert Heartbeat.objects.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_talon_relay_finishes_the_call_at_hand_and_ends_with_0(settings, talon, number):
    talon.faults.add(
        "updateCustomerSessionV2", when={"first": 1}, do={"park": {"name": f"stop-{number}"}}
    )
    relay = started(settings, "talon_relay", "--pause", "0.05")
    try:
        cart_with(("mug", "10.00", 1))
        talon.wait_until_parked(f"stop-{number}", within=60)
        relay.send_signal(number)
        talon.release(f"stop-{number}")
        output, _ = relay.communicate(timeout=60)
    finally:
        relay.kill()
        relay.wait()
    assert relay.returncode == 0, output
    assert states(talon) == ["open"]
    assert not OutboxRow.objects.exists()


def test_talon_relay_outlives_a_database_that_is_away(caplog, monkeypatch, talon):
    """The database of the tests cannot be stopped, so one call of it fails here."""
    told = []

    def fail_once(seconds, threads):
        if told:
            os.kill(os.getpid(), signal.SIGTERM)
            return 0
        told.append(True)
        raise OperationalError("gone")

    monkeypatch.setattr(delivery, "drain", fail_once)
    monkeypatch.setattr("django_talon.management.commands.talon_relay.DATABASE_PAUSE", 0.01)
    before = signal.getsignal(signal.SIGTERM)
    call_command("talon_relay", "--pause", "0.01")
    assert "The relay cannot use the database (OperationalError)." in caplog.text
    assert signal.getsignal(signal.SIGTERM) is before


def test_talon_relay_says_that_delivery_is_switched_off(capsys, settings, talon):
    cart_with(("mug", "10.00", 1))
    waiting = OutboxRow.objects.count()
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    call_command("talon_relay", "--once")
    assert "'ENABLED'] is off" in capsys.readouterr().err
    assert OutboxRow.objects.count() == waiting
    assert talon.calls() == []


# talon_status


def test_talon_status_of_a_quiet_shop(capsys, talon):
    shown = run(capsys, "talon_status")
    assert shown.splitlines() == [
        "waiting            0",
        "oldest that is due nothing is due",
        "dead letters       0",
        "overdue erasures   0",
        "last sign of life  never",
        f"default            {talon.url} healthy",
        "in 24 hours        0 delivered, 0 failed, 0 ambiguous, 0 conflicts",
    ]
    found = json.loads(run(capsys, "talon_status", "--json"))
    assert found["waiting"] == found["dead_letters"] == found["overdue_erasures"] == 0
    assert found["oldest_due_age"] is found["heartbeat_age"] is None
    assert [(one["application"], one["health"]) for one in found["endpoints"]] == [
        ("default", "healthy")
    ]
    assert found["problems"] == found["last_24_hours"]["outcomes"] == []


def test_talon_status_tells_how_the_calls_ended(capsys, talon):
    talon.faults.add(
        "updateCustomerSessionV2", when={"first": 1}, phase="after_apply", do={"reset": {}}
    )
    talon.faults.add("updateCustomerSessionV2", when={"nth": 2}, do={"status": {"code": 409}})
    cart_with(("mug", "10.00", 1))
    for _ in range(3):
        delivery.drain()
        all_due()
    shown = run(capsys, "talon_status")
    assert "in 24 hours        1 delivered, 2 failed, 1 ambiguous, 1 conflicts, p95 " in shown
    assert "                   1 TalonConflict 409" in shown
    found = json.loads(run(capsys, "talon_status", "--json"))["last_24_hours"]
    assert found["error_rate"] == 0.6667
    assert {one["name"]: one["ambiguous"] for one in found["outcomes"]} == {
        "TalonConnectionError": 1,
        "TalonConflict": 0,
        "delivered": 0,
    }


def test_talon_status_ends_with_1_when_something_is_due_and_nobody_delivers(capsys, talon):
    cart_with(("mug", "10.00", 1))
    late = clock.now() - timedelta(minutes=2)
    OutboxRow.objects.update(due_at=late)
    waiting = OutboxRow.objects.count()
    problem = "Something is due and nobody delivers: start a Celery worker, or talon_relay."
    with pytest.raises(CommandError, match=problem) as failed:
        call_command("talon_status", "--json")
    assert failed.value.returncode == 1
    found = json.loads(capsys.readouterr().out)
    assert found["waiting"] == waiting
    assert found["oldest_due_age"] >= 120
    assert [one["message"] for one in found["problems"]] == [problem]
    Heartbeat.objects.create(name="worker", beat_at=late)
    with pytest.raises(CommandError, match="nobody delivers"):
        call_command("talon_status")
    delivery.beat("worker")
    assert re.search(r"last sign of life  \d+ s ago", run(capsys, "talon_status"))
    deliver_all()
    assert json.loads(run(capsys, "talon_status", "--json"))["waiting"] == 0


def test_talon_status_ends_with_1_for_dead_letters_and_sick_endpoints(capsys, talon):
    letter(replayed_at=timezone.now())
    run(capsys, "talon_status")
    letter()
    with pytest.raises(CommandError, match="Dead letters that nobody has decided about: 1"):
        call_command("talon_status")
    DeadLetter.objects.all().delete()
    talon.revoke()
    cart_with(("mug", "10.00", 1))
    delivery.drain()
    capsys.readouterr()
    with pytest.raises(CommandError, match="refuses the API key of Application “default”"):
        call_command("talon_status")
    assert f"default            {talon.url} refused TalonAuthError" in capsys.readouterr().out
    assert Endpoint.objects.count() == 1


def test_talon_status_stops_counting(capsys, talon, monkeypatch):
    monkeypatch.setattr("django_talon.outbox.vital_signs.MOST", 3)
    delivery.beat("worker")
    OutboxRow.objects.bulk_create(
        OutboxRow(application="default", lane=f"l{n}", aggregate=f"l{n}", kind="mark")
        for n in range(5)
    )
    assert "waiting            more than 2" in run(capsys, "talon_status")


def test_talon_status_says_that_delivery_is_switched_off(capsys, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    call_command("talon_status")
    assert "'ENABLED'] is off" in capsys.readouterr().err


# talon_erase


def test_G1_talon_erase_from_the_command_line(capsys, talon):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    shown = run(capsys, "talon_erase", str(ada.pk), "--yes", "--reason", "letter")
    environment = talon.url.removeprefix("http://")
    assert shown.startswith(f"Erasure of 1 customer(s) requested at {environment}; 0 left")
    for _ in range(2):
        deliver_all()
        all_due()
    erasure = Erasure.objects.get()
    assert erasure.status == "done"
    assert (erasure.operator, erasure.reason) == (f"manage.py {getuser()}", "letter")
    assert states(talon)[-1] == "cancelled"


def test_G1_talon_erase_keeps_who_did_it(capsys, talon, monkeypatch):
    run(capsys, "talon_erase", str(customer().pk), "--yes", "--operator", "dpo")
    assert Erasure.objects.get().operator == "dpo"

    def nobody():
        raise OSError

    monkeypatch.setattr(_customers, "getuser", nobody)
    run(capsys, "talon_erase", str(customer("bob").pk), "--yes")
    assert Erasure.objects.latest("pk").operator == "manage.py"


@pytest.mark.parametrize(
    ("typed", "count"), [("n\n", 0), ("\n", 0), ("", 0), ("y\n", 1), ("YES\n", 1)]
)
def test_H4_talon_erase_asks_and_names_the_environment(settings, talon, typed, count):
    ada = customer()
    process = started(settings, "talon_erase", str(ada.pk))
    printed, _ = process.communicate(typed, timeout=60)
    environment = talon.url.removeprefix("http://")
    assert f"Erase 1 customer(s) at Talon.One ({environment})? [y/N]" in printed
    assert process.returncode == (0 if count else 1)
    assert ("Nothing was erased." in printed) is not bool(count)
    assert Erasure.objects.count() == count


def test_talon_erase_of_somebody_unknown_erases_nobody(talon):
    ada = customer()
    with pytest.raises(CommandError, match=r"There is no customer 999\."):
        call_command("talon_erase", str(ada.pk), "999", "--yes")
    with pytest.raises(CommandError, match=r"There is no customer ada\."):
        call_command("talon_erase", "ada", "--yes")
    assert not Erasure.objects.exists()


def test_talon_erase_knows_every_customer_model(capsys, talon):
    member = Member.objects.create(nickname="m")
    assert "1 customer(s) requested" in run(capsys, "talon_erase", str(member.pk), "--yes")
    assert Erasure.objects.get().profile_id == str(member.pk)
    with pytest.raises(CommandError, match="There is no customer"):
        call_command("talon_erase", str(member.pk), "--yes", "--model", "auth.User")
    with pytest.raises(CommandError, match="No adapter names such a customer model"):
        call_command("talon_erase", str(member.pk), "--yes", "--model", "shop.Product")


def test_talon_erase_asks_back_where_two_models_have_the_key(capsys, talon):
    class Resellers(Adapter):
        cart = "shop.Cart"
        customer_model = Product

    ada = customer()
    Product.objects.create(pk=ada.pk, sku="twin", name="Twin", price=1)
    register(Resellers)
    try:
        with pytest.raises(CommandError, match=r"in each of auth\.User, shop\.Product"):
            call_command("talon_erase", str(ada.pk), "--yes")
        assert not Erasure.objects.exists()
        run(capsys, "talon_erase", str(ada.pk), "--yes", "--model", "auth.User")
    finally:
        unregister(Resellers)
    assert Erasure.objects.count() == 1


def test_talon_erase_without_an_application(settings):
    settings.TALON_ONE = {}
    with pytest.raises(CommandError, match="Nothing was erased. TALON_ONE does not say where"):
        call_command("talon_erase", str(customer().pk), "--yes")


# talon_export


def test_G3_talon_export_writes_the_inventory(capsys, talon, tmp_path):
    ada = customer()
    deliver_all()
    printed = json.loads(run(capsys, "talon_export", str(ada.pk)))
    assert printed["profile_id"] == str(ada.pk)
    file = tmp_path / "ada.json"
    assert run(capsys, "talon_export", str(ada.pk), "--output", str(file)) == ""
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["environments"] == printed["environments"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="File exists"):
        call_command("talon_export", str(ada.pk), "--output", str(file))


def test_talon_export_without_an_answer(talon_sandbox, talon, tmp_path):
    file = tmp_path / "ada.json"
    talon_sandbox.stop()
    try:
        with pytest.raises(CommandError, match=r"did not give the inventory \(TalonConn"):
            call_command("talon_export", str(customer().pk), "--output", str(file))
    finally:
        talon_sandbox.start()
    assert not file.exists()


def test_an_id_that_is_an_address_is_refused_in_words(talon, monkeypatch):
    from example_project.shop.talon import Shop

    monkeypatch.setattr(Shop, "profile_id", lambda self, user: "ada@example.com", raising=False)
    ada = customer()
    with pytest.raises(CommandError, match=r"Nothing was erased\. .* gave an e-mail address"):
        call_command("talon_erase", str(ada.pk), "--yes")
    with pytest.raises(CommandError, match="gave an e-mail address"):
        call_command("talon_export", str(ada.pk))


# talon_retry


def test_F4_talon_retry_puts_some_or_all_dead_letters_back(capsys, talon):
    facts = {"kind": "event", "payload": {}}
    first, second = letter(**facts), letter(**facts)
    third = letter(replayed_at=timezone.now(), **facts)
    shown = run(capsys, "talon_retry", str(first.pk), str(third.pk))
    assert shown == "In the outbox again: 1. Left as they are: 1.\n"
    assert OutboxRow.objects.get().uid == first.uid
    assert run(capsys, "talon_retry", "--all") == "In the outbox again: 1. Left as they are: 0.\n"
    assert {row.uid for row in OutboxRow.objects.all()} == {first.uid, second.uid}


def test_F4_talon_retry_of_unknown_letters_replays_nothing(talon):
    known = letter()
    with pytest.raises(CommandError, match=r"Nothing was replayed: .* 998, 999\."):
        call_command("talon_retry", str(known.pk), "999", "998")
    with pytest.raises(CommandError):
        call_command("talon_retry")
    assert not OutboxRow.objects.exists()


# talon_sandbox


def test_talon_sandbox_is_the_sandbox(settings, tmp_path):
    ready = tmp_path / "ready"
    process = started(
        settings, "talon_sandbox", "--port", "0", "--loose", "--ready-file", str(ready)
    )
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None, within=60)
        url = ready.read_text(encoding="utf-8").strip()
        assert requests.get(f"{url}/_sandbox/journal?world=x", timeout=30).json() == []
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


def test_talon_sandbox_ends_with_the_sandboxs_code():
    with pytest.raises(SystemExit) as ended:
        call_command("talon_sandbox", "--seed", "nowhere.json")
    assert ended.value.code == 4


# talon_purge


def test_F4_purge_deletes_old_records_and_nothing_that_waits(capsys):
    old = timezone.now() - timedelta(days=40)
    for outcome, moment in (("delivered", old), ("delivered", timezone.now())):
        DeliveryLog.objects.create(
            application="default", operation="x", aggregate="y", outcome=outcome, created_at=moment
        )
    waiting = letter(created_at=old)
    letter(created_at=old, replayed_at=old)
    Lane.objects.create(key="idle", served_at=old)
    Lane.objects.create(key="leased", served_at=old, token=uuid4())
    cart_with(("mug", "1.00", 1))
    rows = OutboxRow.objects.count()
    assert run(capsys, "talon_purge") == (
        "1 deliveries, 1 dead letters, 1 lanes, 0 selections, 0 evaluations, 0 codes,"
        " 0 effects emptied, 0 sessions emptied\n"
    )
    assert DeadLetter.objects.get() == waiting
    assert [lane.key for lane in Lane.objects.all()] == ["leased"]
    assert OutboxRow.objects.count() == rows
    assert run(capsys, "talon_purge", "--days", "0").startswith("1 deliveries, 0 dead letters")
