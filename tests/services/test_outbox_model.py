"""The randomised model: writers that roll back, workers, lost and late answers, an erasure, events.

At the end Talon.One has what the shop's database has: nothing stale, nothing lost, nothing twice,
nobody resurrected, and no two calls about one customer at a time. With a rule of delivery taken
out, the same model fails. ``TALON_TEST_SEEDS`` says how many seeds are run.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction

import django_talon
from django_talon import privacy
from django_talon.models import CustomerSession, DeadLetter, Endpoint, Erasure, OutboxRow
from django_talon.outbox import clock, delivery, rows
from example_project.shop.models import Cart, CartItem, Order, Profile
from tests.helpers import (
    UPDATE,
    all_due,
    cart_with,
    customer,
    deliver_all,
    order_of,
    product,
    session_calls,
    wait_for,
)
from tests.services import model_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

SEEDS = int(os.environ.get("TALON_TEST_SEEDS", "5"))
#: Within so many seeds a rule that is missing has to show.
MOST = 15
WRITERS, PROCESSES, THREADS, TURNS = 5, 2, 3, 10


class Undo(Exception):
    pass


class Model:
    """One run: five writers, six workers in two processes, and trouble at Talon.One."""

    def __init__(self, talon, processes, seed: int, rule: str = "") -> None:
        self.talon, self.processes, self.seed, self.rule = talon, processes, seed, rule
        #: Events whose transaction committed.
        self.events: list[str] = []
        self.people = [self._person(f"c{number}") for number in range(3)]
        owners = [*self.people, self.people[0], None]
        self.carts = [cart_with(("p0", "2.00", 1), user=owner).pk for owner in owners]

    def _person(self, name: str) -> User:
        person = customer(name)
        Profile.objects.create(user=person, tier="gold")
        return person

    def run(self) -> None:
        for number in range(4):
            product(f"p{number}", "2.00")
        self._trouble()
        rules = [self.rule] if self.rule in model_worker.RULES else []
        workers = [
            self.processes.start("-m", "tests.services.model_worker", str(THREADS), *rules)
            for _ in range(PROCESSES)
        ]
        wait_for(lambda: self.talon.calls(), within=60)
        writers = [
            threading.Thread(target=self._write, args=(self.seed * 100 + number,))
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        privacy.erase(self.people[2])
        for writer in writers:
            writer.join()
        self._last_words()
        wait_for(settled, within=120)
        for worker in workers:
            self.processes.kill(worker, 15)

    def _trouble(self) -> None:
        """Answers get lost, changes come late, calls are slow or refused for a while."""
        late = {"phase": "late_apply", "seconds": 1.0, "do": {"reset": {}}}
        for seed, fault in enumerate(
            (
                {"phase": "after_apply", "do": {"reset": {}}, "when": {"probability": 0.05}},
                {**late, "when": {"probability": 0.15}},
                {"phase": "before_apply", "do": {"status": {"code": 503}}, "when": {"every": 17}},
                {"phase": "before_apply", "do": {"delay": {"seconds": 0.05}}, "when": {"every": 2}},
            )
        ):
            self.talon.faults.add(match={"method": "PUT"}, seed=self.seed * 10 + seed, **fault)

    def _write(self, seed: int) -> None:
        """Change carts at random, as shoppers do; some changes and savepoints roll back."""
        chance = random.Random(seed)
        try:
            for turn in range(TURNS):
                self._turn(chance, f"e{seed}-{turn}")
        finally:
            connections.close_all()

    def _turn(self, chance: random.Random, event: str) -> None:
        try:
            with transaction.atomic():
                # The shop's own rows: two transactions on one cart come one after the other.
                cart = Cart.objects.select_for_update().get(pk=chance.choice(self.carts))
                if chance.random() < 0.3:
                    change(chance, cart)
                inner = rolled_back if chance.random() < 0.4 else committed
                inner(lambda: change(chance, cart))
                if chance.random() < 0.7:
                    change(chance, cart)
                tells = cart.user is not None and chance.random() < 0.4
                if tells:
                    django_talon.track("newsletter", {"source": event}, customer=cart.user)
                if chance.random() < 0.2:
                    raise Undo
        except Undo:
            return
        if tells and cart.user != self.people[2]:
            self.events.append(event)

    def _last_words(self) -> None:
        """An order, an erased person's traces, and a change after a savepoint that rolled back."""
        for pk in (self.carts[0], self.carts[2]):
            one_more(pk)
        django_talon.track("newsletter", {"source": "too late"}, customer=self.people[2])
        with transaction.atomic():
            order_of(Cart.objects.get(pk=self.carts[0]))
        wait_for(settled, within=120)  # what waits would bring the next change along
        with transaction.atomic():
            rolled_back(lambda: one_more(self.carts[3]))
            one_more(self.carts[3])

    def faults(self) -> list[str]:
        """Return what is wrong at the end."""
        judged = {"overlap", "write-after-erase"}
        found = [self._told(v) for v in self.talon.violations() if v["monitor"] in judged]
        if DeadLetter.objects.exists():
            found.append(f"dead letters: {list(DeadLetter.objects.values_list('reason'))}")
        there, here = remote(self.talon), local()
        found += [f"stale: {key} {there.get(key)} {here[key]}" for key in here
                  if there.get(key) != here[key]]  # fmt: skip
        told = Counter(event["attributes"]["source"] for event in self._events())
        if told != Counter(self.events):
            found.append(f"events: {told - Counter(self.events)} {Counter(self.events) - told}")
        erased = self.talon.state()["profiles"].get(str(self.people[2].pk), {})
        if erased.get("attributes"):
            found.append(f"resurrected: {erased}")
        if self.talon.state()["profiles"][str(self.people[0].pk)]["closedSessions"] != 1:
            found.append("the order was not closed once")
        return found

    def _told(self, violation) -> str:
        """Say what a monitor found, with the times of the calls that it is about."""
        shown = ("index", "operation", "started", "ended", "outcome", "status", "faults")
        calls = [call for call in self.talon.calls() if call["index"] in violation["calls"]]
        lines = [str([call[name] for name in shown]) for call in calls]
        return "\n".join([violation["details"], *lines])

    def _events(self):
        """Return the custom events of those who are not erased; the sandbox has its own, too."""
        erased = str(self.people[2].pk)
        return [
            event
            for event in self.talon.state()["events"]
            if event["type"] == "newsletter" and event["profileId"] != erased
        ]


