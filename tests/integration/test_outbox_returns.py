"""Items given back and orders opened again, from the shop's save to what Talon.One received."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_talon.models import CustomerSession, DeadLetter, EffectRecord, OutboxRow
from django_talon.signals import effects_received
from tests.helpers import all_due, deliver_all, states
from tests.shops.models import Bag, BagEntry, Invoice, Member, Purchase

pytestmark = pytest.mark.django_db(transaction=True)

RETURN, REOPEN = "returnCartItems", "reopenCustomerSession"


def bought(*lines, stage=1):
    """Buy (article, price, count) lines; return the purchase, closed at Talon.One."""
    bag = Bag.objects.create(member=Member.objects.create())
    purchase = Purchase.objects.create(bag=bag, member=bag.member)
    for article, amount, count in lines:
        fields = {"article": article, "title": article, "amount": amount, "count": count}
        BagEntry.objects.create(bag=bag, **fields)
        purchase.entries.create(**fields)
    purchase.stage = stage
    purchase.save()
    deliver_all()
    return purchase


def give_back(purchase, article, units):
    entry = purchase.entries.get(article=article)
    entry.came_back = units
    entry.save()


def returns(talon):
    return [call["body"]["return"]["returnedCartItems"] for call in talon.calls(RETURN)]


def test_A3_a_refund_of_one_of_three_units_sends_one_return_at_its_position(talon):
    purchase = bought(("tea", 4, 1), ("mug", 10, 3))
    give_back(purchase, "mug", 1)
    deliver_all()
    assert returns(talon) == [[{"position": 1, "quantity": 1}]]
    assert CustomerSession.objects.get().state == "partially_returned"

    purchase.entries.get(article="mug").save()
    purchase.save()
    deliver_all()
    assert len(talon.calls(RETURN)) == 1

    give_back(purchase, "mug", 3)
    give_back(purchase, "tea", 1)
    deliver_all()
    assert returns(talon)[1:] == [[{"position": 0, "quantity": 1}, {"position": 1, "quantity": 2}]]
    [session] = talon.state()["sessions"].values()
    assert [item["remainingQuantity"] for item in session["cartItems"]] == [0, 0]
    keys = [call["idempotencyKey"] for call in talon.calls(RETURN)]
    assert len(set(keys)) == 2
    assert all(keys)
    assert not DeadLetter.objects.exists()
    assert not OutboxRow.objects.exists()


def test_A3_a_return_whose_answer_got_lost_is_sent_again_with_the_same_key_and_body(talon):
    purchase = bought(("mug", 10, 3))
    talon.faults.add(RETURN, when={"first": 1}, phase="after_apply", do={"reset": {}})
    give_back(purchase, "mug", 1)
    deliver_all()
    give_back(purchase, "mug", 2)
    all_due()
    deliver_all()
    first, again, second = talon.calls(RETURN)
    assert first["idempotencyKey"] == again["idempotencyKey"] != second["idempotencyKey"]
    assert first["body"] == again["body"]
    [session] = talon.state()["sessions"].values()
    assert session["cartItems"][0]["returnedQuantity"] == 2


def test_A3_reopening_is_idempotent_and_a_return_follows_the_second_close(talon):
    purchase = bought(("mug", 10, 3))
    purchase.stage = 5
    purchase.save()
    deliver_all()
    assert len(talon.calls(REOPEN)) == 1
    assert talon.calls(REOPEN)[0]["idempotencyKey"]
    assert states(talon)[-1] == "open"
    purchase.save()
    purchase.entries.create(article="tea", title="tea", amount=4, count=1)
    deliver_all()
    assert len(talon.calls(REOPEN)) == 1

    purchase.stage = 2
    purchase.save()
    deliver_all()
    give_back(purchase, "tea", 1)
    deliver_all()
    assert states(talon)[-1] == "closed"
    assert returns(talon) == [[{"position": 1, "quantity": 1}]]
    session = CustomerSession.objects.get()
    assert (session.state, session.drift_at) == ("partially_returned", None)
    assert not DeadLetter.objects.exists()


def test_A3_a_status_without_a_meaning_never_opens_an_order_again(talon):
    purchase = bought(("mug", 10, 3))
    before = len(talon.calls())
    purchase.stage = 7
    purchase.save()
    deliver_all()
    assert len(talon.calls()) == before
    assert CustomerSession.objects.get().state == "closed"


def test_A3_a_reopening_whose_answer_got_lost_is_made_once(talon):
    purchase = bought(("mug", 10, 3))
    talon.faults.add(REOPEN, when={"first": 1}, phase="after_apply", do={"reset": {}})
    purchase.stage = 5
    purchase.save()
    deliver_all()
    all_due()
    deliver_all()
    assert len({call["idempotencyKey"] for call in talon.calls(REOPEN)}) == 1
    assert CustomerSession.objects.get().state == "open"
    assert not DeadLetter.objects.exists()


def test_A3_in_a_shop_of_one_model(talon):
    invoice = Invoice.objects.create(user=User.objects.create_user("ada"))
    line = invoice.lines.create(code="a", label="A", cents=1250, pieces=2)
    for status in ("complete", "editing", "complete"):
        invoice.status = status
        invoice.save()
        deliver_all()
    line.refunded = 2
    line.save()
    deliver_all()
    assert len(talon.calls(REOPEN)) == 1
    assert returns(talon) == [[{"position": 0, "quantity": 2}]]
    assert CustomerSession.objects.count() == 1
    invoice.status = "void"
    invoice.save()
    deliver_all()
    assert states(talon)[-1] == "cancelled"


def test_A3_after_a_return_an_order_is_cancelled_but_not_opened_again(talon):
    purchase = bought(("mug", 10, 3))
    give_back(purchase, "mug", 1)
    deliver_all()
    purchase.stage = 5
    purchase.save()
    deliver_all()
    assert talon.calls(REOPEN) == []
    [letter] = DeadLetter.objects.all()
    assert letter.kind == "reopened"
    assert "partially_returned and cannot become that" in letter.reason
    purchase.stage = 9
    purchase.save()
    deliver_all()
    assert states(talon)[-1] == "cancelled"


@pytest.mark.parametrize(
    ("article", "units", "complaint"),
    [
        ("mug", 1, "1 fewer of line"),
        ("mug", 4, "4 of line {mug} are given back, but 3 were bought"),
        ("late", 1, "line {late} was not in the cart that closed the session"),
    ],
)
def test_A3_what_talon_one_cannot_be_told_is_a_dead_letter_once(talon, article, units, complaint):
    purchase = bought(("mug", 10, 3), ("tea", 4, 2))
    give_back(purchase, "mug", 2)
    purchase.entries.create(article="late", title="late", amount=1, count=1)
    deliver_all()
    before = len(talon.calls(RETURN))
    give_back(purchase, article, units)
    deliver_all()
    purchase.save()
    deliver_all()
    [letter] = DeadLetter.objects.all()
    pks = {entry.article: entry.pk for entry in purchase.entries.all()}
    assert complaint.format(**pks) in letter.reason
    assert letter.kind == "returned"
    assert len(talon.calls(RETURN)) == before

    give_back(purchase, "tea", 1)
    deliver_all()
    assert returns(talon)[-1] == [{"position": 1, "quantity": 1}]


def test_B3_rollback_effects_of_a_return_are_on_the_order_and_signals_fire(talon):
    seen = []
    listener = lambda effects, session, **_: seen.append(  # noqa: E731
        (session.order, [effect.effect_type for effect in effects])
    )
    bag = Bag.objects.create(member=Member.objects.create())
    BagEntry.objects.create(bag=bag, article="mug", title="Mug", amount=10, count=3)
    import django_talon

    django_talon.evaluate(bag, enter=["MUGS5"])
    purchase = Purchase.objects.create(bag=bag, member=bag.member, stage=1)
    entry = purchase.entries.create(article="mug", title="Mug", amount=10, count=3)
    deliver_all()
    effects_received.connect(listener)
    try:
        entry.came_back = 1
        entry.save()
        deliver_all()
        purchase.stage = 9
        purchase.save()
        deliver_all()
    finally:
        effects_received.disconnect(listener)
    [session] = CustomerSession.objects.all()
    kept = EffectRecord.objects.filter(session=session, state="partially_returned")
    assert [(r.effect_type, r.amount) for r in kept] == [("rollbackDiscount", Decimal("0.5"))]
    order = f"order:shops.purchase:{purchase.pk}"
    assert seen[0] == (order, ["rollbackDiscount"])
    undone = EffectRecord.objects.filter(session=session, state="cancelled")
    assert {r.effect_type for r in undone} == {"rollbackDiscount", "rollbackCoupon"}


def test_a_return_that_talon_one_refuses_is_not_sent_again_at_each_save(talon):
    purchase = bought(("mug", 10, 3))
    talon.faults.add(RETURN, when={"first": 1}, do={"status": {"code": 400}})
    give_back(purchase, "mug", 1)
    deliver_all()
    purchase.save()
    deliver_all()
    assert len(talon.calls(RETURN)) == 1
    [letter] = DeadLetter.objects.all()
    assert (letter.kind, letter.status) == ("returned", 400)
    from django_talon.outbox.replay import replay

    replay([letter])
    deliver_all()
    assert CustomerSession.objects.get().state == "partially_returned"


def test_A3_reconcile_finds_a_return_that_no_signal_told(talon):
    purchase = bought(("mug", 10, 3))
    purchase.entries.update(came_back=2)
    with pytest.raises(CommandError, match="1 differed: 1 went into the outbox"):
        call_command("talon_reconcile", verbosity=0)
    deliver_all()
    assert returns(talon) == [[{"position": 0, "quantity": 2}]]
