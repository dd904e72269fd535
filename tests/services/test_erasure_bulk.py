"""Ten thousand customers in one go: no list in the page, bounded statements, nobody forgotten."""

from __future__ import annotations

import os
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeliveryLog,
    Erasure,
    Evaluation,
    OutboxRow,
    Selection,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

MANY = int(os.environ.get("TALON_MANY", "10000"))


class Counted:
    """Counts statements without keeping their text, which takes longer than they do."""

    def __init__(self):
        self.count = 0

    def __call__(self, execute, *args):
        self.count += 1
        return execute(*args)


def lived(users, environment):
    """Leave what a customer leaves who ordered once: a profile, a session, a code, calls."""

    def made(rows):
        rows = list(rows)
        return type(rows[0]).objects.bulk_create(rows, batch_size=500)

    keys = {user.pk: f"customer:auth.user:{user.pk}" for user in users}
    made(
        CustomerProfile(
            environment=environment, profile_id=str(pk), customer=key, fingerprint="sent"
        )
        for pk, key in keys.items()
    )
    made(DeliveryLog(operation="update_profile", aggregate=key) for key in keys.values())
    made(
        CustomerSession(
            application="default",
            cart=f"cart:shop.cart:{pk}",
            order=f"order:shop.order:{pk}",
            profile_id=str(pk),
            state="closed",
        )
        for pk in keys
    )
    sessions = CustomerSession.objects.all()
    now = timezone.now()
    made(Evaluation(session=session, evaluated_at=now) for session in sessions)
    made(CodeEntry(cart=session.cart, code="HELLO") for session in sessions)


def test_G1_ten_thousand_customers_are_erased_by_one_confirmation(talon, client):
    client.force_login(User.objects.create_superuser("root"))
    users = User.objects.bulk_create(
        [User(username=f"u{n}", is_staff=False) for n in range(MANY)], batch_size=500
    )
    lived(users, talon.url.removeprefix("http://"))
    url = "/admin/auth/user/?is_superuser__exact=0"
    chosen = {"action": "talon_erase_customer_data", "select_across": "1"}
    started = time.monotonic()
    page = client.post(url, {**chosen, "_selected_action": [users[0].pk]}, follow=True)
    asked = time.monotonic() - started
    assert len(page.content) < 30_000
    assert f"these {MANY} customers" in page.content.decode()

    statements = Counted()
    started, worked = time.monotonic(), time.process_time()
    with connection.execute_wrapper(statements):
        answer = client.post(page.request["PATH_INFO"], {"reason": "closed"}, follow=True)
    confirmed, worked = time.monotonic() - started, time.process_time() - worked
    print(
        f"{MANY}: asked in {asked:.1f} s, requested in {confirmed:.1f} s, {worked:.1f} s of them"
        f" work of this process, {statements.count} statements"
    )
    [told] = [str(message) for message in answer.context["messages"]]
    assert told.startswith(f"The erasure of {MANY} customers is requested.")
    assert Erasure.objects.count() == MANY
    assert OutboxRow.objects.filter(kind="erase").count() == MANY
    assert LogEntry.objects.count() == MANY
    assert not Selection.objects.exists()
    assert not CodeEntry.objects.exists()
    assert not Evaluation.objects.exists()
    assert not CustomerProfile.objects.exclude(fingerprint="").exists()
    assert not DeliveryLog.objects.exclude(aggregate__startswith="erased:").exists()
    assert statements.count <= 45 * (MANY / 500 + 1)
