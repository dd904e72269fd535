"""The inspector: what a person sees of a world, and what they can do to it."""

from __future__ import annotations

import json
import shlex
from uuid import uuid4

import pytest

from django_talon.testing import SandboxServer
from tests.contract.sandbox_wire import World, item

pytestmark = pytest.mark.browser

ATTACK = '</pre><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"page-{uuid4().hex[:8]}")


@pytest.fixture
def page(browser, server, world):
    """The inspector, with two updates of a session of ada's in it."""
    world.session("cart-1", profileId="ada", cartItems=[item(50)], attributes={"channel": ATTACK})
    world.session("cart-1", profileId="ada", cartItems=[item(50, 3)], couponCodes=["NOPE"])
    browser.open(f"{server.url}/_sandbox/?world={world.name}")
    browser.wait("document.querySelectorAll('#calls button').length === 2")
    return browser


def press(page, text):
    wanted = f"b => b.textContent === {json.dumps(text)}"
    page.js(f"[...document.querySelectorAll('button')].find({wanted}).click()")


def test_emu_16_customers_timeline_diff_and_effects(page):
    page.wait("document.querySelector('#customers').innerText.includes('cart-1')")
    assert "ada" in page.js("document.querySelector('#customers').innerText")
    page.click("#calls button[data-index='1']")
    page.wait("document.querySelector('#details h2').textContent.startsWith('#1')")
    assert page.js("[...document.querySelectorAll('#details ins')].map(n => n.textContent).join()")
    assert "rejectCoupon" in page.js("document.querySelector('#details table').innerText")
    page.wait("document.querySelector('#details').innerText.includes('Rules that did not fire')")


def test_emu_16_scripts_render_as_text(page):
    page.click("#calls button[data-index='0']")
    page.wait("document.querySelector('#details').innerText.includes('onerror')")
    assert page.js("window.hacked === undefined")
    assert page.js("document.querySelectorAll('#details script, #details img').length") == 0


def test_emu_16_it_is_live_and_violations_are_red(page, world):
    world.session("cart-2", profileId="ada", state="closed", cartItems=[item()])
    world.session("cart-2", profileId="ada", cartItems=[item(20)])
    page.wait("document.querySelector('#violations').innerText.includes('edit-after-close')")
    page.wait("document.querySelectorAll('#calls button').length === 4")
    red = page.js("getComputedStyle(document.querySelector('#violations')).color")
    assert red != page.js("getComputedStyle(document.body).color")
    assert page.js("document.querySelector('#calls button.bad').dataset.index") == "3"


def test_emu_16_switches_clock_and_reset(page, server, world):
    press(page, "503")
    page.wait("document.querySelectorAll('#rules button').length === 1")
    assert [world.session("cart-9").status for _ in range(4)] == [503, 503, 503, 200]
    page.click("#rules button")
    page.wait("document.querySelectorAll('#rules button').length === 0")
    press(page, "Freeze")
    page.wait("document.querySelector('#now').textContent.endsWith('frozen')")
    before = server.clock(world.name).now
    press(page, "+1 day")
    page.wait(
        f"document.querySelector('#now').textContent > {json.dumps(before[:19] + 'Z frozen')}"
    )
    assert server.clock(world.name).now > before
    press(page, "Reset to seed")
    page.wait("document.querySelectorAll('#calls button').length === 0")
    assert server.state(world.name)["sessions"] == {}


def test_emu_16_curl_repeats_the_call(page, server, world):
    page.click("#calls button[data-index='1']")
    press(page, "Copy as cURL")
    page.wait("document.querySelector('#curl') !== null")
    line = shlex.split(page.js("document.querySelector('#curl').textContent").replace("\\\n", ""))
    assert line[0] == "curl"
    url = next(part for part in line if part.startswith("http"))
    headers = dict(part.split(": ", 1) for part in line if ": " in part and part[0] != "{")
    said = world.send(line[2], url.removeprefix(server.url), line[-1].encode(), **headers)
    assert said.status == 200
    first, second = server.calls(world.name)[-2:]
    assert (second["path"], second["body"]) == (first["path"], first["body"])


def test_emu_16_by_keyboard(page):
    page.js("document.querySelector('#calls button').focus()")
    strike(page, "Enter", 13)
    strike(page, "ArrowDown", 40)
    page.wait("document.querySelector('#details h2').textContent.startsWith('#0')")
    assert page.js("document.activeElement.dataset.index") == "0"
    assert page.js("[...document.querySelectorAll('button')].every(b => b.tabIndex === 0)")


def test_emu_16_it_loads_nothing_else(page, server):
    names = page.js("performance.getEntriesByType('resource').map(e => e.name)")
    assert names
    assert all(name.startswith(server.url) for name in names)


def test_emu_16_ten_thousand_calls_stay_scrollable(browser, server, world):
    for number in range(9_999):
        server.sandbox.rooms.enter(world.name).journal.begin(
            _request(f"/v2/customer_sessions/s{number}"), "default"
        )
    browser.open(f"{server.url}/_sandbox/?world={world.name}")
    browser.wait("document.querySelector('#about').textContent === '9999 calls'", within=120)
    browser.wait("document.querySelector('#calls button[data-index=\"9998\"]') !== null")
    browser.js("document.querySelector('#calls').scrollTop = 9999 * 32")
    browser.wait("document.querySelector('#calls button[data-index=\"0\"]') !== null")
    assert browser.js("document.querySelectorAll('#calls li').length") < 100
    browser.js("document.querySelector('#calls button[data-index=\"0\"]').focus()")
    strike(browser, "Home", 36)
    browser.wait("document.activeElement.dataset.index === '9998'")
    strike(browser, "End", 35)
    browser.wait("document.activeElement.dataset.index === '0'")
    server.sandbox.rooms.enter(world.name).journal.begin(_request("/v2/events"), "default")
    browser.wait("document.querySelector('#about').textContent === '10000 calls'")
    assert browser.js("document.activeElement.dataset.index === '0'")


def strike(page, key, code):
    text = {"text": "\r"} if key == "Enter" else {}
    named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    page._send("Input.dispatchKeyEvent", type="keyDown", **named, **text)
    page._send("Input.dispatchKeyEvent", type="keyUp", **named)


def test_emu_16_live_by_events_and_no_polling(page, world):
    asked = (
        "performance.getEntriesByType('resource').filter(e => e.name.includes('journal')).length"
    )
    page.wait(f"{asked} >= 2")  # once by itself, once because the stream began
    before = page.js(asked)
    page.wait("document.querySelector('#now').textContent.endsWith('real')")
    page.js("window.later = false; setTimeout(() => { window.later = true }, 2500)")
    page.wait("window.later")
    assert page.js(asked) == before
    world.session("cart-3", profileId="eve")
    page.wait("document.querySelectorAll('#calls button').length === 3")


def test_emu_16_the_generated_test_repeats_the_call(page, server, world, tmp_path):
    page.click("#calls button[data-index='0']")
    press(page, "Copy as pytest")
    page.wait("document.querySelector('#curl') !== null")
    written = page.js("document.querySelector('#curl').textContent")
    names = {}
    exec(compile(written, "copied", "exec"), names)
    one = type("TalonOne", (), {"url": server.url, "key": world.key})
    names["test_the_call"](one)
    first, again = server.calls(world.name)[0], server.calls(world.name)[-1]
    assert (again["path"], again["body"]) == (first["path"], first["body"])


def _request(path):
    from django_talon.sandbox.wire import Request

    return Request("GET", path)
