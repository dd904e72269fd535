"""The randomised model: writers that roll back, workers, lost and late answers.

At the end Talon.One has what the shop's database has: nothing stale, nothing
lost, and no two calls about one customer at a time. ``TALON_TEST_SEEDS`` says
how many seeds are run.
"""

from __future__ import annotations

import os
import random
import threading

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction

from django_talon.models import CustomerSession, DeadLetter, Endpoint, OutboxRow
from django_talon.outbox import clock
from example_project.shop.models import Cart, CartItem, Order
from tests.helpers import cart_with, customer, order_of, product, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

SEEDS = int(os.environ.get("TALON_TEST_SEEDS", "2"))
WRITERS, WORKERS, TURNS = 5, 4, 14


class Undo(Exception):
    pass


def write(seed: int, carts: list[int]) -> None:
    """Change carts at random, as shoppers do; some changes and savepoints roll back."""
    chance = random.Random(seed)
    try:
        for _ in range(TURNS):
            cart = Cart.objects.filter(pk=chance.choice(carts)).first()
            if cart is not None:
                one_turn(chance, cart)
    finally:
        connections.close_all()


def one_turn(chance: random.Random, cart: Cart) -> None:
    try:
        with transaction.atomic():
            # The shop's own rows: two transactions on one cart come one after the other.
            Cart.objects.select_for_update().get(pk=cart.pk)
            change(chance, cart)
            try:
                with transaction.atomic():
                    change(chance, cart)
                    if chance.random() < 0.3:
                        raise Undo
            except Undo:
                pass
            if chance.random() < 0.2:
                raise Undo
    except Undo:
        pass


def change(chance: random.Random, cart: Cart) -> None:
    sku = f"p{chance.randrange(4)}"
    item, _made = CartItem.objects.get_or_create(cart=cart, product=product(sku, "2.00"))
    if chance.random() < 0.25:
        item.delete()
    else:
        item.quantity = chance.randrange(1, 9)
        item.save()


@pytest.fixture
def trouble(talon):
    """Answers get lost, come late, or are refused for a while."""
    for seed, fault in enumerate(
        (
            {"phase": "after_apply", "do": {"reset": {}}, "when": {"probability": 0.08}},
            {"phase": "late_apply", "seconds": 0.6, "when": {"probability": 0.08}},
            {"phase": "before_apply", "do": {"status": {"code": 503}}, "when": {"every": 13}},
            {"phase": "before_apply", "do": {"delay": {"seconds": 0.05}}, "when": {"every": 3}},
        )
    ):
        talon.faults.add(match={}, seed=seed, **fault)
    return talon


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_model_ends_with_what_the_database_says(trouble, talon, processes, settings, seed):
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 2}
    for number in range(4):
        product(f"p{number}", "2.00")
    people: list[User | None] = [customer(f"c{n}") for n in range(3)]
    carts = [cart_with(("p0", "2.00", 1), user=owner).pk for owner in [*people, people[0], None]]
    for _ in range(WORKERS):
        processes.relay()
    writers = [threading.Thread(target=write, args=(seed * 100 + n, carts)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ordered = Cart.objects.get(pk=carts[0])
    if ordered.items.exists():
        with transaction.atomic():
            order_of(ordered)
    talon.faults.clear()
    wait_for(settled, within=180)

    assert not DeadLetter.objects.exists()
    assert [v for v in talon.violations() if v["monitor"] == "overlap"] == []
    assert remote(talon) == local()


def settled() -> bool:
    """Hurry what waits, and say whether nothing is left."""
    Endpoint.objects.exclude(until=None).update(until=clock.now())
    return not OutboxRow.objects.exists()


def local() -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """What each cart's session should be: the order's lines once there is an order."""
    found = {}
    for cart in Cart.objects.all():
        order = Order.objects.filter(cart=cart).first()
        lines = (order.lines if order else cart.items).order_by("pk")
        content = [(line.product.sku, line.quantity) for line in lines]
        if CustomerSession.objects.filter(cart=f"cart:shop.cart:{cart.pk}").exists():
            found[f"cart:shop.cart:{cart.pk}"] = ("closed" if order else "open", content)
        else:
            assert not content
    return found


def remote(talon) -> dict[str, tuple[str, list[tuple[str, int]]]]:
    carts = dict(CustomerSession.objects.values_list("integration_id", "cart"))
    return {
        carts[session["integrationId"]]: (
            session["state"],
            [(item["sku"], item["quantity"]) for item in session["cartItems"]],
        )
        for session in talon.state()["sessions"].values()
    }
