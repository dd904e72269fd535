"""``talon.evaluate``: the one answer that a shopper waits for."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection, transaction

import django_talon
from django_talon.checkout import PromotionsUnavailable
from django_talon.models import CodeEntry, CustomerSession, Evaluation, Lane, OutboxRow
from django_talon.outbox import clock, lanes
from tests.helpers import (
    UPDATE,
    all_due,
    cart_with,
    customer,
    deliver_all,
    order_of,
    session_calls,
)

pytestmark = pytest.mark.django_db(transaction=True)


def dry_calls(talon):
    return [call for call in talon.calls(UPDATE) if call["query"].get("dry") == "true"]


def test_D1_a_discount_of_the_session_and_an_accepted_coupon(talon):
    cart = cart_with(("mug", "33.33", 3), user=customer())
    answer = django_talon.evaluate(cart, enter=["WELCOME10"])
    # 10 % of 99.99 is 9.999 at Talon.One, and 10.00 when it is paid.
    assert (answer.subtotal, answer.discount, answer.total) == (
        Decimal("99.99"),
        Decimal("10.00"),
        Decimal("94.89"),
    )
    assert answer.accepted == ["WELCOME10"]
    assert [(d.name, d.amount) for d in answer.discounts] == [
        ("10 % welcome discount", Decimal("10.00"))
    ]
    [line] = answer.lines.values()
    assert (line.discount, line.total) == (Decimal("10.00"), Decimal("89.99"))
    assert answer.answered
    assert CodeEntry.objects.get().status == "accepted"


def test_D1_a_rejected_coupon_says_why_and_is_not_sent_again(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    answer = django_talon.evaluate(cart, enter=["NOPE"])
    assert [(r.code, r.reason, r.message) for r in answer.rejected] == [
        ("NOPE", "CouponNotFound", "We do not know this code.")
    ]
    assert answer.discount == 0
    again = django_talon.evaluate(cart)
    assert [r.code for r in again.rejected] == ["NOPE"]
    assert session_calls(talon)[-1]["couponCodes"] == []


def test_the_four_effects_by_a_discount_per_item(talon):
    cart = cart_with(("mug", "10.00", 2), ("mug-blue", "8.00", 1), ("tea", "5.00", 1))
    answer = django_talon.evaluate(cart, enter=["MUGS5"])
    assert answer.accepted == ["MUGS5"]
    per_item = [e for e in answer.effects if e.effect_type == "setDiscountPerItem"]
    assert per_item
    assert answer.discount == sum((e.props.value for e in per_item), Decimal(0))
    assert sum((line.discount for line in answer.lines.values()), Decimal(0)) == answer.discount


def test_a_stored_answer_is_used_while_the_cart_is_the_same(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    first = django_talon.evaluate(cart)
    assert django_talon.evaluate(cart) == first
    assert len(talon.calls(UPDATE)) == 1
    django_talon.evaluate(cart, fresh=True)
    assert len(talon.calls(UPDATE)) == 2
    cart.items.update(quantity=2)
    assert django_talon.evaluate(cart).subtotal == Decimal("20.00")
    assert len(talon.calls(UPDATE)) == 3


def test_an_answer_retires_the_marks_it_answers(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    django_talon.evaluate(cart)
    assert not OutboxRow.objects.filter(aggregate=f"cart:shop.cart:{cart.pk}").exists()
    deliver_all()
    assert len(talon.calls(UPDATE)) == 1


def test_inside_a_transaction_the_question_is_dry(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    with transaction.atomic():
        answer = django_talon.evaluate(cart, enter=["WELCOME10"])
    assert answer.discount == Decimal("1.00")
    assert len(dry_calls(talon)) == len(talon.calls(UPDATE)) == 1
    assert OutboxRow.objects.filter(kind="mark").exists()
    assert not CustomerSession.objects.exists()
    deliver_all()
    [real] = session_calls(talon)
    assert real["couponCodes"] == ["WELCOME10"]


def test_while_a_worker_has_the_cart_the_question_is_dry(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    lease = lanes.acquire(f"cart:shop.cart:{cart.pk}", clock.now())
    assert django_talon.evaluate(cart).answered
    assert len(dry_calls(talon)) == 1
    lanes.release(lease)
    deliver_all()
    assert len(session_calls(talon)) == 1


def test_a_waiting_fact_keeps_its_turn(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    order_of(cart)
    assert django_talon.evaluate(cart, fresh=True).answered
    assert len(dry_calls(talon)) == 1
    assert OutboxRow.objects.filter(kind="closed").exists()


def test_an_outage_leaves_the_shop_at_full_price(talon_sandbox, talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    django_talon.evaluate(cart, enter=["WELCOME10"])
    talon_sandbox.stop()
    try:
        cart.items.update(quantity=2)
        answer = django_talon.evaluate(cart)
    finally:
        talon_sandbox.start()
    assert (answer.answered, answer.discount, answer.total) == (False, 0, Decimal("24.90"))


@pytest.mark.parametrize(
    ("policy", "same_cart", "discount"),
    [
        pytest.param("open", True, "0", id="open: no promotions"),
        pytest.param("last_known", True, "1.00", id="last known: the answer for this very cart"),
        pytest.param("last_known", False, "0", id="last known: never one for another cart"),
    ],
)
def test_policies_when_no_answer_comes(talon, settings, policy, same_cart, discount):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    django_talon.evaluate(cart, enter=["WELCOME10"])
    settings.TALON_ONE = {**settings.TALON_ONE, "ON_FAILURE": policy}
    talon.faults.add(match={}, phase="before_apply", do={"status": {"code": 503}})
    if not same_cart:
        cart.items.update(quantity=2)
    assert django_talon.evaluate(cart, fresh=True).discount == Decimal(discount)


def test_the_policy_closed_refuses_to_sell(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ON_FAILURE": "closed"}
    talon.faults.add(match={}, phase="before_apply", do={"status": {"code": 503}})
    with pytest.raises(PromotionsUnavailable, match="ON_FAILURE"):
        django_talon.evaluate(cart_with(("mug", "10.00", 1)))


def test_the_budget_ends_a_call_that_hangs(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "CHECKOUT_BUDGET": 0.3}
    cart = cart_with(("mug", "10.00", 1), user=customer())
    talon.faults.add(match={"operation": UPDATE}, phase="after_apply", do={"hang": {"seconds": 5}})
    assert not django_talon.evaluate(cart).answered
    # The call may still be worked on: the lane is held, and the marks wait.
    lane = Lane.objects.get(key=f"cart:shop.cart:{cart.pk}")
    assert lane.why == "hold"
    assert OutboxRow.objects.filter(lane=lane.key).exists()
    talon.faults.clear()
    all_due()
    deliver_all()
    assert CustomerSession.objects.get().state == "open"


def test_codes_may_be_taken_out_again(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    assert django_talon.evaluate(cart, enter=["WELCOME10"]).discount == Decimal("1.00")
    assert django_talon.evaluate(cart, remove=["welcome10"]).discount == 0
    assert session_calls(talon)[-1]["couponCodes"] == []


def test_an_empty_cart_asks_nothing(talon):
    from example_project.shop.models import Cart

    answer = django_talon.evaluate(Cart.objects.create())
    assert (answer.subtotal, answer.discount, answer.answered) == (0, 0, True)
    assert talon.calls() == []


def test_a_wrong_mapping_does_not_break_the_page(talon, settings):
    settings.TALON_ONE = {}
    answer = django_talon.evaluate(cart_with(("mug", "10.00", 1)))
    assert not answer.answered


def test_eight_requests_at_once_and_a_worker_never_overlap(talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    errors = []

    def shopper(number):
        try:
            for quantity in range(1, 4):
                cart.items.update(quantity=quantity + number)
                django_talon.mark(cart)
                django_talon.evaluate(cart)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=shopper, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_due()
    deliver_all()
    assert not errors
    assert [v for v in talon.violations() if v.get("monitor") == "overlap"] == []
    session = CustomerSession.objects.get()
    stored = session_calls(talon)[-1]["cartItems"][0]["quantity"]
    assert stored == cart.items.get().quantity
    assert Evaluation.objects.get().fingerprint == session.fingerprint


def test_an_ordered_cart_keeps_its_answer_and_makes_no_call(talon):
    cart = cart_with(("mug", "10.00", 1), user=customer())
    django_talon.evaluate(cart)
    order_of(cart)
    deliver_all()
    made = len(talon.calls())
    assert django_talon.evaluate(cart, fresh=True).subtotal == Decimal("10.00")
    assert len(talon.calls()) == made
    assert CustomerSession.objects.count() == 1


def test_a_cart_that_became_the_order_is_not_asked_about(talon):
    from tests.shops.models import Invoice

    invoice = Invoice.objects.create(status="complete")
    invoice.lines.create(code="a", label="A", cents=1250)
    deliver_all()
    made = len(talon.calls())
    assert django_talon.evaluate(invoice).total == Decimal("12.50")
    assert len(talon.calls()) == made


def test_guests_that_are_not_sent_are_not_asked_about(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "GUESTS": "off"}
    guest = cart_with(("mug", "10.00", 1))
    assert django_talon.evaluate(guest).total == Decimal("14.90")
    order_of(guest)
    deliver_all()
    assert talon.calls() == []


def test_a_code_with_a_nul_is_only_an_unknown_code(talon):
    answer = django_talon.evaluate(cart_with(("mug", "10.00", 1)), enter=["A\0B", " "])
    assert [refusal.code for refusal in answer.rejected] == ["AB"]
