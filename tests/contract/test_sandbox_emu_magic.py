"""Feature 19: values that a tester types into a shop, and that fail so many times."""

from __future__ import annotations

import json

import pytest

from django_talon.sandbox import wire
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")

SESSIONS = "/v2/customer_sessions"


class Hand:
    """Somebody with a shop and no control calls."""

    def __init__(self, **options):
        self.sandbox = Sandbox(load("demo"), **options)

    def send(self, method, path, body=None):
        headers = {"authorization": "ApiKey-v1 sbx-shop"}
        raw = b"" if body is None else json.dumps(body).encode()
        return self.sandbox.handle(wire.Request(method, path, headers, raw))

    def cart(self, name="cart", **content):
        item = {"sku": "mug-1", "name": "Mug", "quantity": 1, "price": 50}
        body = {"customerSession": {"cartItems": [item], **content}}
        return self.send("PUT", f"{SESSIONS}/{name}", body)


def test_emu_19_three_failures_then_recovered():
    tester = Hand()
    assert tester.cart().status == 200
    answers = [tester.cart(couponCodes=["SBX-503-3"]) for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 503, 200]
    assert answers[0].headers["X-Sandbox-Reason"] == "fault rule 1: status"
    kinds = [effect["effectType"] for effect in wire.decode(answers[3].body)["effects"]]
    assert kinds == ["acceptCoupon", "setDiscount"]
    assert tester.cart(couponCodes=["SBX-503-3"]).status == 200
    assert tester.cart("other", couponCodes=["SBX-409"]).status == 409


def test_emu_19_ids_that_begin_with_it():
    tester = Hand()
    limited = tester.cart(profileId="sbx-429-1-ada")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "1")
    assert tester.cart(profileId="sbx-429-1-ada").status == 200
    assert tester.cart("SBX-RESET-2-cart") == tester.cart("SBX-RESET-2-cart") == wire.Broken()
    assert tester.cart("SBX-RESET-2-cart").status == 200


def test_emu_19_slow_is_a_delay():
    tester = Hand()
    room = tester.sandbox.rooms.enter("shop")
    room.magic.notice(room.journal.draft(wire.Request("GET", "/"), "default"))
    assert room.faults.rules == []
    entry = room.journal.draft(wire.Request("GET", "/"), "default")
    entry.profile_id = "sbx-slow-ada"
    room.magic.notice(entry)
    [rule] = room.faults.rules
    assert (rule.action.name, rule.action.seconds, rule.when) == ("delay", 3.0, {"first": 1})


def test_emu_19_old_sessions_and_reservations_name_codes_too():
    tester = Hand()
    assert tester.send("PUT", "/v1/customer_sessions/s", {"coupon": "SBX-500-1"}).status == 500
    path = "/v1/coupon_reservations/SBX-502-1"
    assert tester.send("POST", path, {"integrationIDs": ["ada"]}).status == 502


@pytest.mark.parametrize("code", ["SBX-503x", "SBX-603-1", "sbx-slower", "MY-SBX-503", "SBX-503-0"])
def test_emu_19_what_only_looks_like_it_is_left_alone(code):
    assert Hand().cart(couponCodes=[code], profileId=code).status == 200


def test_emu_19_can_be_disabled():
    assert Hand(magic=False).cart(couponCodes=["SBX-503-3"]).status == 200
