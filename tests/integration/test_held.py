"""What our own tables hold of people: told, scrubbed, and purged after its time."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import django_talon
from django_talon import privacy
from django_talon.admin import inventory_page
from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Erasure,
    Evaluation,
    Lane,
    OutboxRow,
    Selection,
)
from tests.helpers import all_due, cart_with, customer, deliver_all, order_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(talon):
    """A customer of whom every table holds something."""
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    key = f"cart:shop.cart:{cart.pk}"
    deliver_all()
    CodeEntry.objects.create(cart=key, code="ADAS-OWN", status="rejected")
    session = CustomerSession.objects.get()
    EffectRecord.objects.create(
        session=session, state="closed", effect_type="setDiscount", effect='{"a": 1}', amount=5
    )
    DeadLetter.objects.create(
        kind="event",
        lane=key,
        aggregate=key,
        uid=uuid4(),
        payload={"type": "x", "attributes": {"where": "footer"}, "profile_id": ""},
        reason="refused",
    )
    django_talon.track("newsletter", {"source": "footer"}, cart=cart)
    return ada


def test_G3_what_we_hold_is_a_part_of_the_inventory(ada):
    found = privacy.inventory(ada)["held_by_this_shop"]
    assert {part: len(rows) for part, rows in found.items()} == {
        "profiles": 1,
        "sessions": 1,
        "evaluations": 1,
        "effects": 1,
        "codes": 1,
        "waiting": 1,
        "dead_letters": 1,
        "deliveries": 2,
        "erasures": 0,
    }
    assert found["profiles"][0]["customer"] == f"customer:auth.user:{ada.pk}"
    assert found["codes"][0]["code"] == "ADAS-OWN"
    assert found["effects"][0]["effect"] == {"a": 1}
    assert found["waiting"][0]["payload"]["attributes"] == {"source": "footer"}
    assert json.loads(json.dumps(found)) == found


def test_G3_the_page_has_every_part_of_it(ada):
    found = privacy.inventory(ada)
    assert set(inventory_page.HELD) == set(found["held_by_this_shop"])
    titles = {str(table.title): table for table in inventory_page.context(found)["held"]}
    [[session, _at, effects]] = titles["Stored answers"].rows
    assert session == CustomerSession.objects.get().integration_id
    assert "{" not in effects


def test_G3_nothing_of_another_person_is_in_it(ada):
    bob = customer("bob")
    cart_with(("mug", "10.00", 1), user=bob)
    found = privacy.inventory(bob)["held_by_this_shop"]
    assert not any(found[part] for part in found if part != "waiting")
    assert {row["aggregate"] for row in found["waiting"]} == {f"customer:auth.user:{bob.pk}"}


def test_G3_the_queries_do_not_grow_with_the_rows(ada):
    [person] = privacy.people_of([ada])
    privacy.held(person)  # makes the salt
    counts = []
    for size in (100, 10_000):
        key = f"customer:auth.user:{ada.pk}"
        DeliveryLog.objects.bulk_create(
            DeliveryLog(application="default", operation="x", aggregate=key, outcome="delivered")
            for _ in range(size)
        )
        with CaptureQueriesContext(connection) as queries:
            assert len(privacy.held(person)["deliveries"]) >= size
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_G7_an_erasure_scrubs_what_we_hold(ada, talon):
    key = f"customer:auth.user:{ada.pk}"
    Lane.objects.get_or_create(key=key)
    privacy.erase(ada)
    assert not OutboxRow.objects.exclude(kind="erase").exists()
    assert not DeadLetter.objects.exists()
    assert not CodeEntry.objects.exists()
    assert not Evaluation.objects.exists()
    deliver_all()
    all_due()
    deliver_all()
    erasure = Erasure.objects.get()
    assert erasure.status == "done"
    [effect] = EffectRecord.objects.all()
    assert (effect.effect, effect.amount) == ("", 5)
    assert CustomerSession.objects.get().profile_id == ""
    assert not CustomerProfile.objects.exists()
    assert not Lane.objects.filter(key__contains=f":{ada.pk}", key__startswith="customer").exists()
    assert not Lane.objects.filter(key__startswith="profile:").exists()
    about = set(DeliveryLog.objects.values_list("aggregate", flat=True))
    assert key not in about
    assert f"erased:{erasure.pseudonym[:12]}" in about
    left = privacy.inventory(ada)["held_by_this_shop"]
    assert {part for part, rows in left.items() if rows} == {"deliveries", "erasures"}


def test_G7_a_dead_letter_of_a_close_is_kept_without_the_person(ada, talon):
    order = order_of(cart_with(("mug", "10.00", 1), user=ada))
    letter = DeadLetter.objects.create(
        kind="closed",
        lane="x",
        aggregate=f"order:shop.order:{order.pk}",
        uid=uuid4(),
        payload={"request": "{}", "profile_id": str(ada.pk), "fingerprint": ""},
    )
    privacy.erase(ada)
    letter.refresh_from_db()
    assert letter.payload is None


def test_G7_purge_by_the_default_days(ada, settings):
    order_of(cart_with(("mug", "10.00", 1), user=ada))
    deliver_all()
    Erasure.objects.create(environment="e", pseudonym="p", status="done")
    Selection.objects.create(owner="1", model="auth.user", keys=["1"])
    # What is old enough to go after 30, 90 or 365 days, and what stays for ever.
    for days, expected in (
        (29, {}),
        (31, {"deliveries": DeliveryLog.objects.count(), "lanes": Lane.objects.count()}),
        (91, {"dead letters": 1}),
        (366, {"evaluations": 2, "codes": 1, "effects emptied": 1, "sessions emptied": 1}),
        (4000, {}),
    ):
        age(days)
        counts = django_talon_purge()
        selections = counts.pop("selections")
        assert selections == (1 if days == 29 else 0)
        assert {name: count for name, count in counts.items() if count} == expected, days
    assert Erasure.objects.count() == 1
    assert CustomerSession.objects.count() == 2
    [effect] = EffectRecord.objects.filter(effect_type="setDiscount")
    assert (effect.effect, effect.amount) == ("", 5)


def django_talon_purge():
    from django_talon.outbox.purge import purge

    return purge()


def age(days):
    moment = timezone.now() - timedelta(days=days)
    Selection.objects.update(created_at=moment)
    DeliveryLog.objects.update(created_at=moment)
    Lane.objects.update(served_at=moment, blocked_until=None)
    DeadLetter.objects.update(created_at=moment)
    Evaluation.objects.update(evaluated_at=moment)
    CodeEntry.objects.update(created_at=moment)
    EffectRecord.objects.update(created_at=moment)
    CustomerSession.objects.update(sent_at=moment)
    Erasure.objects.update(requested_at=moment)


def test_G7_the_dead_letter_of_an_erasure_outlives_the_purge(talon):
    DeadLetter.objects.create(kind="erase", lane="x", aggregate="x", uid=uuid4())
    age(1000)
    assert django_talon_purge()["dead letters"] == 0


# talon_export


def test_G3_talon_export_of_several_is_a_zip(talon, tmp_path):
    ada, bob = customer(), customer("bob")
    deliver_all()
    with pytest.raises(CommandError, match="name it with --output"):
        call_command("talon_export", str(ada.pk), str(bob.pk))
    file = tmp_path / "both.zip"
    err = io.StringIO()
    call_command("talon_export", str(ada.pk), str(bob.pk), "--output", str(file), stderr=err)
    assert err.getvalue() == f"2 customer(s), each a file in a ZIP: {file}\n"
    with zipfile.ZipFile(file) as archive:
        names = [f"inventory-{user.pk}.json" for user in (ada, bob)]
        assert archive.namelist() == names
        assert json.loads(archive.read(names[0]))["profile_id"] == str(ada.pk)


def test_G3_talon_export_of_somebody_whose_account_is_gone(talon, capsys):
    ada = customer()
    deliver_all()
    pk = str(ada.pk)
    ada.delete()
    call_command("talon_export", pk, "--profile-ids")
    found = json.loads(capsys.readouterr().out)
    assert found["unknown_in"] == []
    assert [row["profile_id"] for row in found["held_by_this_shop"]["profiles"]] == [pk]
