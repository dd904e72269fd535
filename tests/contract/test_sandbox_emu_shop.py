"""What only a shop shows: its client and its pytest run against the sandbox."""

from __future__ import annotations

import logging
import socket

import pytest
import requests

from django_talon.client import IntegrationClient, specification
from django_talon.sandbox.operations import SPECIFICATION
from django_talon.testing.guard import Guard, RealTalonOneError

# 14: no test reaches a real Talon.One


@pytest.fixture
def guarded():
    made = Guard()
    made.on = True
    return made


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.getaddrinfo", ("shop.europe-west1.talon.one", 443)),
        ("socket.getaddrinfo", (b"SHOP.talon.one.", 443)),
        ("socket.getaddrinfo", ("promotions.shop.test", 443)),
        ("socket.connect", (None, ("203.0.113.7", 443))),
    ],
)
def test_emu_14_real_deployments_are_refused(guarded, settings, event, arguments):
    settings.TALON_ONE = {
        "APPLICATIONS": {
            "default": {"BASE_URL": "https://promotions.shop.test", "API_KEY": "0f"},
            "outlet": {"BASE_URL": "https://203.0.113.7", "API_KEY": "1f"},
        }
    }
    with pytest.raises(RealTalonOneError, match="would have reached the real Talon.One at"):
        guarded.look(event, arguments)
    assert len(guarded.blocked) == 1
    guarded.on = False
    guarded.look(event, arguments)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.getaddrinfo", ("127.0.0.1", 8181)),
        ("socket.getaddrinfo", ("localhost", 8181)),
        ("socket.getaddrinfo", (None, 8181)),
        ("socket.getaddrinfo", ("sandbox.internal", 8181)),
        ("socket.getaddrinfo", ("example.test", 80)),
        ("socket.connect", (None, "/run/postgresql.sock")),
        ("open", ("shop.talon.one", "r", 0)),
    ],
)
def test_emu_14_all_else_is_left_alone(guarded, settings, event, arguments):
    for keys in ("sbx-shop", ["sbx-new", "sbx-shop"]):
        settings.TALON_ONE = {"BASE_URL": "http://sandbox.internal:8181", "API_KEY": keys}
        guarded.look(event, arguments)
    settings.TALON_ONE = None
    guarded.look(event, arguments)
    assert guarded.blocked == []


@pytest.mark.talon_one(real=True)
def test_emu_14_a_mark_lets_a_test_out():
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("nowhere.talon.one", 9), timeout=0.2)


# 25: the same API on both sides


def client_of(talon):
    patient = {"timeout": (10, 30), "deadline": 60}
    return IntegrationClient(talon.url, api_key=talon.key, **patient)


def test_emu_25_client_and_sandbox_know_the_same_api(talon_one, caplog):
    assert specification.SPECIFICATION == SPECIFICATION
    health = requests.get(f"{talon_one.url}/_sandbox/health", timeout=20).json()
    assert health["specification"] == SPECIFICATION
    client_of(talon_one).update_customer_profile_v2("ada", {})
    assert caplog.records == []


def test_emu_25_the_client_warns_once_of_another_api(talon_one, caplog, monkeypatch):
    monkeypatch.setattr(specification, "SPECIFICATION", "0123456789abcdef")
    monkeypatch.setattr(specification, "_told", set())
    for _ in range(2):
        client_of(talon_one).update_customer_profile_v2("ada", {})
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("django_talon.client", logging.WARNING)
    assert record.getMessage() == (
        f"The sandbox speaks the API {SPECIFICATION}, this client was built for 0123456789abcdef:"
        " use both from the same version of django-talon."
    )
