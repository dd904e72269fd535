"""The REST endpoints: the visitor's own cart, whatever ids the client sends."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from django_talon.models import CodeEntry
from django_talon.shop import registry
from example_project.shop.carts import SESSION_KEY
from tests.helpers import UPDATE, cart_with, customer

pytestmark = pytest.mark.django_db(transaction=True)

EVALUATE, COUPONS = "/talon/evaluate/", "/talon/coupons/"
#: Every name under which somebody might try to say whose cart is meant.
NAMES = [
    "id",
    "pk",
    "cart",
    "cart_id",
    "cartId",
    "order",
    "customer",
    "user",
    "user_id",
    "profileId",
    "profile_id",
    "session",
    "session_id",
    "sessionId",
    "customerSessionId",
    "integrationId",
    "application",
]


@pytest.fixture
def ada(client):
    user = customer()
    client.force_login(user)
    return user


def post(client, url, body=None, **extra):
    return client.post(url, json.dumps(body), content_type="application/json", **extra)


def visit_as_guest(client, cart):
    session = client.session
    session[SESSION_KEY] = cart.pk
    session.save()


def test_evaluate_says_what_the_cart_costs(client, ada, talon):
    cart = cart_with(("mug", "33.33", 3), ("pen", "1.00", 1), user=ada)
    mug, pen = cart.items.all()
    answer = client.post(EVALUATE)
    assert answer.status_code == 200
    assert answer.json() == {
        "currency": "EUR",
        "subtotal": "100.99",
        "additional_costs": "4.90",
        "discount": "0.00",
        "total": "105.89",
        "answered": True,
        "discounts": [],
        "lines": [
            {"key": str(mug.pk), "discount": "0.00", "total": "99.99"},
            {"key": str(pen.pk), "discount": "0.00", "total": "1.00"},
        ],
        "accepted": [],
        "rejected": [],
        "notifications": [],
        "free_items": [],
    }


def test_a_coupon_is_entered_and_taken_out(client, ada, talon):
    cart = cart_with(("mug", "33.33", 3), user=ada)
    [mug] = cart.items.all()
    entered = post(client, COUPONS, {"code": "  WELCOME10 "})
    assert entered.status_code == 200
    found = entered.json()
    assert found["accepted"] == ["WELCOME10"]
    assert found["discounts"] == [{"name": "10 % welcome discount", "amount": "10.00"}]
    assert found["lines"] == [{"key": str(mug.pk), "discount": "10.00", "total": "89.99"}]
    assert (found["discount"], found["total"]) == ("10.00", "94.89")
    removed = client.delete(f"{COUPONS}WELCOME10/")
    assert removed.status_code == 200
    assert (removed.json()["accepted"], removed.json()["discount"]) == ([], "0.00")
    assert not CodeEntry.objects.exists()


def test_a_refused_code_is_in_the_answer_with_reason_and_text(client, ada, talon):
    cart_with(("mug", "10.00", 1), user=ada)
    found = post(client, COUPONS, {"code": "NOPE"}).json()
    assert found["rejected"] == [
        {"code": "NOPE", "reason": "CouponNotFound", "message": "We do not know this code."}
    ]


def test_notifications_and_free_items(client, ada, talon):
    cart_with(("chair", "200.00", 1), user=ada)
    found = post(client, COUPONS, {"code": "GIFT"}).json()
    assert found["free_items"] == [{"sku": "sticker", "name": "Sticker"}]
    [notification] = found["notifications"]
    assert (notification["kind"], notification["title"]) == ("Info", "10 off")


def test_a_code_may_hold_a_slash_and_other_odd_characters(client, ada, talon):
    cart = cart_with(("mug", "10.00", 1), user=ada)
    for code, path in [("A/B", "A%2FB"), ("50 % ü", "50%20%25%20%C3%BC"), ("..", "%2E%2E")]:
        assert post(client, COUPONS, {"code": code}).status_code == 200
        assert CodeEntry.objects.get(cart=f"cart:shop.cart:{cart.pk}").code == code
        assert client.delete(f"{COUPONS}{path}/").status_code == 200
        assert not CodeEntry.objects.exists()


def test_amounts_have_the_digits_of_their_currency(client, ada, talon, settings):
    cart_with(("mug", "33.00", 3), user=ada)
    for currency, total in [("JPY", "104"), ("KWD", "103.900")]:
        settings.TALON_ONE = {**settings.TALON_ONE, "CURRENCY": currency}
        assert client.post(EVALUATE).json()["total"] == total


def test_a_guest_has_a_cart_too(client, talon):
    cart = cart_with(("mug", "10.00", 2))
    visit_as_guest(client, cart)
    assert client.post(EVALUATE).json()["subtotal"] == "20.00"


def test_without_a_cart_404(client, ada, talon):
    problem = {"code": "no_cart", "detail": "You have no cart yet."}
    for answer in (
        client.post(EVALUATE),
        post(client, COUPONS, {"code": "WELCOME10"}),
        client.delete(f"{COUPONS}WELCOME10/"),
    ):
        assert (answer.status_code, answer.json()) == (404, problem)
    assert talon.calls() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": ""},
        {"code": "   "},
        {"code": None},
        {"code": "x" * 101},
        {"code": "A\0B"},
        {"code": "\ud800"},
        {"code": True},
        {"code": ["WELCOME10"]},
        {"code": {"value": "WELCOME10"}},
        ["WELCOME10"],
        "WELCOME10",
        None,
    ],
)
def test_what_is_no_code_is_400_and_changes_nothing(client, ada, talon, body):
    cart_with(("mug", "10.00", 1), user=ada)
    answer = post(client, COUPONS, body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_code"
    assert isinstance(answer.json()["detail"], str)
    assert not CodeEntry.objects.exists()
    assert talon.calls() == []


def test_what_is_no_json_is_400(client, ada, talon):
    cart_with(("mug", "10.00", 1), user=ada)
    answer = client.post(COUPONS, "{", content_type="application/json")
    assert answer.status_code == 400
    assert not CodeEntry.objects.exists()


@pytest.mark.parametrize("path", ["%00", "A%00B", "x" * 101, "%20"])
def test_what_is_no_code_cannot_be_taken_out(client, ada, talon, path):
    cart_with(("mug", "10.00", 1), user=ada)
    answer = client.delete(f"{COUPONS}{path}/")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_code")


def test_without_talon_one_the_price_is_the_shops(client, ada, talon_sandbox, talon):
    cart_with(("mug", "10.00", 1), user=ada)
    talon_sandbox.stop()
    try:
        found = client.post(EVALUATE).json()
    finally:
        talon_sandbox.start()
    assert (found["total"], found["answered"]) == ("14.90", False)


def test_a_closed_policy_is_503(client, ada, talon_sandbox, talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "ON_FAILURE": "closed"}
    cart_with(("mug", "10.00", 1), user=ada)
    talon_sandbox.stop()
    try:
        answer = client.post(EVALUATE)
    finally:
        talon_sandbox.start()
    assert answer.status_code == 503
    assert answer.json() == {
        "code": "promotions_unavailable",
        "detail": "Promotions cannot be worked out at the moment. Please try again.",
    }


def test_a_logged_in_visitor_needs_the_csrf_token(ada, talon):
    cart_with(("mug", "10.00", 1), user=ada)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(EVALUATE).status_code == 403
    strict.get("/cart/")
    token = strict.cookies["csrftoken"].value
    assert strict.post(EVALUATE, headers={"x-csrftoken": token}).status_code == 200


@pytest.mark.parametrize("url", [EVALUATE, COUPONS, f"{COUPONS}X/"])
def test_nothing_happens_by_a_link(client, ada, url):
    assert client.get(url).status_code == 405


def test_an_adapter_that_does_not_say_which_cart_it_is_says_what_to_do(client, ada, monkeypatch):
    written = {name: a for name, a in registry._adapters.items() if "example" not in name}
    monkeypatch.setattr(registry, "_adapters", written)
    with pytest.raises(NotImplementedError, match="current_cart"):
        client.post(EVALUATE)
    monkeypatch.setattr(registry, "_adapters", {})
    assert client.post(EVALUATE).status_code == 404


# J3: ids come from the shop's resolver, never from the client.


def claims(cart, user):
    """Return what an attacker would send to reach this cart."""
    values = [cart.pk, str(cart.pk), f"cart:shop.cart:{cart.pk}", user.pk, [cart.pk]]
    return [dict.fromkeys(NAMES, value) for value in values]


@pytest.fixture
def victim(talon):
    user = customer("victim")
    cart = cart_with(("gold", "1000.00", 1), user=user)
    CodeEntry.objects.create(cart=f"cart:shop.cart:{cart.pk}", code="GIFT")
    return cart


def test_J3_evaluate_ignores_every_id_in_body_query_and_headers(client, ada, talon, victim):
    cart = cart_with(("mug", "10.00", 1), user=ada)
    mine = client.post(EVALUATE).json()
    assert mine["subtotal"] == "10.00"
    for claim in claims(victim, victim.user):
        assert post(client, EVALUATE, claim).json() == mine
        assert client.post(EVALUATE, claim).json() == mine
        assert client.post(EVALUATE, query_params=claim).json() == mine
        headers = {f"X-{name}": str(value) for name, value in claim.items()}
        assert client.post(EVALUATE, headers=headers).json() == mine
    asked = {call["body"]["customerSession"]["profileId"] for call in talon.calls(UPDATE)}
    assert asked == {str(ada.pk)}
    assert cart.items.count() == 1


def test_J3_fresh_is_not_for_the_client_to_say(client, ada, talon):
    cart_with(("mug", "10.00", 1), user=ada)
    client.post(EVALUATE)
    before = len(talon.calls())
    post(client, EVALUATE, {"fresh": True})
    client.post(EVALUATE, query_params={"fresh": "true"})
    assert len(talon.calls()) == before


def test_J3_coupons_go_into_ones_own_cart_only(client, ada, talon, victim):
    cart = cart_with(("mug", "10.00", 1), user=ada)
    for claim in claims(victim, victim.user):
        assert post(client, COUPONS, {**claim, "code": "WELCOME10"}).status_code == 200
        assert client.post(COUPONS, {"code": "WELCOME10"}, query_params=claim).status_code == 200
        url = f"{COUPONS}GIFT/"
        body = json.dumps(claim)
        assert client.delete(url, body, content_type="application/json").status_code == 200
        assert client.delete(url, query_params=claim).status_code == 200
    entries = set(CodeEntry.objects.values_list("cart", "code"))
    assert entries == {
        (f"cart:shop.cart:{cart.pk}", "WELCOME10"),
        (f"cart:shop.cart:{victim.pk}", "GIFT"),
    }


def test_J3_without_a_cart_of_ones_own_there_is_none(client, talon, victim):
    stranger = customer("stranger")
    for visitor in (None, stranger):
        if visitor is not None:
            client.force_login(visitor)
        for claim in claims(victim, victim.user):
            assert post(client, EVALUATE, claim).status_code == 404
            assert post(client, COUPONS, {**claim, "code": "X"}).status_code == 404
        assert client.delete(f"{COUPONS}GIFT/").status_code == 404
    assert talon.calls() == []
    assert CodeEntry.objects.get().code == "GIFT"


def test_J3_anothers_cart_is_not_found_by_a_guests_session(client, talon, victim):
    visit_as_guest(client, victim)
    assert client.post(EVALUATE).status_code == 404
