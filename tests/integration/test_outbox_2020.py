"""An Application that speaks the API of 2020, from the shop's save to what it received."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

import django_talon
from django_talon.doctor import trial
from django_talon.models import CodeEntry, DeadLetter, OutboxRow
from django_talon.testing import SandboxServer
from tests.helpers import all_due, cart_with, customer, deliver_all, order_of
from tests.shops.models import Bag, BagEntry, Member, Purchase

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def old_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(dialect="2020") as server:
        yield server


@pytest.fixture
def old(old_sandbox: SandboxServer, settings: Any) -> Iterator[Any]:
    world = uuid4().hex
    settings.TALON_ONE = {
        "BASE_URL": old_sandbox.url,
        "API_KEY": old_sandbox.key(world),
        "DIALECT": "2020",
        "DEBOUNCE": 0,
    }
    yield lambda operation=None: old_sandbox.calls(world, operation)
    old_sandbox.reset(world)


def test_A1_a_cart_is_told_in_the_words_of_2020(old, old_sandbox):
    ada = customer()
    cart = cart_with(("mug", "10.00", 2), user=ada)
    answer = django_talon.evaluate(cart, enter=["WELCOME10"])
    assert answer.answered
    assert (answer.accepted, answer.discount) == (["WELCOME10"], Decimal("2.00"))
    order = order_of(cart)
    deliver_all()
    order.status = "cancelled"
    order.save()
    deliver_all()
    calls = old()
    assert [call["operation"] for call in calls] == [
        "updateCustomerProfile",
        *["updateCustomerSession"] * 3,
    ]
    assert {call["status"] for call in calls} == {200}
    opened, closed, cancelled = (call["body"] for call in calls[1:])
    assert opened == {
        "profileId": str(ada.pk),
        "state": "open",
        "coupon": "WELCOME10",
        "total": Decimal("24.90"),
        "attributes": {},
        "cartItems": [
            {"sku": "mug", "name": "Mug", "quantity": 2, "price": Decimal(10), "attributes": {}}
        ],
    }
    assert closed == {**opened, "state": "closed"}
    assert cancelled == {"state": "cancelled"}
    assert not DeadLetter.objects.exists()
    assert CodeEntry.objects.get().status == "accepted"


def test_a_refused_code_is_told_to_the_shopper_in_2020_too(old):
    answer = django_talon.evaluate(cart_with(("mug", "10.00", 2)), enter=["NOPE"])
    assert [(one.code, one.reason) for one in answer.rejected] == [("NOPE", "CouponNotFound")]


def test_two_codes_are_a_dead_letter_that_says_so_and_evaluate_goes_without(old):
    cart = cart_with(("mug", "10.00", 2), user=customer())
    answer = django_talon.evaluate(cart, enter=["WELCOME10", "MUGS5"])
    assert (answer.answered, answer.total) == (False, Decimal("24.90"))
    deliver_all()
    assert "one coupon for each session, and 2 codes are entered" in DeadLetter.objects.get().reason
    assert django_talon.evaluate(cart, remove=["MUGS5"]).discount == Decimal("2.00")
    cart.save()
    deliver_all()
    assert not DeadLetter.objects.exists()


def test_returns_and_reopening_are_dead_letters_that_say_so(old):
    bag = Bag.objects.create(member=Member.objects.create())
    fields = {"article": "mug", "title": "Mug", "amount": 10, "count": 3}
    BagEntry.objects.create(bag=bag, **fields)
    purchase = Purchase.objects.create(bag=bag, member=bag.member, stage=1)
    entry = purchase.entries.create(**fields)
    deliver_all()
    entry.came_back = 1
    entry.save()
    deliver_all()
    purchase.save()
    purchase.stage = 5
    purchase.save()
    deliver_all()
    reasons = dict(DeadLetter.objects.values_list("kind", "reason"))
    assert reasons["returned"].startswith("The API of 2020 has no returns.")
    assert reasons["reopened"].startswith("The API of 2020 has no reopening.")
    assert DeadLetter.objects.count() == 2


def test_A6_an_event_of_2020_belongs_to_a_session(old):
    ada = customer()
    django_talon.track("newsletter", {"source": "before"}, customer=ada)
    uid = str(OutboxRow.objects.get(kind="event").uid)
    deliver_all()
    cart = cart_with(("mug", "10.00", 2), user=ada)
    django_talon.track("newsletter", {"source": "cart"}, cart=cart)
    deliver_all()
    django_talon.track("newsletter", {"source": "after"}, customer=ada)
    deliver_all()
    session = old("updateCustomerSession")[0]["sessionId"]
    assert [call["body"] for call in old("trackEvent")] == [
        {
            "type": "newsletter",
            "attributes": {"source": source},
            "sessionId": session_id,
            "profileId": str(ada.pk),
        }
        for source, session_id in (("before", uid), ("cart", session), ("after", session))
    ]
    assert {call["status"] for call in old()} <= {200, 201}


@pytest.mark.parametrize("policy", [(), ("newsletter",)], ids=["at least once", "at most once"])
def test_A6_where_talon_one_cannot_tell_the_policy_decides(old, old_sandbox, settings, policy):
    settings.TALON_ONE = {**settings.TALON_ONE, "EVENTS_AT_MOST_ONCE": policy}
    ada = customer()
    deliver_all()
    world = settings.TALON_ONE["API_KEY"].removeprefix("sbx-")
    faults = old_sandbox.faults(world)
    faults.add("trackEvent", when={"first": 1}, do={"status": {"code": 503}})
    django_talon.track("newsletter", {}, customer=ada)
    deliver_all()
    assert OutboxRow.objects.get().attempts == 1  # nothing was done: it is kept
    faults.clear()
    faults.add("trackEvent", when={"first": 1}, phase="after_apply", do={"reset": {}})
    all_due()
    deliver_all()
    all_due()
    deliver_all()
    counted = [e["type"] for e in old_sandbox.state(world)["events"]].count("newsletter")
    assert counted == (1 if policy else 2)
    assert DeadLetter.objects.count() == (1 if policy else 0)
    assert not OutboxRow.objects.exists()


def test_the_doctor_tries_the_newest_cart_in_the_words_of_2020(old):
    cart = cart_with(("mug", "10.00", 1))
    assert [finding.id for finding in trial.find()] == []
    [asked] = old("updateCustomerSession")
    assert asked["query"]["dry"] == "true"
    for code in ("ONE", "TWO"):
        CodeEntry.objects.create(cart=f"cart:shop.cart:{cart.pk}", code=code)
    [finding] = trial.find()
    assert finding.id == "django_talon.E125"
    assert "2 codes are entered" in finding.what
