"""Feature 15: one engine behind both doors, and this one needs no network."""

from __future__ import annotations

import socket

import pytest

from django_talon.client import IntegrationClient
from django_talon.sandbox.doors.in_process import SandboxAdapter
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox

ITEM = {"sku": "mug-1", "name": "Mug", "quantity": 1, "price": 99.99}


def test_emu_15_these_tests_can_open_no_socket():
    with socket.socket() as one:
        for act in (one.connect, one.connect_ex, one.bind):
            with pytest.raises(AssertionError, match="must need no socket"):
                act(("127.0.0.1", 9))


def test_emu_15_the_client_is_answered_without_a_socket():
    sandbox = Sandbox(load("demo"))
    client = IntegrationClient(
        "http://sandbox.test", api_key="sbx-w", adapter=SandboxAdapter(sandbox)
    )
    cart = {"cartItems": [ITEM], "couponCodes": ["WELCOME10"]}
    said = client.update_customer_session_v2("s1", {"customerSession": cart})
    assert [effect.effect_type for effect in said.effects] == ["acceptCoupon", "setDiscount"]
    assert list(sandbox.rooms.enter("w").world.applications["default"].sessions) == ["s1"]
