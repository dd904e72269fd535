"""The ways of a shopper through a shop that saves as django-oscar does, request by request.

For each: the rows that the outbox got, the calls once it is drained, and what was sent last.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

import django_talon
from django_talon.models import CustomerSession, DeadLetter, OutboxRow
from tests.helpers import deliver_all, session_calls
from tests.shops.bazaar.models import Basket, Line, Order, Product, StockRecord, Voucher

pytestmark = pytest.mark.django_db(transaction=True)

SEED = {
    "attributes": {
        "CustomerProfile": {"tier": "string"},
        "CustomerSession": {"vouchers": "(list string)"},
        "CartItem": {"options": "(list string)"},
    },
    "additionalCosts": ["shipping"],
}


class Shopper:
    """A browser, and what its requests led to."""

    def __init__(self, talon: Any) -> None:
        self.talon = talon
        self.browser = Client()
        #: Rows in the outbox after each action, before it was drained.
        self.rows = 0

    def does(self, path: str, **data: Any) -> Any:
        """Send a form, and load the page after it."""
        return self._watched(lambda: self.browser.post(path, data))

    def sees(self, path: str = "/") -> Any:
        return self._watched(lambda: self.browser.get(path))

    def _watched(self, request: Any) -> Any:
        before = OutboxRow.objects.count()
        response = request()
        assert response.status_code in (200, 302), response.content
        self.rows = OutboxRow.objects.count() - before
        return response

    def calls(self) -> list[dict[str, Any]]:
        """Drain, and return the sessions that Talon.One got because of it."""
        before = len(session_calls(self.talon))
        deliver_all()
        assert not OutboxRow.objects.exists()
        assert not DeadLetter.objects.exists()
        assert self.talon.violations() == []
        assert {call["status"] for call in self.talon.calls()} <= {200, 201}
        return session_calls(self.talon)[before:]


def items(body: dict[str, Any]) -> dict[str, int]:
    return {item["sku"]: item["quantity"] for item in body["cartItems"]}


@pytest.fixture(params=[True, False], ids=["ATOMIC_REQUESTS", "autocommit"])
def shopper(request, talon, settings, monkeypatch) -> Shopper:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    settings.ROOT_URLCONF = "tests.shops.bazaar.urls"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.shops.bazaar.middleware.BasketMiddleware"]
    talon.reset(seed=SEED)
    for sku, price in (("mug", "10.00"), ("tea", "5.00"), ("pot", "25.00")):
        product = Product.objects.create(title=sku.title())
        StockRecord.objects.create(product=product, partner_sku=sku, price=price)
    return Shopper(talon)


@pytest.fixture
def ada(shopper) -> Shopper:
    """A shopper with an account, logged in, whose profile Talon.One has."""
    shopper.does("/register/", name="ada")
    shopper.calls()
    return shopper


def signed_out_guest(shopper: Shopper) -> None:
    User.objects.create_user("ada", password="secret")
    shopper.calls()


# A: the basket


def test_golden_A1_to_A5_a_guest_fills_a_basket_in_five_calls_at_most(shopper):
    sent = []
    shopper.does("/add/mug/")  # A1
    assert shopper.rows == 2
    sent += shopper.calls()
    shopper.sees()
    assert (shopper.rows, shopper.calls()) == (0, [])
    shopper.does("/add/mug/")  # A2
    assert shopper.rows == 1
    sent += shopper.calls()
    shopper.does("/add/tea/")  # A3
    assert shopper.rows == 1
    sent += shopper.calls()
    shopper.does("/quantities/", mug=3, tea=4)  # A4
    assert shopper.rows == 2
    sent += shopper.calls()
    shopper.does("/quantities/", mug=3, tea=4)  # A4b
    assert (shopper.rows, shopper.calls()) == (0, [])
    shopper.does("/quantities/", tea=0)  # A5
    assert shopper.rows == 1
    sent += shopper.calls()
    assert [items(body) for body in sent] == [
        {"mug": 1},
        {"mug": 2},
        {"mug": 2, "tea": 1},
        {"mug": 3, "tea": 4},
        {"mug": 3},
    ]
    assert len({body["id"] for body in sent}) == 1
    assert {body["state"] for body in sent} == {"open"}
    assert sent[-1]["profileId"] == f"guest-{sent[-1]['id']}"


def test_golden_A1_to_A5_at_once_are_one_call(shopper):
    for _ in range(2):
        shopper.does("/add/mug/")
    shopper.does("/add/tea/")
    shopper.does("/quantities/", mug=3, tea=4)
    shopper.does("/quantities/", tea=0)
    [sent] = shopper.calls()
    assert items(sent) == {"mug": 3}


def test_golden_J1_options_are_saved_after_their_line(shopper):
    shopper.does("/add/mug/", engraving="Ada")
    assert shopper.rows == 3
    [sent] = shopper.calls()
    assert sent["cartItems"][0]["attributes"] == {"options": ["Ada"]}


def test_golden_A6_an_unknown_code_changes_nothing(shopper):
    shopper.does("/add/mug/")
    shopper.calls()
    shopper.does("/voucher/", code="NONESUCH")
    assert (shopper.rows, shopper.calls()) == (0, [])


def test_golden_A7_a_good_voucher_is_told_by_its_relation_only(shopper):
    Voucher.objects.create(code="SUMMER")
    shopper.does("/add/mug/")
    shopper.calls()
    shopper.does("/voucher/", code="SUMMER")
    assert shopper.rows == 1
    [sent] = shopper.calls()
    assert sent["attributes"] == {"vouchers": ["SUMMER"]}


def test_golden_A8_a_refused_voucher_makes_no_call(shopper):
    Voucher.objects.create(code="SUMMER", minimum=1000)
    shopper.does("/add/mug/")
    shopper.calls()
    shopper.does("/voucher/", code="SUMMER")
    assert shopper.rows == 2
    assert shopper.calls() == []


def test_golden_a_voucher_taken_out_again_is_one_call(shopper):
    Voucher.objects.create(code="SUMMER")
    shopper.does("/add/mug/")
    shopper.does("/voucher/", code="SUMMER")
    shopper.calls()
    shopper.does("/voucher/remove/", code="SUMMER")
    assert shopper.rows == 1
    [sent] = shopper.calls()
    assert sent["attributes"] == {"vouchers": []}


# B, C: login, and a basket kept for later


def test_golden_B1_a_login_touches_no_basket(shopper):
    signed_out_guest(shopper)
    shopper.does("/add/mug/")
    shopper.calls()
    shopper.does("/login/", name="ada")
    assert (shopper.rows, shopper.calls()) == (0, [])


def test_golden_B2_two_baskets_become_one_in_the_page_after_the_login(ada):
    Voucher.objects.create(code="SUMMER")
    ada.does("/add/mug/")
    ada.does("/add/pot/")
    [hers] = ada.calls()
    ada.browser = Client()
    ada.does("/add/mug/", quantity=3)
    ada.does("/add/tea/")
    ada.does("/voucher/", code="SUMMER")
    [guests] = ada.calls()
    ada.does("/login/", name="ada")
    assert ada.rows == 0
    ada.sees()  # the basket is merged while the page is rendered, each save in its own commit
    # line of both: 1 saved, 1 deleted; line that moves: told to both; basket; voucher out and in
    assert ada.rows == 7
    sent = ada.calls()
    assert len(sent) == 2
    [alive] = [body for body in sent if body["state"] == "open"]
    [dead] = [body for body in sent if body["state"] == "cancelled"]
    assert (alive["id"], dead["id"]) == (hers["id"], guests["id"])
    assert items(alive) == {"mug": 3, "pot": 1, "tea": 1}
    assert alive["attributes"] == {"vouchers": ["SUMMER"]}
    assert alive["profileId"] == str(User.objects.get().pk)
    assert ada.talon.state()["sessions"][guests["id"]]["state"] == "cancelled"


def test_golden_B2_a_first_basket_of_the_customers_own_takes_the_guests_lines(shopper):
    signed_out_guest(shopper)
    shopper.does("/add/mug/")
    [guests] = shopper.calls()
    shopper.does("/login/", name="ada")
    shopper.sees()
    # basket made; line that moves, told to both; the guest's basket
    assert shopper.rows == 4
    sent = shopper.calls()
    assert len(sent) == 2
    assert {(body["id"] == guests["id"], body["state"]) for body in sent} == {
        (True, "cancelled"),
        (False, "open"),
    }
    assert sent[0]["state"] == "open" or not sent[0].get("cartItems")
    assert Basket.objects.get(status="Merged").pk == Basket.objects.order_by("pk")[0].pk


def test_golden_two_open_baskets_of_one_customer_are_merged_by_the_next_page(ada):
    ada.does("/add/mug/")
    second = Basket.objects.create(owner=User.objects.get())
    second.add_product(StockRecord.objects.get(partner_sku="tea"))
    ada.calls()
    ada.sees()
    assert ada.rows == 3
    sent = ada.calls()
    assert sorted(body["state"] for body in sent) == ["cancelled", "open"]
    [alive] = [body for body in sent if body["state"] == "open"]
    assert items(alive) == {"mug": 1, "tea": 1}


def test_golden_C1_a_line_saved_for_later_leaves_the_open_basket(ada):
    ada.does("/add/mug/")
    ada.does("/add/tea/")
    ada.calls()
    ada.does(f"/later/{Line.objects.get(stockrecord__partner_sku='tea').pk}/")
    # saved basket; the line, told to both: no signal of the shop names the open one
    assert ada.rows == 3
    [sent] = ada.calls()
    assert (sent["state"], items(sent)) == ("open", {"mug": 1})


# D: from basket to order


def test_golden_D1_to_D5_an_order_is_one_call_and_the_page_after_it_none(ada):
    ada.does("/add/mug/", quantity=2)
    ada.does("/add/tea/")
    [opened] = ada.calls()
    for _ in range(3):
        ada.does("/checkout/", shipping="express")  # D1 to D3
        assert (ada.rows, ada.calls()) == (0, [])
    ada.does("/order/")  # D4
    # basket frozen, order without lines, two lines, basket submitted
    assert ada.rows == 5
    [closed] = ada.calls()
    assert closed["id"] == opened["id"]
    assert closed["state"] == "closed"
    assert items(closed) == {"mug": 2, "tea": 1}
    assert closed["additionalCosts"] == {"shipping": {"price": Decimal("4.90")}}
    ada.sees("/thanks/")  # D5, and a page with an empty basket
    assert ada.rows == 1  # the new empty basket; the order's stamp is noise
    assert ada.calls() == []
    ada.sees("/thanks/")
    assert ada.rows == 0
    assert CustomerSession.objects.get().state == "closed"


def test_golden_D4_a_guests_order(shopper):
    shopper.does("/add/mug/")
    shopper.does("/order/")
    [closed] = shopper.calls()
    assert (closed["state"], items(closed)) == ("closed", {"mug": 1})


# E: after the order


def ordered(shopper: Shopper, *skus: str) -> Order:
    for sku in skus or ("mug", "tea"):
        shopper.does(f"/add/{sku}/")
    shopper.does("/order/")
    shopper.calls()
    return Order.objects.get()


def test_golden_E1_to_E3_what_happens_to_an_order_that_stays_one(ada):
    order = ordered(ada)
    ada.does(f"/orders/{order.pk}/status/", status="Being processed")  # E1
    assert ada.rows == 3
    assert ada.calls() == []
    for kind in ("Shipped", "Paid"):  # E2, E3
        ada.does(f"/orders/{order.pk}/happen/", kind=kind)
        assert (ada.rows, ada.calls()) == (0, [])


def test_golden_E5_a_cancelled_order_is_one_call_after_the_cascade(ada):
    order = ordered(ada)
    ada.does(f"/orders/{order.pk}/status/", status="Cancelled")
    assert ada.rows == 3
    [sent] = ada.calls()
    assert sent["state"] == "cancelled"
    ada.does(f"/orders/{order.pk}/status/", status="Cancelled")
    assert ada.calls() == []


# F: accounts


def test_golden_F1_an_account_is_one_profile(shopper):
    shopper.does("/register/", name="ada")
    assert shopper.rows == 1
    assert shopper.calls() == []
    [profile] = shopper.talon.calls("updateCustomerProfileV2")
    assert profile["profileId"] == str(User.objects.get().pk)


def test_golden_F3_a_deleted_account_takes_its_baskets_along_and_leaves_its_orders(ada):
    order = ordered(ada)
    ada.does("/add/pot/")
    [opened] = ada.calls()
    ada.does("/delete/")
    order.refresh_from_db()
    assert (order.basket, order.user) == (None, None)
    # user; the submitted basket with two lines, the open one with one
    assert ada.rows == 6
    [sent] = ada.calls()
    assert (sent["id"], sent["state"]) == (opened["id"], "cancelled")
    assert CustomerSession.objects.exclude(order="").get().state == "closed"
    # The link to the order's session outlives both.
    ada.browser.post(f"/orders/{order.pk}/status/", {"status": "Cancelled"})
    [sent] = ada.calls()
    assert sent["state"] == "cancelled"


# I, N: what goes wrong on the way


def test_golden_I1_a_refused_card_makes_no_call(ada):
    ada.does("/add/mug/")
    ada.calls()
    ada.does("/order/", payment="refused")
    assert ada.rows == 2
    assert ada.calls() == []


def test_golden_I2_to_I4_3d_secure_and_a_basket_filled_meanwhile(ada):
    ada.does("/add/mug/")
    [first] = ada.calls()
    ada.does("/order/", payment="redirect")  # I2
    assert ada.rows == 1
    assert ada.calls() == []
    ada.does("/add/tea/")  # I3: a basket of its own
    assert ada.rows == 2
    [second] = ada.calls()
    assert second["id"] != first["id"]
    assert items(second) == {"tea": 1}
    ada.sees("/back/?paid=yes")
    [closed] = ada.calls()
    assert (closed["id"], closed["state"], items(closed)) == (first["id"], "closed", {"mug": 1})
    assert ada.talon.state()["sessions"][second["id"]]["state"] == "open"


def test_golden_I4_and_I5_back_from_the_bank_without_having_paid(ada):
    ada.does("/add/mug/")
    [first] = ada.calls()
    ada.does("/order/", payment="redirect")
    ada.does("/add/tea/")
    [second] = ada.calls()
    ada.sees("/back/?paid=no")
    sent = ada.calls()
    assert len(sent) == 2
    by_state = {body["state"]: body for body in sent}
    assert items(by_state["open"]) == {"mug": 1, "tea": 1}
    assert {by_state["open"]["id"], by_state["cancelled"]["id"]} == {first["id"], second["id"]}


def test_golden_I4_a_guest_comes_back_from_the_bank_and_the_page_fails(shopper, settings):
    shopper.does("/add/mug/")
    [first] = shopper.calls()
    shopper.does("/order/", payment="redirect")
    shopper.sees()
    shopper.browser.raise_request_exception = False
    before = OutboxRow.objects.count()
    # As Oscar's: the guest's new basket has no row yet, and its lines are asked for.
    assert shopper.browser.get("/back/?paid=no").status_code == 500
    is_atomic = connections.settings["default"]["ATOMIC_REQUESTS"]
    assert OutboxRow.objects.count() - before == (0 if is_atomic else 1)
    assert shopper.calls() == []  # thawed or still frozen: the cart of the same session
    assert shopper.talon.state()["sessions"][first["id"]]["state"] == "open"


def test_golden_N1_a_basket_open_again_although_its_order_exists(ada):
    ada.does("/add/mug/")
    ada.calls()
    ada.does("/order/", mail="fails")
    [closed] = ada.calls()
    assert closed["state"] == "closed"
    assert Basket.objects.get(status="Open")
    ada.does("/add/tea/")  # the shopper goes on in it
    [again] = ada.calls()
    assert (again["state"], items(again)) == ("open", {"mug": 1, "tea": 1})
    assert again["id"] != closed["id"]
    assert ada.talon.state()["sessions"][closed["id"]]["state"] == "closed"


def test_golden_H5_a_deleted_basket_cancels_its_session(ada):
    ada.does("/add/mug/")
    ada.does("/add/tea/")
    ada.calls()
    Basket.objects.get().delete()
    assert OutboxRow.objects.count() == 3
    [sent] = ada.calls()
    assert sent["state"] == "cancelled"


# H, L: what no signal tells


def silently_changed(how: str) -> dict[str, int]:
    """Change the lines of the basket as projects do; return what it holds then."""
    basket = Basket.objects.get()
    line = basket.lines.get()
    if how == "H2 update()":
        basket.lines.update(quantity=4)
        return {"mug": 4}
    if how == "H3 bulk_create()":
        tea = StockRecord.objects.get(partner_sku="tea")
        Line.objects.bulk_create(
            [Line(basket=basket, line_reference="tea", stockrecord=tea, price_excl_tax=5)]
        )
        return {"mug": 1, "tea": 1}
    line.quantity = 6
    Line.objects.bulk_update([line], ["quantity"])
    return {"mug": 6}


def reconcile() -> None:
    with pytest.raises(CommandError, match="1 went into the outbox, 0 cannot"):
        call_command("talon_reconcile", verbosity=0)


BULK = ["H2 update()", "H3 bulk_create()", "H4 bulk_update()"]


@pytest.mark.parametrize("how", BULK)
def test_golden_H2_to_H4_bulk_calls_are_silent_until_they_are_marked(ada, how):
    ada.does("/add/mug/")
    ada.calls()
    held = silently_changed(how)
    assert not OutboxRow.objects.exists()
    django_talon.mark(Basket.objects.all())
    assert OutboxRow.objects.count() == 1
    [sent] = ada.calls()
    assert items(sent) == held


@pytest.mark.parametrize("how", BULK)
def test_golden_H2_to_H4_bulk_calls_are_found_by_reconcile(ada, how):
    ada.does("/add/mug/")
    ada.calls()
    held = silently_changed(how)
    reconcile()
    [sent] = ada.calls()
    assert items(sent) == held


def test_golden_L1_a_new_price_reaches_every_open_cart_by_reconcile(ada):
    ada.does("/add/mug/")
    ada.calls()
    StockRecord.objects.filter(partner_sku="mug").update(price="12.00")
    assert not OutboxRow.objects.exists()
    reconcile()
    [sent] = ada.calls()
    assert sent["cartItems"][0]["price"] == Decimal("12.00")
    call_command("talon_reconcile", verbosity=0)
    assert ada.calls() == []
