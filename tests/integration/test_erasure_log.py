"""`ERASURE_LOG` and its replay after a database restore; erasure when the shop deletes."""

from __future__ import annotations

import io
import json
import stat
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from django_talon import privacy
from django_talon.models import Erasure, OutboxRow
from tests.helpers import all_due, cart_with, customer, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log(talon, settings, tmp_path):
    path = tmp_path / "erasures.jsonl"
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_LOG": str(path)}
    return path


def entries(log):
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]


def entries_of(log, customer):
    lines = [line for line in log.read_bytes().splitlines() if line.endswith(b"}")]
    return [one for one in map(json.loads, lines) if one.get("profile_id") == str(customer.pk)]


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("talon_erase", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def finish():
    deliver_all()
    all_due()
    deliver_all()


def restored():
    """The backup was made before the erasures."""
    Erasure.objects.all().delete()
    OutboxRow.objects.all().delete()


def test_G4_replay_erases_again_whom_a_restored_database_has_forgotten(log):
    ada, bob, eve = customer(), customer("bob"), customer("eve")
    deliver_all()
    for one in (ada, bob, eve):
        privacy.erase(one, operator="op", reason="letter")
    finish()
    privacy.lift(eve, reason="came back")
    restored()
    privacy.erase(bob)
    with log.open("ab") as file:
        file.write(b'{"event": "requested", "environ')

    out, err = run("--replay", "--dry-run")
    assert "1 customer(s) that the database had forgotten would be erased again" in out
    assert Erasure.objects.count() == 1
    out, err = run("--replay", "--yes")
    assert out.startswith(
        "1 customer(s) that the database had forgotten erased again;"
        " 1 left, for the database knows of them; 1 left, for they were lifted;"
        " 0 left, for TALON_ONE names their environment no more; 1 bad line(s) skipped."
    )
    assert f"{log}, line 9: it is no JSON. It is skipped." in err
    again = Erasure.objects.get(profile_id=str(ada.pk))
    first = next(entry for entry in entries_of(log, ada) if entry["event"] == "requested")
    assert (again.operator, again.reason) == ("op", "letter")
    assert again.requested_at.isoformat() == first["at"]
    assert entries_of(log, ada)[-1] == first
    finish()
    assert set(Erasure.objects.values_list("status", flat=True)) == {"done"}
    # What a crash had left half written does not spoil the lines after it.
    assert run("--replay")[0].startswith("0 customer(s)")


def test_G4_what_the_log_says(log):
    ada = customer()
    privacy.erase(ada, operator="op", reason="letter")
    [entry] = entries(log)
    at = entry.pop("at")
    erasure = Erasure.objects.get()
    assert entry == {
        "event": "requested",
        "environment": erasure.environment,
        "pseudonym": erasure.pseudonym,
        "profile_id": str(ada.pk),
        "operator": "op",
        "reason": "letter",
    }
    assert at == erasure.requested_at.isoformat()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    finish()
    done = entries(log)[-1]
    assert (done["event"], done["requested"], done["operator"]) == ("done", at, "op")
    assert done["proof"] == Erasure.objects.get().proof
    assert done["proof"]["attributes"] == 0
    assert done["first_sweep"] < done["at"]
    assert str(ada.pk) not in done.values()
    privacy.lift(ada, reason="came back", operator="dpo")
    assert len(entries(log)) == 3
    assert entries(log)[-1]["event"] == "lifted"
    assert "profile_id" not in entries(log)[-1]


def test_G4_a_request_that_is_rolled_back_is_not_in_the_log(log):
    class Undone(Exception): ...

    with pytest.raises(Undone), transaction.atomic():
        privacy.erase(customer())
        raise Undone
    assert not Erasure.objects.exists()
    assert not log.exists()


def test_G4_no_deletion_before_the_log_is_on_disk(talon, log, settings, caplog):
    elsewhere = log.parent / "not" / "there"
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_LOG": str(elsewhere)}
    privacy.erase(customer())
    deliver_all()
    assert "TALON_ONE['ERASURE_LOG'] cannot be written (No such file or directory)" in caplog.text
    assert Erasure.objects.get().status == "requested"
    assert talon.calls("deleteCustomerData") == []
    elsewhere.parent.mkdir()
    all_due()
    finish()
    assert Erasure.objects.get().status == "done"
    assert [entry["event"] for entry in entries(elsewhere)] == ["requested", "done"]


def test_G4_a_replayed_erasure_is_due_by_the_deadline_of_the_first_request(log, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENVIRONMENT": "eu"}
    line = {"event": "requested", "environment": "eu", "profile_id": "1", "pseudonym": "p"}
    log.write_text(json.dumps({**line, "at": "2026-01-01T00:00:00+00:00"}), encoding="utf-8")
    run("--replay", "--yes")
    late = privacy.overdue().get()
    assert late.reason == "replayed from the erasure log"
    assert late.operator.startswith("manage.py")


def test_replay_of_a_log_with_strange_lines(log):
    log.write_text(
        "\n\nnot json\n[1]\n{}\n"
        '{"event": "requested", "environment": "", "profile_id": "1", "pseudonym": "p"}\n'
        '{"event": "lifted", "environment": "eu", "pseudonym": "p", "at": "soon"}\n'
        '{"event": "requested", "environment": "mars", "profile_id": "1", "pseudonym": "p",'
        ' "at": "2026-01-01T00:00:00+00:00"}\n',
        encoding="utf-8",
    )
    out, err = run("--replay", "--yes")
    assert "1 left, for TALON_ONE names their environment no more; 5 bad line(s) skipped" in out
    assert [line.split(", ", 1)[1] for line in err.splitlines()] == [
        "line 3: it is no JSON. It is skipped.",
        "line 4: its event is neither requested nor done nor lifted. It is skipped.",
        "line 5: its event is neither requested nor done nor lifted. It is skipped.",
        "line 6: it has no environment. It is skipped.",
        "line 7: its moment is none. It is skipped.",
    ]
    log.unlink()
    with pytest.raises(CommandError, match="Cannot read .*: No such file"):
        run("--replay")


def test_replay_without_a_log(talon):
    with pytest.raises(CommandError, match="names no file to replay"):
        run("--replay")


# Many, from a file


def test_G1_customers_from_a_file_and_by_the_id_at_talon_one(talon, tmp_path, monkeypatch):
    ada, bob = customer(), customer("bob")
    file = tmp_path / "ids.txt"
    file.write_text(f"{ada.pk}\n\n{bob.pk}\n{ada.pk}\n", encoding="utf-8")
    out, _ = run("--file", str(file), "--dry-run")
    assert out.splitlines()[1:] == [str(ada.pk), str(bob.pk)]
    assert not Erasure.objects.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ada.pk}\n"))
    assert "Erasure of 1 customer(s) requested" in run("--file", "-", "--yes")[0]
    assert "0 customer(s) requested" in run(str(ada.pk), "--yes")[0]
    assert "1 customer(s) requested" in run("guest-1", "--profile-ids", "--yes")[0]
    assert Erasure.objects.filter(profile_id="guest-1").count() == 1
    with pytest.raises(CommandError, match="Name at least one customer"):
        run("--yes")
    with pytest.raises(CommandError, match="Cannot read nowhere"):
        run("--file", "nowhere")


# Deadline


def test_G1_an_erasure_without_proof_is_overdue_after_its_deadline(talon, settings):
    privacy.erase(customer())
    assert not privacy.overdue().exists()
    Erasure.objects.update(requested_at=timezone.now() - timedelta(days=31))
    assert privacy.overdue().get().is_overdue
    out = io.StringIO()
    with pytest.raises(
        CommandError, match="Erasures of customer data that should be done by now: 1"
    ):
        call_command("talon_status", stdout=out)
    assert "overdue erasures   1" in out.getvalue()
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_DEADLINE_DAYS": 60}
    assert not privacy.overdue().exists()
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_DEADLINE_DAYS": 30}
    finish()
    assert not privacy.overdue().exists()
    assert not Erasure.objects.get().is_overdue


def test_G1_a_refused_erasure_begins_again_when_it_is_requested_again(talon):
    ada = customer()
    deliver_all()
    talon.faults.add(
        match={"operation": "deleteCustomerData"}, when={"first": 1}, do={"status": {"code": 400}}
    )
    privacy.erase(ada)
    deliver_all()
    assert Erasure.objects.get().status == "failed"
    outcome = privacy.erase_all([ada])
    assert (outcome.requested, outcome.left) == (1, 0)
    finish()
    assert Erasure.objects.get().status == "done"


def test_a_lifted_request_is_none_where_the_database_returns_no_keys(talon, monkeypatch):
    ada = customer()
    [lifted] = privacy.erase(ada)
    privacy.lift(ada, reason="a mistake")
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    [erasure] = privacy.erase(ada)
    assert erasure.pk not in (None, lifted.pk)
    assert OutboxRow.objects.filter(kind="erase").count() == 2


def test_an_erasure_that_is_lifted_before_its_end_is_given_up(talon):
    ada = customer()
    deliver_all()
    privacy.erase(ada)
    assert privacy.lift(ada, reason="a mistake") == 1
    deliver_all()
    assert talon.calls("deleteCustomerData") == []
    erasure = Erasure.objects.get()
    assert (erasure.status, erasure.profile_id) == ("requested", "")
    assert erasure.is_finished
    assert not OutboxRow.objects.exists()


# When the shop deletes or anonymises


def test_G4_deleting_a_user_erases_them_if_one_setting_says_so(talon, settings):
    bob = customer("bob")
    bob.delete()
    assert not Erasure.objects.exists()
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASE_ON_DELETE": True}
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    pk = ada.pk
    ada.delete()
    erasure = Erasure.objects.get()
    assert (erasure.profile_id, erasure.reason) == (str(pk), "deleted in the shop")
    assert erasure.customer == f"customer:auth.user:{pk}"
    finish()
    assert Erasure.objects.get().status == "done"
    assert not talon.state()["profiles"][str(pk)]["attributes"]
    assert talon.violations() == []


def test_G4_deleting_many_users_at_once_erases_each(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASE_ON_DELETE": True}
    made = [customer(f"u{n}") for n in range(3)]
    User.objects.filter(pk__in=[user.pk for user in made]).delete()
    found = Erasure.objects.values_list("profile_id", flat=True)
    assert set(found) == {str(user.pk) for user in made}


def test_G4_a_deletion_that_is_rolled_back_erases_nobody(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASE_ON_DELETE": True}
    ada = customer()

    class Undone(Exception): ...

    with pytest.raises(Undone), transaction.atomic():
        ada.delete()
        raise Undone
    assert not Erasure.objects.exists()


def test_G4_a_deletion_goes_on_where_the_erasure_cannot_be_requested(
    talon, settings, monkeypatch, caplog
):
    from example_project.shop.talon import Shop

    settings.TALON_ONE = {**settings.TALON_ONE, "ERASE_ON_DELETE": True}
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: "ada@example.com", raising=False)
    ada = customer()
    ada.delete()
    assert not User.objects.exists()
    assert "could not be requested (SnapshotError)" in caplog.text
    assert "ada@" not in caplog.text


def test_G4_a_signal_of_the_shop_that_anonymises(talon):
    post_anonymise = Signal()
    post_anonymise.connect(privacy.erase_instance, sender=User)
    ada = customer()
    post_anonymise.send(sender=User, instance=ada, user=None)
    erasure = Erasure.objects.get()
    assert (erasure.profile_id, erasure.reason) == (str(ada.pk), "anonymised in the shop")


def test_G4_anonymising_goes_on_where_the_erasure_cannot_be_requested(talon, monkeypatch, caplog):
    from example_project.shop.talon import Shop

    monkeypatch.setattr(Shop, "profile_id", lambda self, user: "ada@example.com", raising=False)
    privacy.erase_instance(instance=customer())
    assert not Erasure.objects.exists()
    assert "could not be requested (SnapshotError)" in caplog.text
