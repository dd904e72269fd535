"""Backfills of real processes: ten thousand customers, killed half-way, and gone on with."""

from __future__ import annotations

import signal

import pytest
from django.contrib.auth.models import User

from django_talon.models import CustomerProfile, Lane, OutboxRow, Progress
from tests.helpers import cart_with, deliver_all, states, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

BULK = "updateCustomerProfilesV2"


def people(number: int) -> list[str]:
    made = User.objects.bulk_create([User(username=f"u{n:05}") for n in range(number)])
    return [str(user.pk) for user in made]


def sent(talon) -> list[str]:
    """Return the ids of all accepted bulk calls, in order."""
    return [
        one["integrationId"]
        for call in talon.calls(BULK)
        if call["status"] == 204
        for one in call["body"]["customerProfiles"]
    ]


def test_A5_ten_thousand_customers_are_ten_calls(talon, processes):
    ids = people(10_000)
    process = processes.start("-m", "django", "talon_backfill", "customers")
    assert process.wait(timeout=120) == 0
    assert len(talon.calls(BULK)) == 10
    assert sent(talon) == ids
    assert set(talon.state()["profiles"]) >= set(ids)
    assert CustomerProfile.objects.exclude(fingerprint="").count() == 10_000
    assert not Lane.objects.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_H6_interrupted_at_half_it_goes_on_from_there(talon, processes, how):
    ids = people(1_000)
    command = ("-m", "django", "talon_backfill", "customers", "--batch", "100")
    talon.faults.add(
        match={"operation": BULK},
        when={"nth": 6},
        phase="before_apply",
        do={"park": {"name": "half"}},
    )
    process = processes.start(*command)
    talon.wait_until_parked("half", within=60)
    if how == signal.SIGKILL:
        assert processes.kill(process, how) == -how
        talon.release("half")
    else:
        process.send_signal(how)
        talon.release("half")
        assert process.wait(timeout=60) == 1
        assert "The same command goes on from here." in process.stdout.read()
    kept = Progress.objects.get()
    done = kept.position["looked_at"]
    assert done == (500 if how == signal.SIGKILL else 600)
    again = processes.start(*command)
    assert again.wait(timeout=60) == 0
    said = again.stdout.read()
    assert f"{done} of 1000" in said
    assert "sent: 1000" in said
    wait_for(lambda: len(sent(talon)) >= 1000)
    # The page of the killed call went again, nothing else did, and nobody was left out.
    assert set(sent(talon)) == set(ids)
    assert len(sent(talon)) == (1100 if how == signal.SIGKILL else 1000)
    assert not OutboxRow.objects.exists()
    assert [v for v in talon.violations() if v["monitor"] == "overlap"] == []


def test_H6_carts_wait_while_the_outbox_is_full(talon, processes, monkeypatch):
    import django_talon

    with django_talon.paused():
        for _ in range(4):
            cart_with(("mug", "1.00", 1))
    OutboxRow.objects.bulk_create(
        [
            OutboxRow(
                application="default", lane=f"cart:x:{n}", kind="mark", aggregate=f"cart:x:{n}"
            )
            for n in range(1001)
        ]
    )
    process = processes.start("-m", "django", "talon_backfill", "carts")
    wait_for(lambda: Progress.objects.exists())
    assert any("The outbox is full" in line for line in process.stdout)
    OutboxRow.objects.all().delete()
    assert process.wait(timeout=60) == 0
    deliver_all()
    assert states(talon) == ["open"] * 4
