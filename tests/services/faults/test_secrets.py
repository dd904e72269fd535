"""What nobody may see: keys and personal data, wherever the package writes or shows something."""

from __future__ import annotations

import logging

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

import django_talon
from django_talon.conf import applications
from django_talon.models import DeadLetter, DeliveryLog, OutboxRow
from django_talon.outbox import delivery, endpoint
from tests import guards
from tests.helpers import UPDATE, cart_with, customer, deliver_all, order_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


def test_fault_60_the_guard_sees_what_is_told(talon, settings):
    """The guard over the whole suite sees a key in a log record, a canary in a traceback and one in
    a row.
    """
    records = guards.Records()
    logger = logging.getLogger("django_talon.guard")
    logger.propagate = False
    logger.addHandler(records)
    logger.warning("calling with %s", settings.TALON_ONE["API_KEY"])
    try:
        raise ValueError(f"who is ada{guards.MAIL}?")
    except ValueError:
        logger.exception("refused")
    logger.warning("nothing")
    logger.removeHandler(records)
    assert (len(records.bad), records.count) == (2, 3)
    letter = DeadLetter.objects.create(
        lane="l", kind="mark", aggregate="a", uid=OutboxRow().uid, reason=f"for {guards.STREET}"
    )
    assert list(guards.bad_rows()) == [f"DeadLetter {letter.pk} shows ['{guards.STREET}']"]
    letter.delete()


def test_fault_60_the_guard_of_other_processes_sees_a_call_inside_a_transaction(talon, processes):
    """What a worker process prints is looked through; it prints calls inside a transaction."""
    call = """
        from django.db import transaction
        from django_talon.signals import pre_send
        pre_send.send(None, operation="first", dry=False)
        with transaction.atomic():
            pre_send.send(None, operation="dry", dry=True)
            pre_send.send(None, operation="second", dry=False)
    """
    process = processes.script(call)
    said, _ = process.communicate(timeout=60)
    processes.running.remove(process)
    assert said.splitlines() == [f"{guards.Guarded.SAYS} second"]


def test_fault_60_no_secret_and_no_person_in_rows_logs_reprs_and_pages(talon, client, caplog):
    """After a journey with refusals, lost answers and dead letters no key and no personal data is
    in any log record, row, repr or admin page.
    """
    caplog.set_level(logging.DEBUG)
    journey(talon)
    assert DeadLetter.objects.exists()
    assert DeliveryLog.objects.exists()
    assert OutboxRow.objects.exists()
    assert caplog.records
    for record in caplog.records:
        assert guards.seen_in(logging.Formatter().format(record)) == []
    assert list(guards.bad_rows()) == []
    app = applications()[0]
    assert guards.seen_in(f"{app!r} {app} {endpoint.client(app)!r} {vars(app).keys()}") == []
    client.force_login(User.objects.create_superuser("root"))
    pages = list(admin_pages())
    assert len(pages) > 5
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert guards.seen_in(answer.content.decode()) == [], page


def journey(talon) -> None:
    ada = customer()
    cart = cart_with(("mug", "1.00", 2), user=ada)
    django_talon.track("newsletter", {"source": "footer"}, customer=ada)
    deliver_all()
    order_of(cart)
    talon.faults.add(match={"operation": UPDATE}, when={"first": 1}, do={"reset": {}})
    deliver_all()
    refused = {"message": "invalid", "errors": [{"title": "x", "details": f"a{guards.MAIL}"}]}
    talon.faults.add(match={"operation": UPDATE}, do={"status": {"code": 400, "body": refused}})
    cart_with(("tea", "1.00", 1), user=customer("bob"))
    deliver_all()
    talon.revoke()
    cart_with(("cup", "1.00", 1), user=customer("eve"))
    delivery.drain()
    talon.restore()


def admin_pages():
    for model in apps.get_app_config("django_talon").get_models():
        if not admin.site.is_registered(model):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = model._default_manager.first()
        if row is not None:
            yield reverse(f"{name}_change", args=[row.pk])
