"""Several Applications: by currency, by a router, each with a key and a health of its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import django_talon
from django_talon.models import CustomerSession, DeadLetter, Endpoint, OutboxRow
from django_talon.outbox import clock, delivery
from tests.helpers import all_due, deliver_all, session_calls
from tests.shops.models import Bag, BagEntry, Member

pytestmark = pytest.mark.django_db(transaction=True)


def by_currency(row: Any) -> str:
    """A router as a shop writes it; customers are in the environment of both."""
    return getattr(row, "currency", "EUR").lower()


def broken(row: Any) -> str:
    raise KeyError(row.pk)


def unknown(row: Any) -> str:
    return "nowhere"


@pytest.fixture
def currencies(talon, settings) -> Any:
    settings.TALON_ONE = {
        "DEBOUNCE": 0,
        "ROUTER": by_currency,
        "APPLICATIONS": {
            "eur": {"BASE_URL": talon.url, "API_KEY": f"{talon.key}.eur", "CURRENCY": "EUR"},
            "usd": {"BASE_URL": talon.url, "API_KEY": f"{talon.key}.usd", "CURRENCY": "USD"},
        },
    }
    return talon


def bag_of(currency: str, price: float = 10) -> Bag:
    bag = Bag.objects.create(currency=currency)
    BagEntry.objects.create(bag=bag, article="a", title="A", amount=price)
    return bag


def prices(talon: Any) -> dict[str, list[Decimal]]:
    """Return what each Application was told."""
    return {
        alias: [
            body["cartItems"][0]["price"]
            for body in session_calls(talon)
            if body.get("cartItems") and body["id"] in talon.state(alias)["sessions"]
        ]
        for alias in ("eur", "usd")
    }


def test_C4_carts_in_euro_and_dollars_hit_different_keys(currencies):
    bag_of("EUR", 10)
    bag_of("USD", 12)
    deliver_all()
    assert prices(currencies) == {"eur": [Decimal(10)], "usd": [Decimal(12)]}
    assert sorted(CustomerSession.objects.values_list("application", flat=True)) == ["eur", "usd"]
    answer = django_talon.evaluate(bag_of("USD", 12))
    assert (answer.answered, answer.currency) == (True, "USD")


def test_C4_a_currency_without_an_application_goes_to_the_one_the_router_names(
    currencies, settings
):
    settings.TALON_ONE = {
        **settings.TALON_ONE,
        "ROUTER": lambda row: {"USD": "usd"}.get(getattr(row, "currency", ""), "eur"),
    }
    bag_of("CHF", 11)
    deliver_all()
    assert prices(currencies) == {"eur": [Decimal(11)], "usd": []}


def test_C4_a_cart_that_changes_its_currency_leaves_the_one_application_for_the_other(currencies):
    bag = bag_of("EUR", 10)
    deliver_all()
    Bag.objects.filter(pk=bag.pk).update(currency="USD")
    bag.refresh_from_db()
    answer = django_talon.evaluate(bag)
    assert (answer.answered, answer.currency) == (True, "USD")
    assert prices(currencies)["usd"] == []  # the worker has to cancel the other session first
    bag.save()
    deliver_all()
    assert prices(currencies)["usd"] == [Decimal(10)]
    [left] = currencies.state("eur")["sessions"].values()
    assert left["state"] == "cancelled"
    assert CustomerSession.objects.get(state="open").application == "usd"


def test_C5_the_router_may_be_a_dotted_path(currencies, settings):
    path = "tests.integration.test_applications.by_currency"
    settings.TALON_ONE = {**settings.TALON_ONE, "ROUTER": path}
    bag_of("USD", 12)
    deliver_all()
    assert prices(currencies) == {"eur": [], "usd": [Decimal(12)]}


def test_C5_each_application_has_a_breaker_of_its_own(currencies):
    currencies.faults.add(match={"application": "eur"}, do={"status": {"code": 503}})
    dead = [bag_of("EUR", 10) for _ in range(6)]
    for _ in range(6):
        all_due_but_resting_endpoints()
        delivery.drain()
    failing = Endpoint.objects.get()
    assert (failing.application, failing.health) == ("eur", "failing")
    Endpoint.objects.update(until=clock.now() + timedelta(hours=1))  # however slow the machine
    before = len(currencies.calls())
    bag_of("USD", 12)
    delivery.drain()
    delivery.drain()
    assert prices(currencies)["usd"] == [Decimal(12)]
    assert len(currencies.calls()) == before + 1  # nobody asks the one that rests
    assert {row.aggregate for row in OutboxRow.objects.all()} == {
        f"cart:shops.bag:{bag.pk}" for bag in dead
    }
    currencies.faults.clear()
    all_due()
    deliver_all()
    assert len(prices(currencies)["eur"]) == 6
    assert not DeadLetter.objects.exists()


def all_due_but_resting_endpoints() -> None:
    from django_talon.models import Lane
    from django_talon.outbox import clock

    Lane.objects.update(blocked_until=None)
    OutboxRow.objects.update(due_at=clock.now())


@pytest.mark.parametrize("router", [broken, unknown])
def test_C5_a_router_that_fails_loses_nothing(currencies, settings, router):
    working = settings.TALON_ONE
    settings.TALON_ONE = {**working, "ROUTER": router}
    bag = bag_of("USD", 12)
    django_talon.track("newsletter", {}, customer=Member.objects.create(), cart=bag)
    assert not django_talon.evaluate(bag).answered
    for _ in range(4):
        all_due()
        delivery.drain()
    assert OutboxRow.objects.filter(aggregate=f"cart:shops.bag:{bag.pk}").count() == 3
    assert not DeadLetter.objects.exists()
    assert currencies.calls() == []
    settings.TALON_ONE = working
    all_due()
    deliver_all()
    assert prices(currencies) == {"eur": [], "usd": [Decimal(12)]}
    assert len(currencies.calls("trackEventV2")) == 1
    assert not OutboxRow.objects.exists()


def test_C5_an_event_keeps_the_application_of_a_cart_that_is_gone(currencies):
    member = Member.objects.create()
    bag = Bag.objects.create(currency="USD", member=member)
    django_talon.track("newsletter", {}, customer=member, cart=bag)
    bag.delete()
    deliver_all()
    assert len(currencies.calls("trackEventV2")) == 1
    assert [e["type"] for e in currencies.state("usd")["events"]] == ["newsletter"]
