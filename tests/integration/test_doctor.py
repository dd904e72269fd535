"""The doctor: what is wrong, by id, and what an exit code tells a monitor."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import celery
import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from django_talon.doctor import EXAMINATIONS, Level, examine
from django_talon.doctor.reasons import WHY
from django_talon.models import DeadLetter, Endpoint, Erasure, Heartbeat, OutboxRow
from django_talon.outbox import clock, delivery
from django_talon.shop import Adapter, register
from django_talon.shop.registry import unregister
from example_project.shop.models import Cart
from tests.helpers import cart_with, customer, deliver_all

pytestmark = pytest.mark.django_db(transaction=True)

CHECKS = Path(__file__).resolve().parents[2] / "docs/reference/checks.md"


@pytest.fixture(autouse=True)
def celery_is_set_up():
    """Let the Celery of the tests be as the install page says."""
    from django_talon.tasks import BEAT_SCHEDULE

    settings = celery.current_app.conf
    before = settings.beat_schedule
    settings.beat_schedule = BEAT_SCHEDULE
    yield settings
    settings.beat_schedule = before


def found(*, live=True):
    """Return the findings by the last part of their id."""
    return {
        finding.id.rpartition(".")[2]: finding
        for _examination, findings in examine(live=live)
        for finding in findings
    }


def checked(capsys, *arguments):
    """Return the exit message and what ``talon_check`` printed."""
    capsys.readouterr()
    said = ""
    try:
        call_command("talon_check", *arguments)
    except CommandError as error:
        said = str(error)
    return said, capsys.readouterr().out


def test_H5_a_healthy_shop_has_no_findings(talon, capsys, settings):
    settings.DEBUG = True  # a sandbox is right there
    cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()

    said, printed = checked(capsys, "--fail-level", "warning")

    assert said == "", printed
    assert re.findall(r"^ok +(.*)$", printed, re.MULTILINE) == [one.title for one in EXAMINATIONS]


def test_H5_a_refused_key_ends_with_1_and_says_what_why_and_what_to_do(talon, capsys, settings):
    settings.DEBUG = True
    delivery.beat("worker")
    talon.revoke()

    said, printed = checked(capsys, "--json")

    [finding] = json.loads(printed)["findings"]
    assert said == "1 of 1 findings need somebody."
    assert finding == {
        "id": "django_talon.E102",
        "level": "error",
        "what": "Application 'default' refuses its API key (401).",
        "why": WHY["django_talon.E102"],
        "do": "Make a key for this Application in the Campaign Manager; keys expire.",
        "see": "docs/reference/checks.md#e102",
    }


def test_H5_offline_asks_nobody(talon):
    talon.revoke()
    assert "E102" not in found(live=False)
    assert talon.calls() == []


def test_H5_system_checks_are_findings_too(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBUNCE": 3, "ENABLED": False}
    findings = found(live=False)
    assert findings["E002"].what == "TALON_ONE has no key 'DEBUNCE'."
    assert findings["E002"].why == "a misspelt key would be ignored"
    assert findings["I101"].level is Level.INFO


def test_a_closed_port_a_redirect_and_a_server_error_are_told_apart(talon, settings):
    talon.faults.add(
        "getCustomerInventory", when={"first": 1}, do={"redirect": {"code": 302, "to": "/x"}}
    )
    assert found()["E103"].what.endswith("TalonRedirected.")
    talon.faults.add("getCustomerInventory", when={"first": 1}, do={"status": {"code": 503}})
    assert found()["W102"].what == "Application 'default' answers with 503."
    settings.TALON_ONE = {**settings.TALON_ONE, "BASE_URL": "http://127.0.0.1:9"}
    assert "does not answer: TalonConnectionError" in found()["E104"].what


def test_an_answer_later_than_the_budget_is_a_warning(talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "CHECKOUT_BUDGET": 0.0}
    assert "CHECKOUT_BUDGET is 0.0 s" in found()["W104"].what


def test_an_endpoint_that_rests_is_a_warning(talon):
    talon.faults.add("updateCustomerSessionV2", do={"status": {"code": 503, "retryAfter": 60}})
    cart_with(("mug", "10.00", 1))
    delivery.drain()
    assert "paused" in found()["W105"].what


class _LivesInThePast(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response_only(404)
        self.send_header("Date", "Mon, 02 Jan 2023 10:00:00 GMT")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_a_server_whose_clock_is_off_is_a_warning(settings):
    server = HTTPServer(("127.0.0.1", 0), _LivesInThePast)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        settings.TALON_ONE = {"BASE_URL": url, "API_KEY": "k"}
        assert re.search(r"'default' are \d+ s apart", found()["W103"].what)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nobody_delivers(talon):
    assert found()["W106"].what == "A worker was last seen never."
    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(due_at=clock.now() - timedelta(seconds=700))
    assert found()["E106"].what.startswith("Nobody delivers: the oldest due row has waited 70")
    delivery.beat("worker")
    assert found()["W107"].what.startswith("Workers live, yet")
    assert Heartbeat.objects.count() == 1


def test_rows_of_a_newer_release_are_a_warning(talon):
    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(schema=99)
    assert found()["W108"].level is Level.WARNING


def test_an_attribute_that_was_refused_is_named(talon):
    key = "customer:auth.user:1"
    for _ in range(2):
        DeadLetter.objects.create(
            lane=key,
            aggregate=key,
            kind="mark",
            uid=uuid4(),
            reason="refused",
            status=400,
            operation="updateCustomerProfileV2",
            pointers=[["/attributes/tier", "unknown"]],
        )
    findings = found()
    assert findings["W109"].what == "2 dead letters wait for somebody."
    assert findings["E110"].what == (
        "Talon.One refused an attribute 2 times: /attributes/tier unknown:"
        " customer_attributes['tier'] = 'profile.tier' (example_project/shop/talon.py, class Shop)"
    )


class _Wrong(Adapter):
    cart = "shop.Cart"
    cart_customer = "user"
    cart_items = "items"
    item = {
        "sku": "product.sku",
        "name": "product.name",
        "price": "unit_price",
        "quantity": "quantity",
        "attributes": {"nobody_declared": "product.name"},
    }

    def profile_id(self, customer):
        return customer.email


@pytest.fixture
def wrong():
    register(_Wrong)
    yield
    unregister(_Wrong)


def test_the_trial_names_what_talon_one_would_refuse(talon, wrong):
    cart_with(("mug", "10.00", 1))
    found_now = found()["E125"].what
    assert "/attributes/nobody_declared" in found_now
    assert "item['attributes']['nobody_declared']" in found_now
    assert not talon.state()["sessions"]


def test_the_trial_names_a_row_that_cannot_be_read(talon):
    cart = cart_with(("mug", "10.00", 1))
    cart.items.get().product.__class__.objects.update(sku="")
    assert "sku" in found()["E124"].what


def test_addresses_as_ids_are_an_error(talon, wrong):
    user = customer()
    type(user).objects.update(email="ada@example.com")
    finding = found()["E120"]
    assert finding.what == "_Wrong.profile_id() gives e-mail addresses."
    assert "ada@" not in finding.what + finding.do


def test_a_part_that_raises_is_a_finding_and_the_rest_goes_on(talon, wrong, monkeypatch):
    monkeypatch.setattr(_Wrong, "profile_id", lambda self, user: user.nowhere)
    customer()
    Erasure.objects.create(environment="e", pseudonym="p")
    findings = found(live=False)
    assert findings["E126"].what == "_Wrong.profile_id() could not be examined: AttributeError."
    assert findings["E126"].level is Level.ERROR
    assert "W122" in findings


def test_a_key_that_cannot_be_fetched_is_a_finding(talon, settings):
    def vault():
        raise TimeoutError

    settings.TALON_ONE = {**settings.TALON_ONE, "API_KEY": vault}
    findings = found()
    said = "Application 'default': The function for API_KEY raised TimeoutError"
    assert findings["E126"].what.startswith(said)
    assert "W106" in findings


def test_a_check_of_the_shops_own_is_a_finding(talon, capsys, monkeypatch):
    made = [checks.Error("It leaks.", id="shop.leak"), checks.Warning("It drips.", hint="Mend it.")]
    registered = {*checks.registry.registry.registered_checks}
    monkeypatch.setattr(checks.registry.registry, "registered_checks", registered)
    checks.register(lambda **_: made, "talon")
    [leaks, drips] = [one for one in _listed() if not one.id.startswith("django_talon.")]
    assert (leaks.id, leaks.level, leaks.why, leaks.anchor) == ("shop.leak", Level.ERROR, "", "")
    assert (drips.id, drips.level, drips.do) == ("", Level.WARNING, "Mend it.")
    _said, printed = checked(capsys)
    assert "It leaks.\n         id   shop.leak\n" in printed


def _listed():
    return [finding for _examination, findings in examine(live=False) for finding in findings]


def test_an_overdue_erasure_is_an_error(talon):
    long_ago = clock.now() - timedelta(days=31)
    Erasure.objects.create(environment="e", pseudonym="p", requested_at=long_ago)
    assert found()["E121"].what == "1 erasures are overdue: no proof after 30 days."


def test_the_erasure_log_is_missing_or_cannot_be_written(talon, settings):
    Erasure.objects.create(environment="e", pseudonym="p")
    assert "W122" in found()
    settings.TALON_ONE = {**settings.TALON_ONE, "ERASURE_LOG": "/proc/nowhere/log"}
    assert "E122" in found()


def test_a_missing_migration_is_an_error_and_our_tables_are_left_alone(talon):
    recorder = MigrationRecorder(connection)
    ours = list(recorder.migration_qs.filter(app="django_talon").values_list("name", flat=True))
    recorder.migration_qs.filter(app="django_talon").delete()
    try:
        findings = found()
    finally:
        for name in ours:
            recorder.record_applied("django_talon", name)
    assert findings["E111"].what.startswith("Migrations of django_talon have not run: 0001")
    assert "W106" not in findings


def test_a_beat_without_the_sweep_and_a_broker_without_time_outs(talon, celery_is_set_up):
    celery_is_set_up.beat_schedule = {}
    celery_is_set_up.broker_url = "redis://127.0.0.1:9/0"
    try:
        findings = found()
    finally:
        celery_is_set_up.broker_url = "memory://"
    assert findings["W119"].what == "Celery's beat has no entry for django_talon.tasks.sweep."
    assert "socket_timeout" in findings["W117"].do
    assert findings["W118"].what == "The redis broker does not answer."


def test_every_reason_is_the_one_that_the_page_gives():
    page = CHECKS.read_text(encoding="utf-8")
    told = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith("`django_talon."):
            told[cells[0].strip("`")] = cells[2].replace("\\|", "|")
            assert f'<a id="{cells[0].strip("`").rpartition(".")[2].lower()}"></a>' in cells[1]
    assert told == WHY


# Keys (row L1) and places (row L4)


def rotated(talon, settings):
    """Let the settings hold a key that Talon.One refuses, and then one that it takes."""
    settings.TALON_ONE = {**settings.TALON_ONE, "API_KEY": ["worn-out-secret", talon.key]}


def test_L1_a_refused_key_falls_over_once_and_then_alerts(talon, settings, caplog):
    rotated(talon, settings)
    cart_with(("mug", "10.00", 1))
    cart_with(("mug", "10.00", 2))
    deliver_all()

    assert [call["status"] for call in talon.calls("updateCustomerSessionV2")] == [200, 200]
    assert len(talon.state()["sessions"]) == 2
    told = [record.getMessage() for record in caplog.records if "refuses an API key" in record.msg]
    assert len(told) == 1
    assert "worn-out-secret" not in caplog.text
    assert "refused" in found()["W105"].what
    assert list(Endpoint.objects.values_list("health", flat=True)) == ["refused"]


def test_L1_a_key_that_delivers_is_no_refused_key(talon, settings):
    rotated(talon, settings)
    cart = cart_with(("mug", "10.00", 1))
    assert "E102" not in found()
    deliver_all()
    cart.items.get().product.__class__.objects.update(sku="")
    findings = found()
    assert "E102" not in findings
    assert "sku" in findings["E124"].what
    talon.revoke()
    assert "E102" in found()


def test_L1_with_every_key_refused_rows_wait_and_go_once_a_key_is_accepted(talon, settings):
    rotated(talon, settings)
    talon.revoke()
    cart_with(("mug", "10.00", 1))
    delivery.drain()
    assert set(OutboxRow.objects.values_list("attempts", flat=True)) == {0}
    talon.restore()
    Endpoint.objects.update(until=clock.now())
    OutboxRow.objects.update(due_at=clock.now())
    deliver_all()
    assert len(talon.state()["sessions"]) == 1


@pytest.mark.parametrize("debug", [True, False])
def test_L4_a_live_application_is_refused_under_debug_and_in_tests(talon, settings, debug):
    settings.DEBUG = debug
    settings.TALON_ONE = {**settings.TALON_ONE, "LIVE": True}
    place = "DEBUG is on" if debug else "this is a test run"
    assert found(live=False)["E030"].what == (
        f"The Talon.One application 'default' is LIVE, and {place}."
    )
    cart_with(("mug", "10.00", 1))
    delivery.drain()
    assert talon.calls() == []
    assert OutboxRow.objects.count() == 2


def test_L4_a_key_of_the_sandbox_is_refused_at_talon_one(settings):
    settings.TALON_ONE = {"BASE_URL": "https://shop.talon.one", "API_KEY": "sbx-demo"}
    assert found(live=False)["E031"].level is Level.ERROR


def test_the_newest_cart_is_no_cart(talon):
    assert not Cart.objects.exists()
    assert {"E124", "E125"}.isdisjoint(found())