def committed(work) -> None:
    with transaction.atomic():
        work()


def rolled_back(work) -> None:
    try:
        with transaction.atomic():
            work()
            raise Undo
    except Undo:
        pass


def one_more(pk: int) -> None:
    item, _made = CartItem.objects.get_or_create(cart_id=pk, product=product("p0"))
    item.quantity += 1
    item.save()


def change(chance: random.Random, cart: Cart) -> None:
    item, _made = CartItem.objects.get_or_create(
        cart=cart, product=product(f"p{chance.randrange(4)}", "2.00")
    )
    if chance.random() < 0.25:
        item.delete()
    else:
        item.quantity = chance.randrange(1, 9)
        item.save()


@pytest.fixture
def model(talon, processes, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 2.5, "LEASE": 5, "DEADLINE": 2}

    def make(seed: int, rule: str = "") -> Model:
        made = Model(talon, processes, seed, rule)
        made.run()
        return made

    return make


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_model_ends_with_what_the_database_says(model, seed):
    assert model(seed).faults() == []


@pytest.mark.parametrize(
    ("rule", "monitor"), [("lease", "overlap"), ("tombstone", "write-after-erase")]
)
def test_emu_12_the_model_without_a_rule_lights_up_its_monitor(model, talon, rule, monitor):
    for seed in range(MOST):
        found = model(seed, rule).faults()
        if found and monitor in {violation["monitor"] for violation in talon.violations()}:
            return
        start_again(talon)
    pytest.fail(f"{MOST} seeds did not notice that there is no {rule}: no {monitor}")


@pytest.mark.parametrize("rule", ["hold", "ids_seen", "marks"])
def test_the_model_notices_that_a_rule_is_missing(model, talon, monkeypatch, rule):
    if rule == "marks":
        mark_once_in_a_transaction(monkeypatch)
    for seed in range(MOST):
        found = model(seed, rule).faults()
        if any(fault.startswith(("stale", "events")) for fault in found):
            return
        start_again(talon)
    pytest.fail(f"{MOST} seeds did not notice that there is no {rule}")


def start_again(talon) -> None:
    talon.reset()
    for kind in (Order, Cart, User, CustomerSession, Erasure, OutboxRow, Endpoint):
        kind.objects.all().delete()
    OutboxRow.objects.all().delete()


def test_the_model_fails_without_hold(talon, settings, monkeypatch):
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 300}
    assert late_change(talon) == 3
    talon.reset()
    model_worker.without_hold(monkeypatch)
    assert late_change(talon) == 2


