"""The race: 200 people are erased while the shop sells, a backfill runs and answers get lost."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connections

import django_talon
from django_talon import privacy
from django_talon.models import CustomerSession, DeadLetter, Erasure, Evaluation, OutboxRow
from example_project.shop.models import Cart, CartItem, Profile
from tests.helpers import UPDATE, product, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

ERASED, STAYING = 200, 20
#: Changes that wait while the shop sells.
BUSY = 40
PROFILE = "updateCustomerProfileV2"


@pytest.fixture
def people(talon):
    """Customers with an attribute and a cart each; most of them will be erased."""
    mug = product("mug", "1.00")
    with django_talon.paused():
        users = [User(username=f"user{n}") for n in range(ERASED + STAYING)]
        users = User.objects.bulk_create(users)
        Profile.objects.bulk_create([Profile(user=user, tier="gold") for user in users])
        carts = Cart.objects.bulk_create([Cart(user=user) for user in users])
        CartItem.objects.bulk_create([CartItem(cart=c, product=mug, quantity=1) for c in carts])
    return users


def disturb(talon):
    """Lose answers, apply late (within HOLD), refuse: a little of each, the whole time."""
    for operation, every in ((UPDATE, 17), (PROFILE, 11), ("deleteCustomerData", 19)):
        match = {"operation": operation}
        talon.faults.add(match=match, when={"every": every}, phase="after_apply", do={"reset": {}})
        talon.faults.add(match=match, when={"every": every + 12}, do={"status": {"code": 503}})
    for operation in (UPDATE, PROFILE, "updateCustomerProfilesV2"):
        talon.faults.add(
            match={"operation": operation},
            when={"every": 7},
            phase="late_apply",
            seconds=0.4,
        )


class Shop(threading.Thread):
    """Saves carts and tracks events of everybody, over and over, until it is told to stop.

    It sells as fast as the workers can follow: more would only be coalesced.
    """

    def __init__(self, people):
        super().__init__()
        self.people = people
        self.stop = threading.Event()

    def run(self):
        try:
            turn = 0
            while not self.stop.wait(0.02):
                if OutboxRow.objects.exclude(kind="erase").count() < BUSY:
                    self.sell(self.people[turn * 7 % len(self.people)], turn)
                    turn += 1
        finally:
            connections.close_all()

    def sell(self, user, turn):
        item = CartItem.objects.get(cart__user=user)
        item.quantity = 1 + turn % 9
        item.save()
        if turn % 3 == 0:
            django_talon.track("newsletter", {"source": "race"}, customer=user)
        if turn % 5 == 0:
            Profile.objects.get(user=user).save()


def test_G2_nothing_is_left_of_two_hundred_people_erased_under_load(talon, processes, people):
    gone, staying = people[:ERASED], people[ERASED:]
    disturb(talon)
    for _ in range(2):
        processes.relay()
    shop = Shop(people)
    shop.start()
    command = ("-m", "django", "talon_backfill", "customers", "--resend", "--batch", "5")
    filling = processes.start(*command, "--rate", "8")
    wait_for(lambda: len(talon.state()["profiles"]) > 40, within=120)
    assert filling.poll() is None
    for start in range(0, ERASED, 50):
        privacy.erase_all(gone[start : start + 50], operator="race")
    finished = Erasure.objects.filter(status="done")
    try:
        wait_for(lambda: finished.count() >= ERASED // 2, within=300)
    finally:
        shop.stop.set()
        shop.join()
    assert filling.wait(timeout=300) == 0
    wait_for(lambda: finished.count() == ERASED, within=300)
    talon.faults.clear()
    wait_for(lambda: not OutboxRow.objects.exists(), within=300)

    erased = {str(user.pk) for user in gone}
    state = talon.state()
    left = {who: profile["attributes"] for who, profile in state["profiles"].items()}
    assert {who: found for who, found in left.items() if who in erased and found} == {}
    assert all(left[str(user.pk)] == {"tier": "gold"} for user in staying)
    open_sessions = [s for s in state["sessions"].values() if s["state"] == "open"]
    assert not [s for s in open_sessions if s.get("profileId") in erased]
    silent = {"write-after-erase", "overlap"}
    assert [v for v in talon.violations() if v["monitor"] in silent] == []

    assert Erasure.objects.filter(proof__attributes=0).count() == ERASED
    assert not Erasure.objects.exclude(profile_id="").exists()
    assert not CustomerSession.objects.filter(profile_id__in=erased).exists()
    assert not Evaluation.objects.filter(session__profile_id__in=erased).exists()
    assert not DeadLetter.objects.exists()
