"""``talon_backfill``: what a shop has already is brought to Talon.One, once."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

import django_talon
from django_talon import privacy
from django_talon.management.commands import talon_backfill as command
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    Lane,
    OutboxRow,
    Progress,
)
from django_talon.outbox import clock, lanes
from django_talon.outbox.repair import progress
from example_project.shop.models import Cart, Order, Profile
from example_project.shop.talon import Shop
from tests.helpers import all_due, cart_with, deliver_all, order_of, session_calls, states
from tests.shops.models import Member

pytestmark = pytest.mark.django_db(transaction=True)

BULK = "updateCustomerProfilesV2"
ONE = "updateCustomerProfileV2"
EVERYTHING = {"since": "", "until": "", "resend": ""}
WEEK = timedelta(days=7)
IN_OUTBOX = "put into the outbox"


def people(number: int, *, tier: str = "gold") -> list[User]:
    """Make customers as a bulk import does: no signal tells of them."""
    made = User.objects.bulk_create([User(username=f"u{n:05}") for n in range(number)])
    Profile.objects.bulk_create([Profile(user=user, tier=tier) for user in made])
    return made


def bulk(talon) -> list[list[str]]:
    """Return the ids of each accepted bulk call."""
    return [
        [one["integrationId"] for one in call["body"]["customerProfiles"]]
        for call in talon.calls(BULK)
        if call["status"] == 204
    ]


def backfill(capsys, *arguments) -> str:
    capsys.readouterr()
    call_command("talon_backfill", *arguments)
    return capsys.readouterr().out


def refusal(*arguments) -> str:
    with pytest.raises(CommandError) as caught:
        call_command("talon_backfill", *arguments)
    return str(caught.value)


def ids(users) -> list[str]:
    return [str(user.pk) for user in users]


def test_A5_customers_go_by_silent_bulk_calls_and_are_not_sent_again(talon, capsys):
    made = people(25)
    said = backfill(capsys, "customers", "--batch", "10")
    assert said == "customers of 'default': sent: 25.\n"
    assert bulk(talon) == [ids(made[:10]), ids(made[10:20]), ids(made[20:])]
    assert {call["query"]["silent"] for call in talon.calls(BULK)} == {"yes"}
    assert talon.state()["profiles"][str(made[0].pk)]["attributes"] == {"tier": "gold"}
    assert not Lane.objects.exists()

    made[3].save()  # now a signal tells of one: it is as it was sent
    deliver_all()
    assert talon.calls(ONE) == []
    assert backfill(capsys, "customers") == "customers of 'default': unchanged: 25.\n"
    Profile.objects.filter(user=made[7]).update(tier="silver")
    backfill(capsys, "customers")
    assert bulk(talon)[3:] == [[str(made[7].pk)]]
    backfill(capsys, "customers", "--resend")
    assert bulk(talon)[4:] == [ids(made)]


@pytest.fixture
def odd(monkeypatch):
    """Let some customers have a tier that Talon.One refuses, or that cannot be read."""
    wrong: dict[str, object] = {}

    def tier(user):
        value = wrong.get(user.username, "gold")
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(User, "odd", property(tier), raising=False)
    monkeypatch.setattr(Shop, "customer_attributes", {"tier": "odd"})
    return wrong


def test_A5_one_refused_customer_does_not_stop_the_others_of_its_batch(talon, odd, capsys):
    made = people(20)
    odd.update(u00013=7, u00004=ZeroDivisionError("of Ada Lovelace"))
    assert refusal("customers") == "2 could not be sent: see the dead letters."
    unreadable, letter = DeadLetter.objects.order_by("pk")
    assert (letter.aggregate, letter.status) == (f"customer:auth.user:{made[13].pk}", 400)
    assert letter.pointers == [["/customerProfiles/0/attributes/tier", "Invalid type"]]
    assert unreadable.aggregate == f"customer:auth.user:{made[4].pk}"
    assert "Lovelace" not in unreadable.reason + capsys.readouterr().err
    sent = sorted(int(one) for call in bulk(talon) for one in call)
    assert sent == [user.pk for user in made if user not in (made[4], made[13])]
    assert len(talon.calls(BULK)) <= 11  # halves: 19, 9, 10, 5, 5, ...

    odd.clear()
    assert backfill(capsys, "customers") == "customers of 'default': sent: 2, unchanged: 18.\n"
    assert not DeadLetter.objects.exists()


def test_A5_where_all_are_refused_it_stops_and_goes_on_later(talon, odd, capsys):
    people(12)
    odd.update({f"u{n:05}": 7 for n in range(12)})
    said = refusal("customers", "--batch", "4", "--max-refused", "6")
    assert said.startswith("6 customers were refused, the last for: ")
    assert DeadLetter.objects.count() == 6
    odd.clear()
    assert backfill(capsys, "customers", "--resume", "--batch", "4").startswith("customers of")
    assert CustomerProfile.objects.exclude(fingerprint="").count() == 8  # from the second page on


def test_A5_erased_customers_are_left_out_and_counted(talon, capsys):
    made = people(5)
    privacy.erase(made[2])
    assert backfill(capsys, "customers") == "customers of 'default': erased: 1, sent: 4.\n"
    assert bulk(talon) == [ids([*made[:2], *made[3:]])]


def test_A5_customers_that_a_worker_is_busy_with_are_left_to_it(talon, capsys, settings):
    made = people(4)
    host = talon.url.removeprefix("http://")
    lane = lanes.profile_lane(host, str(made[1].pk))
    held = lanes.acquire(lane, clock.now())
    said = backfill(capsys, "customers")
    assert said == "customers of 'default': left to the workers: 1, sent: 3.\n"
    assert OutboxRow.objects.get().priority == 9
    assert lanes.release(held)
    deliver_all()
    assert [call["path"].rsplit("/", 1)[1] for call in talon.calls(ONE)] == [str(made[1].pk)]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"status": {"code": 429, "retryAfter": 1}}, id="429"),
        pytest.param({"status": {"code": 503}}, id="503"),
        pytest.param({"reset": {"at": "body"}}, id="an answer got lost"),
    ],
)
def test_A5_it_waits_as_long_as_talon_one_needs(talon, settings, capsys, trouble):
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 0.2}
    made = people(6)
    talon.faults.add(match={"operation": BULK}, when={"first": 2}, do=trouble)
    assert backfill(capsys, "customers", "--batch", "3").endswith("sent: 6.\n")
    assert bulk(talon) == [ids(made[:3]), ids(made[3:])]
    assert len(talon.calls(BULK)) == 4
    assert not Lane.objects.exists()


def test_A5_a_refused_key_ends_the_run_with_what_to_do(talon, capsys):
    people(3)
    talon.revoke()
    assert "does not accept the API key of 'default'. Set a valid one" in refusal("customers")
    talon.restore()
    all_due()
    assert backfill(capsys, "customers").endswith("sent: 3.\n")


def test_H6_a_run_that_was_stopped_goes_on_where_it_was(talon, capsys):
    made = people(10)
    backfill(capsys, "customers", "--batch", "2", "--limit", "4")
    assert bulk(talon) == [ids(made[:2]), ids(made[2:4])]
    assert "stopped half-way with another choice (everything)" in refusal(
        "customers", "--since", "7d"
    )
    call_command("talon_backfill", "customers", "--resume")
    out = capsys.readouterr()
    assert "Going on where the run of " in out.err
    assert "4 of " in out.err
    assert bulk(talon)[2:] == [ids(made[4:])]
    assert "no unfinished run" in refusal("customers", "--resume")
    backfill(capsys, "customers", "--restart", "--resend")
    assert bulk(talon)[3:] == [ids(made)]


def test_H6_one_run_at_a_time_and_the_second_says_who_runs(talon, capsys):
    people(2)
    with progress.running("backfill customers default", EVERYTHING):
        said = refusal("customers")
        assert f"'backfill customers default' runs already: process {os.getpid()} on " in said
        assert ", since 20" in said
        backfill(capsys, "carts")  # another kind may
        # A run without a sign of life is taken over, and notices.
        Progress.objects.update(lease_until=clock.now() - timedelta(seconds=1))
        backfill(capsys, "customers")
    assert len(bulk(talon)) == 1


def test_H6_the_run_of_a_dead_process_of_this_host_is_taken_over_at_once(talon, capsys):
    people(2)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = progress.begin("backfill customers default", EVERYTHING)
    Progress.objects.update(runner=f"{socket.gethostname()} {process.pid}")
    Lane.objects.create(
        key=lanes.profile_lane(talon.url.removeprefix("http://"), str(User.objects.first().pk)),
        token=dead.token,
        lease_until=clock.now() + timedelta(seconds=1),
    )
    assert backfill(capsys, "customers").endswith("sent: 2.\n")  # after its call's lease
    Progress.objects.update(
        token=dead.token, runner=f"elsewhere {process.pid}", lease_until=clock.now() + WEEK
    )
    assert "on elsewhere" in refusal("customers")


def test_H6_a_run_that_was_taken_over_stops(talon):
    with progress.running("backfill carts default", {}) as run:
        Progress.objects.update(token=None)
        with pytest.raises(progress.TakenOver):
            run.keep()


def test_H6_a_dry_run_counts_and_shows_three_payloads(talon, odd, capsys):
    made = people(6)
    odd.update(u00005=ZeroDivisionError("secret"))
    privacy.erase(made[0])
    before = len(talon.calls())
    said = backfill(capsys, "customers", "--dry-run", "--batch", "2")
    assert "To 'default' would go:\n  erased: 1\n  refused: 1\n  sent: 4\n" in said
    assert said.count('"tier": "gold"') == 3
    assert len(talon.calls()) == before
    assert not Progress.objects.exists()
    assert not DeadLetter.objects.exists()
    assert not CustomerProfile.objects.exists()


def test_H6_a_window_goes_by_the_time_that_the_shop_keeps(talon, capsys):
    old, new = people(2)
    User.objects.filter(pk=old.pk).update(date_joined=timezone.now() - timedelta(days=30))
    backfill(capsys, "customers", "--until", "1d")
    assert bulk(talon) == [[str(old.pk)]]
    backfill(capsys, "customers", "--since", "7d")
    assert bulk(talon)[1:] == [[str(new.pk)]]


def old_shop():
    """A shop with two years behind it: an open cart, a cart that was bought, an order."""
    with django_talon.paused():
        cart = cart_with(("mug", "10.00", 1))
        bought = cart_with(("bag", "20.00", 1))
        order = order_of(bought)
        cancelled = order_of(cart_with(("pen", "1.00", 1)), status="cancelled")
    long_ago = timezone.now() - timedelta(days=700)
    Cart.objects.update(created_at=long_ago)
    Order.objects.update(placed_at=long_ago)
    return cart, order, cancelled


def test_H6_old_carts_are_sent_by_the_workers_and_old_orders_are_not(talon, capsys):
    cart, _order, _cancelled = old_shop()
    call_command("talon_reconcile")  # history is not news
    assert not OutboxRow.objects.exists()
    said = backfill(capsys, "carts", "--dry-run")
    assert '"sku": "mug"' in said
    assert not OutboxRow.objects.exists()
    said = backfill(capsys, "carts")
    assert said == f"carts of 'default': {IN_OUTBOX}: 1, unchanged: 2.\n"
    assert OutboxRow.objects.get().aggregate == f"cart:shop.cart:{cart.pk}"
    deliver_all()
    assert states(talon) == ["open"]
    said = backfill(capsys, "carts")
    assert said == "carts of 'default': unchanged: 3.\n"


def test_H6_old_orders_are_closed_only_if_told(talon, capsys, monkeypatch):
    _cart, order, _cancelled = old_shop()
    assert "redeems coupons" in refusal("orders")
    assert refusal("orders", "--since", "2020-01-01") == "Nobody is there to ask: give --yes."
    assert backfill(capsys, "orders", "--since", "7d", "--yes").endswith("there are none.\n")
    said = backfill(capsys, "orders", "--since", "2020-01-01", "--yes")
    assert said == "orders of 'default': put into the outbox: 1, unchanged: 1.\n"
    deliver_all()
    [body] = session_calls(talon)
    assert body["state"] == "closed"
    assert CustomerSession.objects.get().order == f"order:shop.order:{order.pk}"
    deliver_all()
    again = backfill(capsys, "orders", "--since", "2020-01-01", "--yes")
    assert again == "orders of 'default': unchanged: 2.\n"


def test_H6_it_asks_before_orders_are_closed(talon, capsys, monkeypatch):
    old_shop()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _prompt: "n")
    assert refusal("orders", "--since", "2020-01-01") == "Nothing was sent."
    assert "2 orders are looked at" in capsys.readouterr().err
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["carts", "--application", "other"], "There is no Talon.One application 'other'"),
        (["customers", "--batch", "1001"], "--batch is at most 1000"),
        (["customers", "--since", "soon"], "'soon' is no moment"),
        (["customers", "--rate", "0"], "'0' is no number above 0"),
        (["customers", "--limit", "1.5"], "'1.5' is no whole number"),
    ],
)
def test_H6_wrong_options_are_refused_with_what_is_right(talon, arguments, said):
    assert said in refusal(*arguments)


def test_H6_a_window_needs_a_moment_to_go_by(talon, monkeypatch):
    Member.objects.create()
    assert "Set customer_updated in its adapter" in refusal("customers", "--since", "7d")


def test_H6_nothing_goes_while_the_switch_is_off(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ENABLED": False}
    assert "is off" in refusal("customers")


def test_H6_every_application_gets_its_own_customers(talon, settings, capsys):
    made = people(4)
    here = settings.TALON_ONE
    other = {"BASE_URL": here["BASE_URL"], "API_KEY": f"{here['API_KEY']}.second"}
    settings.TALON_ONE = {
        **here,
        "APPLICATIONS": {"second": {**other, "ENVIRONMENT": "second"}},
        "ROUTER": lambda row: "second" if row.pk == made[2].pk else "default",
    }
    assert backfill(capsys, "customers", "--application", "second").endswith("sent: 1.\n")
    assert bulk(talon) == [[str(made[2].pk)]]
    said = backfill(capsys, "customers")
    assert "'default': sent: 3." in said
    assert "'second': unchanged: 1." in said


def test_H6_customers_of_the_api_of_2020_go_one_by_one_through_the_outbox(talon, settings, capsys):
    people(2)
    settings.TALON_ONE = {**settings.TALON_ONE, "DIALECT": "2020"}
    assert '"tier": "gold"' in backfill(capsys, "customers", "--dry-run")
    assert backfill(capsys, "customers").endswith(f"{IN_OUTBOX}: 2.\n")
    assert OutboxRow.objects.filter(aggregate__startswith="customer:").count() == 2


def test_H6_progress_is_a_line_now_and_then_or_a_bar_with_an_estimate(talon, capsys, monkeypatch):
    people(4)
    monkeypatch.setattr(command, "EVERY", 0)
    call_command("talon_backfill", "customers", "--batch", "2")
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"customers: 2 of \d+, \d+ a second, about \d+ min left", lines[0])

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    call_command("talon_backfill", "customers", "--batch", "2", "--rate", "1000")
    assert re.search(r"customers: +\d+%\|.*<", capsys.readouterr().err)


def test_H6_the_help_teaches(capsys):
    with pytest.raises(SystemExit):
        command.Command().create_parser("manage.py", "talon_backfill").parse_args(["--help"])
    said = capsys.readouterr().out
    assert "Begin with customers" in said
    assert "\n\nWhat was sent already is not sent again." in said
