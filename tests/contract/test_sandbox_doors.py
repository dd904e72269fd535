"""The in-process door, and the pytest fixtures that shops opt into."""

from __future__ import annotations

import pytest
import requests
from django.conf import settings as django_settings

from django_talon import testing
from django_talon.sandbox.doors.in_process import SandboxAdapter
from django_talon.sandbox.seeds import load
from django_talon.sandbox.service import Sandbox
from django_talon.testing.plugin import TalonOne, pointed

from .sandbox_wire import World, item

BASE = "http://sandbox.test"


@pytest.fixture
def session():
    made = requests.Session()
    made.mount(BASE, SandboxAdapter(Sandbox(load("demo"))))
    made.headers["Authorization"] = "ApiKey-v1 sbx-w"
    with made:
        yield made


def test_in_process_is_the_same_engine(session):
    body = {"customerSession": {"couponCodes": ["WELCOME10"], "cartItems": [item(99.99)]}}
    said = session.put(f"{BASE}/v2/customer_sessions/a%2Fb", json=body)
    assert said.status_code == 200
    assert b'"value":9.999' in said.content
    journal = session.get(f"{BASE}/_sandbox/journal", params={"world": "w"}).json()
    assert [entry["sessionId"] for entry in journal] == ["a/b"]
    assert session.get(f"{BASE}/v9").headers["X-Sandbox-Reason"]


@pytest.mark.parametrize("do", [{"reset": {}}, {"hang": {"seconds": 0}}])
def test_in_process_breaks_like_a_socket(session, do):
    rule = {"world": "w", "phase": "after_apply", "do": do}
    session.post(f"{BASE}/_sandbox/faults", json=rule)
    with pytest.raises(requests.ConnectionError):
        session.put(f"{BASE}/v2/customer_sessions/s1", data='{"customerSession": {}}')
    state = session.get(f"{BASE}/_sandbox/state", params={"world": "w"}).json()
    assert state["sessions"]["s1"]["updateCount"] == 1


def test_talon_one__is_a_fresh_world_that_settings_point_at(talon_one, talon_sandbox):
    assert django_settings.TALON_ONE["BASE_URL"] == talon_sandbox.url
    assert django_settings.TALON_ONE["API_KEY"] == talon_one.key
    assert talon_one.calls() == []
    World(talon_sandbox, talon_one.world).session(profileId="u1")
    assert len(talon_one.calls("updateCustomerSessionV2")) == 1
    assert len(talon_one.wait_for_calls(count=1)) == 1
    assert list(talon_one.state()["profiles"]) == ["u1"]
    assert talon_one.violations() == []


def test_talon_one__other_world(talon_one):
    assert talon_one.calls() == []
    assert talon_one.world.startswith("test-talon-one-other-world-")


def test_talon_one__switches(talon_one):
    world = World(talon_one.server, talon_one.world)
    talon_one.revoke()
    assert world.session().status == 401
    talon_one.restore()
    talon_one.faults.add("updateCustomerSessionV2", do={"status": {"code": 503}})
    assert world.session().status == 503
    talon_one.reset()
    assert world.session().status == 200
    assert talon_one.release("nothing") == 0
    with pytest.raises(AssertionError):
        talon_one.wait_until_parked("nothing", within=0)


def test_pointed__every_application(talon_one):
    configured = {"APPLICATIONS": {"default": {"CURRENCY": "EUR"}, "outlet": {"API_KEY": "x"}}}
    assert pointed(configured, TalonOne(talon_one.server, "w"))["APPLICATIONS"] == {
        "default": {"CURRENCY": "EUR", "BASE_URL": talon_one.url, "API_KEY": "sbx-w"},
        "outlet": {"BASE_URL": talon_one.url, "API_KEY": "sbx-w.outlet"},
    }


def test_the_package_offers_two_names():
    assert testing.__all__ == ["RunningSandbox", "SandboxServer"]
    assert {getattr(testing, name).__name__ for name in testing.__all__} == set(testing.__all__)
    with pytest.raises(AttributeError):
        _ = testing.Nothing
