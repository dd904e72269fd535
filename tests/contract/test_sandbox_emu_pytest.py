"""Features 6 and 7: expectations that wait, and the pytest plugin in a shop of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from django_talon.testing import SandboxServer

from .sandbox_wire import World, item

ROOT = Path(__file__).parents[2]
UPDATE = "updateCustomerSessionV2"
PROFILE = "updateCustomerProfileV2"


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"exp-{uuid4().hex[:8]}")


@pytest.fixture
def expect(server, world):
    return lambda *args, **more: server.expect(world.name, *args, **more)


@pytest.fixture
def later(world):
    """Do something a while later in another thread, as a worker would."""
    timers = []

    def run(call, *args, after=0.3, **more):
        timers.append(threading.Timer(after, call, args, more))
        timers[-1].start()

    yield run
    for timer in timers:
        timer.join()


def failure(call, *args, **more):
    with pytest.raises(AssertionError) as caught:
        call(*args, **more)
    return str(caught.value)


def test_emu_06_a_worker_that_delivers_later_is_awaited(world, expect, later):
    later(world.session, "cart-1", after=0.8, profileId="ada", cartItems=[item(9.99, 2)])
    wanted = [{"sku": "mug-1", "quantity": 2, "price": 9.99}]
    call = expect(UPDATE, id="cart-1", items=wanted, status=200).once(within=20)
    assert call["profileId"] == "ada"
    expect(UPDATE, id="ada").times(1)
    expect(UPDATE, id="bob").none(within=0.1)
    expect(id="ada", body={"customerSession": {"cartItems": [{"sku": "mug-1"}]}}).times(1)


def test_emu_06_failures_print_the_nearest_calls_with_a_difference(world, expect):
    for quantity in range(1, 6):
        world.session("cart-1", cartItems=[item(10, quantity)])
    world.send("PUT", "/v2/customer_profiles/ada", {})
    wanted = [{"sku": "mug-1", "quantity": 7}]
    told = failure(expect(UPDATE, id="cart-1", items=wanted).times, 1, within=0)
    assert "expected 1 calls to updateCustomerSessionV2 about 'cart-1'" in told
    assert "the nearest 3:" in told
    assert len(re.findall(r"^  #\d", told, re.MULTILINE)) == 3
    assert re.search(r'^    -.*"quantity": 7', told, re.MULTILINE)
    assert re.search(r'^    \+.*"quantity": 1', told, re.MULTILINE)
    assert "has dropped 0 calls" in told


def test_emu_06_too_many_calls_and_unwanted_ones_fail_at_once(world, expect):
    world.session("a")
    world.session("b")
    assert "found 2" in failure(expect(UPDATE).once, within=60)
    assert "expected no call" in failure(expect(UPDATE).none, within=60)


def test_emu_06_an_unwanted_call_that_comes_late_fails(world, expect, later):
    later(world.session)
    assert "#0 updateCustomerSessionV2 s1 -> 200" in failure(expect().none, within=20)


def test_emu_06_sequences(world, expect, later):
    world.send("PUT", "/v2/customer_profiles/ada", {})
    later(world.session, "cart-1", profileId="ada", state="closed", cartItems=[item()])
    closed = {"operation": UPDATE, "body": {"customerSession": {"state": "closed"}}}
    first, second = expect(id="ada").sequence([PROFILE, closed], within=20)
    assert (first["index"], second["sessionId"]) == (0, "cart-1")
    told = failure(expect().sequence, [UPDATE, PROFILE], within=0)
    assert f'-  "operation": "{UPDATE}"' in told
    assert f'+  "operation": "{PROFILE}"' in told
    assert "missing" in failure(expect().sequence, [PROFILE, UPDATE, UPDATE], within=0)
    assert "found 2" in failure(expect().sequence, [PROFILE], within=0)


CONFTEST = """
pytest_plugins = ["django_talon.testing.plugin"]
"""
CLIENT = """
import pytest
from django.conf import settings
from django_talon.client import IntegrationClient

UPDATE = "updateCustomerSessionV2"

def put(session, **content):
    one = settings.TALON_ONE
    patient = {"timeout": (10, 30), "deadline": 60}
    client = IntegrationClient(one["BASE_URL"], api_key=one["API_KEY"], **patient)
    try:
        return client.update_customer_session_v2(session, {"customerSession": content})
    except Exception as error:
        return error
"""
PARALLEL = """
@pytest.mark.parametrize("number", range(200))
def test_no_cross_talk(talon_one, number):
    with open("urls", "a") as urls:
        print(talon_one.url, file=urls)
    put("same", profileId="same", attributes={"channel": str(number)})
    put("same", state="closed")
    first, second = talon_one.expect(UPDATE, id="same").times(2)
    assert first["body"]["customerSession"]["attributes"] == {"channel": str(number)}
    assert list(talon_one.state()["sessions"]) == ["same"]
    assert talon_one.violations() == []
"""
STRICT = """
def test_good(talon_one):
    put("s1", state="closed")
    talon_one.faults.add(UPDATE, do={"status": {"code": 409}})
    put("s2")