def late_change(talon) -> int:
    """Lose an answer whose change comes late; change the cart again meanwhile."""
    cart = cart_with(("mug", "1.00", 1))
    deliver_all()
    talon.clock.freeze()
    talon.faults.add(UPDATE, when={"first": 1}, phase="late_apply", seconds=1.0, do={"reset": {}})
    for quantity in (2, 3):
        CartItem.objects.filter(cart=cart).update(quantity=quantity)
        django_talon.mark(cart)
        delivery.drain()
    talon.clock.advance(2)
    wait_for(lambda: quantity_of(talon) == 2)
    all_due()
    deliver_all()
    return quantity_of(talon)


def quantity_of(talon) -> int:
    [session] = talon.state()["sessions"].values()
    return session["cartItems"][0]["quantity"]


def test_the_model_fails_without_deleting_only_what_was_read(talon, monkeypatch):
    assert out_of_order(talon) == 7
    talon.reset()
    model_worker.without_ids_seen(monkeypatch)
    assert out_of_order(talon) == 1


def out_of_order(talon) -> int:
    """Let a row with a low number commit while a later one is delivered; return what is told."""
    from django_talon.signals import pre_send

    cart = cart_with(("mug", "1.00", 1))
    mark = OutboxRow.objects.filter(aggregate=f"cart:shop.cart:{cart.pk}").latest("pk")
    OutboxRow.objects.all().delete()
    OutboxRow.objects.filter(pk=mark.pk).delete()
    mark.pk += 1000
    mark.save(force_insert=True)

    def commit_late(operation, **_):
        pre_send.disconnect(commit_late)
        CartItem.objects.filter(cart=cart).update(quantity=7)
        mark.pk -= 500
        mark.save(force_insert=True)

    pre_send.connect(commit_late, weak=False)
    try:
        deliver_all()
    finally:
        pre_send.disconnect(commit_late)
    return session_calls(talon)[-1]["cartItems"][0]["quantity"]


def test_the_model_fails_with_marks_saved_once_per_transaction(talon, monkeypatch):
    assert marked_after_rollback(talon) == 5
    talon.reset()
    mark_once_in_a_transaction(monkeypatch)
    assert marked_after_rollback(talon) == 1


def mark_once_in_a_transaction(monkeypatch) -> None:
    """Write no second mark of an aggregate in one transaction, whatever rolled back in it."""
    insert = rows.insert

    def once(new, using):
        blocks = connections[using].atomic_blocks
        seen = vars(blocks[0]).setdefault("seen", set()) if blocks else set()
        insert([row for row in new if row.aggregate not in seen], using)
        seen.update(row.aggregate for row in new)

    for module in ("rows", "marks", "receivers", "submitting"):
        monkeypatch.setattr(f"django_talon.outbox.{module}.insert", once, raising=False)


def marked_after_rollback(talon) -> int:
    """Change a cart in a savepoint that rolls back, then again; return what is told."""
    cart = cart_with(("mug", "1.00", 1))
    deliver_all()
    with transaction.atomic():
        rolled_back(cart.save)
        item = cart.items.get()
        item.quantity = 5
        item.save()
    deliver_all()
    return session_calls(talon)[-1]["cartItems"][0]["quantity"]


def settled() -> bool:
    """Hurry what waits, and say whether nothing is left."""
    Endpoint.objects.exclude(until=None).update(until=clock.now())
    return not OutboxRow.objects.exists()


Content = tuple[str, list[tuple[str, int]]]


def local() -> dict[str, Content]:
    """What each cart's session should be: the order's lines once there is an order."""
    found = {}
    for cart in Cart.objects.all():
        order = Order.objects.filter(cart=cart).first()
        lines = (order.lines if order else cart.items).order_by("pk")
        content = [(line.product.sku, line.quantity) for line in lines]
        found[f"cart:shop.cart:{cart.pk}"] = ("closed" if order else "open", content)
    return found


def remote(talon) -> dict[str, Content]:
    """What Talon.One has for each cart: its latest session, all older ones being cancelled."""
    sessions = talon.state()["sessions"]
    sessions = {session["integrationId"]: session for session in sessions.values()}
    found: dict[str, Content] = {}
    for known in CustomerSession.objects.order_by("pk"):
        session = sessions.get(known.integration_id)
        if session is not None:
            lines = [(item["sku"], item["quantity"]) for item in session["cartItems"]]
            before = found.get(known.cart)
            state = session["state"]
            if before is not None and before[0] != "cancelled":
                state = f"{state}, and another is {before[0]}"
            found[known.cart] = (state, lines)
    return found
