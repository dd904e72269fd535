"""Erasures that race with what is queued, under way, late or new about the same person."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

import django_talon
from django_talon import privacy
from django_talon.models import (
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Erasure,
    OutboxRow,
)
from django_talon.tasks import deliver
from example_project.shop.models import Profile
from example_project.shop.talon import Shop
from tests.helpers import UPDATE, all_due, cart_with, customer, deliver_all, order_of, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

PROFILE = "updateCustomerProfileV2"


@pytest.fixture
def ada(talon):
    """A customer with an attribute, an open session, and both at Talon.One."""
    ada = customer()
    Profile.objects.create(user=ada, tier="gold")
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    assert talon.state()["profiles"][str(ada.pk)]["attributes"] == {"tier": "gold"}
    return ada


def erased_with_proof():
    wait_for(lambda: Erasure.objects.filter(status="done").exists(), within=90)
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    return Erasure.objects.get()


def parked(talon):
    try:
        return talon.wait_until_parked("p", within=1)
    except AssertionError:
        return None


def left_at(talon, person):
    return talon.state()["profiles"][str(person.pk)]["attributes"]


def test_fault_38_an_erasure_touches_nobody_whose_id_looks_alike(talon, monkeypatch):
    """Ids that differ by case, accent or a space at the end are different people, on MariaDB too:
    erasing one leaves the others' sessions, profiles and rows alone.
    """
    alike = ["abc", "ABC", "äbc", "abc "]
    monkeypatch.setattr(Shop, "profile_id", lambda self, user: alike[int(user.username)])
    people = [User.objects.create(username=str(number)) for number in range(len(alike))]
    for number, person in enumerate(people):
        cart_with((f"p{number}", "1.00", 1), user=person)
    deliver_all()
    privacy.erase(people[0])
    for _ in range(2):  # a sweep, and a second one later
        all_due()
        deliver_all()
    assert Erasure.objects.get().status == "done"
    assert sorted(CustomerProfile.objects.values_list("profile_id", flat=True)) == sorted(alike[1:])
    states = {s["profileId"]: s["state"] for s in talon.state()["sessions"].values()}
    assert states == {"abc": "cancelled", "ABC": "open", "äbc": "open", "abc ": "open"}
    before = len(talon.calls())
    for person in people[1:]:
        person.save()
    deliver_all()
    assert len(talon.calls()) == before


def test_fault_38_an_erasure_and_a_queue_full_of_the_person(talon, talon_sandbox, ada, relay):
    """A person is erased while their profile, cart, event and a close that failed once are
    queued: the close arrives without them, the rest never does.
    """
    cart = cart_with(("tea", "5.00", 2), user=ada)
    deliver_all()
    talon_sandbox.stop()
    Profile.objects.filter(user=ada).update(tier="silver")
    django_talon.mark(ada)
    cart_with(("mug", "1.00", 3), user=ada)
    django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    order_of(cart)
    first = relay()
    frozen = OutboxRow.objects.filter(kind="closed").exclude(payload=None)
    wait_for(frozen.exists, within=60)
    first.kill()
    first.wait(timeout=60)
    privacy.erase(ada)
    assert not frozen.exists()
    assert not OutboxRow.objects.filter(kind="event").exists()
    talon_sandbox.start()
    relay()
    erased_with_proof()
    wait_for(lambda: CustomerSession.objects.filter(state="closed").exists(), within=60)
    assert left_at(talon, ada) == {}
    assert talon.calls("trackEventV2") == []
    closes = [call["body"]["customerSession"] for call in talon.calls(UPDATE)]
    assert [body for body in closes if body["state"] == "closed"] == [{"state": "closed"}]
    assert [v for v in talon.violations() if v["monitor"] == "write-after-erase"] == []


def test_fault_39_an_erasure_and_a_call_under_way(talon, ada, relay, settings):
    """A person is erased while a call about them is under way: the deletion waits for its end,
    and nothing of them is left.
    """
    patient = {"LEASE": 20, "DEADLINE": 15, "TIMEOUT": (5, 15)}
    settings.TALON_ONE = {**settings.TALON_ONE, **patient}
    talon.faults.add(
        match={"operation": PROFILE},
        when={"first": 1},
        phase="before_apply",
        do={"park": {"name": "p"}},
    )
    ada.profile.tier = "silver"
    ada.profile.save()
    relay()
    wait_for(lambda: parked(talon), within=120)
    privacy.erase(ada)
    deliver()
    assert OutboxRow.objects.filter(kind="erase", claims=0).exists()
    assert talon.calls("deleteCustomerData") == []
    talon.release("p")
    erased_with_proof()
    assert left_at(talon, ada) == {}
    assert [v for v in talon.violations() if v["monitor"] in {"overlap", "write-after-erase"}] == []


def test_fault_39_an_erasure_and_an_answer_that_got_lost(talon, ada, relay):
    """A call whose answer got lost is applied by Talon.One only after the first deletion: the
    second one, after lease and hold, takes it away again.
    """
    talon.faults.add(match={"operation": PROFILE}, when={"first": 1}, phase="late_apply", seconds=4)
    ada.profile.tier = "silver"
    ada.profile.save()
    relay()
    wait_for(lambda: len(talon.calls(PROFILE)) == 2, within=60)
    privacy.erase(ada)
    erasure = erased_with_proof()
    late = talon.calls(PROFILE)[1]
    assert late["applied"]
    assert len(talon.calls("deleteCustomerData")) >= 2
    assert (erasure.proof["attributes"], left_at(talon, ada)) == (0, {})
    wait_for(lambda: not OutboxRow.objects.exists())


def test_fault_40_an_event_hours_after_the_erasure(talon, ada, relay):
    """An event and a save about a person who was erased before are dropped, counted on the
    receipt and noted in the delivery log under a hash.
    """
    django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    deliver_all()
    assert len(talon.calls("trackEventV2")) == 1
    privacy.erase(ada)
    relay()
    erased_with_proof()
    ada.refresh_from_db()
    django_talon.track("newsletter", {"source": "late"}, customer=ada)
    ada.first_name = "Ada"
    ada.save()
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    erasure = Erasure.objects.get()
    assert (erasure.withheld, erasure.withheld_at is None) == (2, False)
    withheld = DeliveryLog.objects.filter(outcome="withheld")
    assert set(withheld.values_list("operation", "aggregate")) == {
        ("trackEventV2", f"erased:{erasure.pseudonym[:12]}"),
        (PROFILE, f"erased:{erasure.pseudonym[:12]}"),
    }
    assert len(talon.calls("trackEventV2")) == 1
    assert not DeadLetter.objects.exists()
    assert left_at(talon, ada) == {}
    assert talon.violations() == []


@pytest.mark.parametrize("is_sent", [False, True])
def test_fault_40_an_event_of_an_erased_persons_cart(talon, ada, relay, is_sent):
    """An event of a cart whose customer was erased is dropped and counted as well, whether that
    cart has been sent without them or not at all.
    """
    privacy.erase(ada)
    relay()
    erased_with_proof()
    cart = cart_with(*[("tea", "5.00", 1)] * is_sent, user=ada)
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    before = Erasure.objects.get().withheld
    django_talon.track("newsletter", {"source": "late"}, cart=cart)
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    assert Erasure.objects.get().withheld == before + 1
    assert talon.calls("trackEventV2") == []
    assert not DeadLetter.objects.exists()
    assert talon.violations() == []


@pytest.mark.parametrize("lifted", [False, True])
def test_fault_41_an_erased_person_comes_back(talon, ada, relay, lifted):
    """An erased id that buys again stays unknown to Talon.One, and is reported as withheld, until
    the erasure is lifted on purpose.
    """
    privacy.erase(ada)
    relay()
    erased_with_proof()
    if lifted:
        assert privacy.lift(ada, reason="signed up again", operator="op") == 1
    before = len(talon.calls())
    ada.profile.tier = "silver"
    ada.profile.save()
    cart_with(("mug", "10.00", 3), user=ada)
    wait_for(lambda: not OutboxRow.objects.exists(), within=60)
    named = [
        call["body"]["customerSession"].get("profileId", "")
        for call in talon.calls()[before:]
        if call["operation"] == UPDATE
    ]
    erasure = Erasure.objects.get()
    if lifted:
        assert named == [str(ada.pk)]
        assert left_at(talon, ada) == {"tier": "silver"}
        assert (erasure.lifted_by, erasure.lifted_reason) == ("op", "signed up again")
        assert erasure.withheld == 0
    else:
        assert named == [""]
        assert left_at(talon, ada) == {}
        assert erasure.withheld == 1
        assert talon.violations() == []