def test_edits_a_closed_session(talon_one):
    put("s1", state="closed")
    put("s1", cartItems=[{"sku": "a", "name": "A", "quantity": 1, "price": 1}])

def test_sends_nonsense(talon_one):
    put("s1", attributes={"mood": "lost"})

@pytest.mark.talon_one(strict=False)
def test_is_exempt(talon_one):
    put("s1", attributes={"mood": "lost"})

def test_overlaps(talon_one):
    from threading import Thread
    talon_one.faults.add(UPDATE, when={"first": 1}, do={"park": {"name": talon_one.world}})
    threads = [Thread(target=put, args=("s1",)) for _ in range(2)]
    threads[0].start()
    talon_one.wait_until_parked(talon_one.world)
    threads[1].start()
    while not talon_one.violations():
        pass
    talon_one.release(talon_one.world)
    for thread in threads:
        thread.join()

def test_fails_by_itself(talon_one):
    put("s1")
    assert talon_one.calls() == []
"""


def run(folder, tests, *options, ini=""):
    """Run pytest in a folder of its own, with the plugin opted into."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_shop.py").write_text(CLIENT + tests)
    (folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}\n")
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)]
    told = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **told}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "var").mkdir()
    return tmp_path


def servers(folder):
    """Return how many tests ran, and on how many servers."""
    urls = (folder / "urls").read_text().split()
    return len(urls), len(set(urls))


def test_emu_07_two_workers_and_one_server_without_cross_talk(folder):
    told = run(folder, PARALLEL, "-n", "2", "-q", "-k", "1", ini="talon_one_shared = on")
    assert "119 passed" in told, told
    assert servers(folder) == (119, 1)


def test_emu_07_a_server_for_each_worker(folder):
    told = run(folder, PARALLEL, "-n", "2", "-q", "-k", "11")
    assert "11 passed" in told, told
    assert servers(folder) == (11, 2)


def test_emu_07_what_breaks_the_rules_fails_and_shows_its_calls(folder):
    told = run(folder, STRICT)
    assert "edit-after-close: session s1 is closed" in told
    assert re.search(r"overlap: two calls for session:default:s1.* \(calls \[0, 1\]\)", told)
    overlap = told[told.index("overlap: two calls") :]
    assert re.search(r"#0 PUT \S+/s1 -> 200.*\n#1 PUT \S+/s1 -> 200", overlap), overlap
    errors = re.findall(r"^ERROR .*::(\w+)", told, re.MULTILINE)
    assert sorted(errors) == ["test_edits_a_closed_session", "test_overlaps", "test_sends_nonsense"]
    assert re.findall(r"^FAILED .*::(\w+)", told, re.MULTILINE) == ["test_fails_by_itself"]
    assert "talon_one: the last calls" in told


def test_emu_07_what_breaks_the_rules_is_only_collected_if_told(folder):
    told = run(folder, STRICT, "-k", "closed or nonsense", ini="talon_one_strict = off")
    assert "2 passed" in told, told


def test_emu_07_off_by_one_setting(folder):
    told = run(folder, STRICT, "-rs", ini="talon_one = off")
    assert "6 skipped" in told, told
    assert "talon_one = off" in told


def test_emu_21_the_output_of_pytest_says_why(folder):
    told = run(folder, STRICT, "-k", "nonsense")
    assert re.search(r"#0 PUT /v2/customer_sessions/s1 -> 400 .*mood", told), told


REACHING = """
def test_reaches_the_real_one(settings):
    settings.TALON_ONE = {"BASE_URL": "https://shop.talon.one", "API_KEY": "0f0f"}
    put("s1")

def test_swallows_what_stops_it(settings):
    settings.TALON_ONE = {"BASE_URL": "https://promotions.shop.test", "API_KEY": "0f0f"}
    try:
        put("s1")
    except BaseException:
        pass

def test_the_sandbox_is_no_real_one(talon_one):
    assert put("s1").effects == []
"""


def test_emu_14_a_test_that_would_reach_a_real_host_fails(folder):
    told = run(folder, REACHING)
    failed = re.findall(r"^FAILED .*::(\w+)", told, re.MULTILINE)
    assert failed == ["test_reaches_the_real_one", "test_swallows_what_stops_it"], told
    assert "would have reached the real Talon.One at shop.talon.one" in told
    assert "would have reached the real Talon.One at promotions.shop.test" in told
    assert "Take the fixture talon_one" in told


def test_emu_07_clock_snapshots_and_monitors_of_the_fixture(talon_one):
    talon_one.clock.freeze("2026-05-01T00:00:00Z")
    talon_one.clock.advance(60)
    assert talon_one.clock.now == "2026-05-01T00:01:00.000000Z"
    talon_one.clock.run()
    assert talon_one.monitors(off=["overlap"])["off"] == ["overlap"]
    World(talon_one.server, talon_one.world).session("s1")
    talon_one.snapshot("one")
    talon_one.reset("empty")
    assert talon_one.state()["sessions"] == {}
    talon_one.reset("snapshot:one")
    assert list(talon_one.state()["sessions"]) == ["s1"]
    assert talon_one.broken_rules() == []
