"""The sync pages in a browser: letters replayed, the status page in light, dark and on a phone.

With ``TALON_SCREENSHOTS=1`` the pictures of the how-to are taken anew.
"""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from django_talon.conf import application
from django_talon.models import CustomerSession, DeadLetter, DeliveryLog, OutboxRow
from django_talon.outbox import endpoint
from django_talon.templatetags.talon_admin import sight
from tests.helpers import cart_with, customer, deliver_all, order_of, states

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "img"
STATUS = "/admin/django_talon/status/"
LETTERS = "/admin/django_talon/deadletter/"


@pytest.fixture
def admin(browser, live_server):
    """The browser, logged in at the admin."""
    User.objects.create_superuser("root", password="secret")
    OutboxRow.objects.all().delete()
    sight.forget()  # what the banner saw in another test
    look(browser)
    browser.open(live_server.url + "/admin/")
    browser.type("#id_username", "root")
    browser.type("#id_password", "secret")
    browser.click("[type=submit]")
    browser.wait("document.querySelector('#user-tools') !== null")
    return browser


def look(browser, width=1280, height=900, scheme="light"):
    """Set the window's size and the colours that its owner likes."""
    phone = width < 600
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    browser._send("Emulation.setDeviceMetricsOverride", **metrics)
    wanted = [{"name": "prefers-color-scheme", "value": scheme}]
    browser._send("Emulation.setEmulatedMedia", features=wanted)


def picture(browser, name):
    """Take a picture of the page; keep it where pictures are asked for."""
    taken = base64.b64decode(browser._send("Page.captureScreenshot", format="png")["data"])
    assert taken.startswith(b"\x89PNG")
    if os.environ.get("TALON_SCREENSHOTS"):
        (PICTURES / name).write_bytes(taken)


def busy_day():
    """Make a log as a day of a shop leaves it."""
    now = timezone.now()
    DeliveryLog.objects.bulk_create(
        DeliveryLog(
            application="default",
            operation="updateCustomerSessionV2",
            aggregate="cart:shop.cart:1",
            outcome="TalonServerError" if hour in {7, 8} and number % 3 == 0 else "delivered",
            status=503 if hour in {7, 8} and number % 3 == 0 else None,
            milliseconds=20 + number % 60,
            created_at=now - timedelta(hours=hour),
        )
        for hour in range(24)
        for number in range(10 + (hour * 7) % 23)
    )


def test_H7_the_status_page_in_light_in_dark_and_on_a_phone(admin, live_server, talon):
    order = order_of(cart_with(("mug", "10.00", 2), user=customer()))
    deliver_all()
    line = order.lines.get()
    line.quantity = 3
    line.save()
    deliver_all()
    busy_day()
    for name, options in (
        ("status.png", {}),
        ("status-dark.png", {"scheme": "dark"}),
        ("status-phone.png", {"width": 390, "height": 844}),
    ):
        look(admin, **options)
        admin.open(live_server.url + STATUS)
        assert admin.js("document.querySelectorAll('.talon-chart g').length") == 24
        assert "34.90 EUR" in admin.text()
        assert admin.js("document.documentElement.scrollWidth <= window.innerWidth")
        picture(admin, name)
    loaded = admin.js("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    assert all(name.startswith(live_server.url) for name in loaded)


def test_H2_an_application_is_paused_and_resumed_by_keyboard(admin, live_server, talon):
    admin.open(live_server.url + STATUS)
    press = "[...document.querySelectorAll('td .button')].find(b => b.innerText === '{}')"
    for button, then in (("Pause...", "are paused until"), ("Resume", "go on.")):
        admin.js(press.format(button) + ".focus()")
        assert admin.js(f"document.activeElement === {press.format(button)}")
        enter(admin)
        if button == "Pause...":
            admin.wait("document.activeElement?.id === 'id_reason'")
            picture(admin, "pause.png")
            assert endpoint.is_usable(application("default"))
            enter(admin)
        admin.wait(f"document.body.innerText.includes('{then}')")


def enter(browser):
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    browser._send("Input.dispatchKeyEvent", type="keyDown", **key)
    browser._send("Input.dispatchKeyEvent", type="keyUp", **key)


def test_H2_dead_letters_are_replayed_in_a_browser(admin, live_server, talon):
    talon.faults.add("updateCustomerSessionV2", do={"status": {"code": 400}})
    for _ in range(3):
        cart_with(("mug", "10.00", 1))
    deliver_all()
    assert DeadLetter.objects.waiting().count() == 3
    talon.faults.clear()
    admin.open(live_server.url + LETTERS)
    picture(admin, "dead-letters.png")
    admin.click("#action-toggle")
    admin.choose("select[name=action]", "replay")
    admin.click("button[name=index]")
    admin.wait("document.querySelector('.talon-ask') !== null")
    assert "3 rows are chosen." in admin.text()
    admin.click("#content [type=submit]")
    admin.wait("document.querySelector('.messagelist') !== null")
    assert "3 dead letters are in the outbox again." in admin.text()
    deliver_all()
    assert states(talon) == ["open"] * 3
    assert not DeadLetter.objects.waiting().exists()


def test_H4_discarding_asks_for_a_reason_in_a_browser(admin, live_server, talon):
    talon.faults.add("updateCustomerSessionV2", do={"status": {"code": 400}})
    cart_with(("mug", "10.00", 1))
    deliver_all()
    admin.open(live_server.url + LETTERS)
    admin.click("input.action-select")
    admin.choose("select[name=action]", "discard")
    admin.click("button[name=index]")
    admin.wait("document.querySelector('.talon-ask') !== null")
    admin.type("#id_reason", "a test order")
    admin.click("#content [type=submit]")
    admin.wait("document.querySelector('.messagelist') !== null")
    assert "1 dead letter is discarded." in admin.text()
    assert DeadLetter.objects.get().discarded_reason == "a test order"


def test_C8_what_would_be_sent_in_a_browser(admin, live_server, talon):
    cart_with(("mug", "10.00", 2))
    deliver_all()
    session = CustomerSession.objects.get()
    admin.open(f"{live_server.url}/admin/django_talon/customersession/{session.pk}/change/")
    picture(admin, "session.png")
    admin.click("#talon-payload")
    admin.wait("document.querySelector('.talon-json') !== null")
    assert '"sku": "mug"' in admin.js("document.querySelector('.talon-json').innerText")
