"""Every page of ours in the admin, with a hundred rows in each table and with ten thousand."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    EffectRecord,
    Endpoint,
    Erasure,
    OutboxRow,
    Progress,
)
from django_talon.templatetags import talon_admin
from tests.helpers import cart_with, customer, deliver_all, order_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

SIZES = (100, 10_000)


@pytest.fixture(autouse=True)
def one_look(monkeypatch):
    monkeypatch.setattr(talon_admin, "FRESH", 3600.0)
    talon_admin.sight.forget()


def test_H1_no_page_of_ours_costs_more_queries_with_more_rows(client, talon, settings):
    settings.TALON_ONE = {**settings.TALON_ONE, "DEBOUNCE": 0}
    client.force_login(User.objects.create_superuser("root"))
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    order = order_of(cart)
    deliver_all()
    session = CustomerSession.objects.get()
    found, there = {}, 0
    for size in SIZES:
        fill(size - there, str(size), session)
        there = size
        for page in pages(ada, cart, order):
            found.setdefault(page, []).append(queries(client, page))
    assert len(found) > 25
    assert {page: counts for page, counts in found.items() if len(set(counts)) > 1} == {}


def queries(client, page):
    assert client.get(page).status_code == 200, page
    with CaptureQueriesContext(connection) as seen:
        client.get(page)
    return len(seen)


def pages(ada, cart, order):
    """Return lists, searches and the page of one row of each model, and the shop's panels."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if model._meta.app_label != "django_talon":
            continue
        listed = reverse(f"{name}_changelist")
        yield from (listed, f"{listed}?q=x")
        first = model._default_manager.order_by("pk").first()
        if first is not None and model._meta.model_name not in {"coupon", "status"}:
            yield reverse(f"{name}_change", args=[first.pk])
    for row in (ada, cart, order):
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        yield reverse(f"{name}_change", args=[row.pk])


def fill(count, mark, session):
    """Put so many rows into each table, a third of them about one session."""
    now, later = timezone.now(), timezone.now() + timedelta(hours=1)

    def many(model, **fields):
        rows = []
        for number in range(count):
            values = {
                name: value(number) if callable(value) else value for name, value in fields.items()
            }
            rows.append(model(**values))
        model._default_manager.bulk_create(rows, batch_size=500)

    def about(number):
        return session.cart if number % 3 == 0 else f"cart:shop.cart:{mark}{number}"

    row = {"application": "default", "lane": about, "aggregate": about, "kind": "mark"}
    many(OutboxRow, **row, due_at=later)
    many(DeadLetter, **row, uid=lambda _: uuid4(), status=400, reason="refused")
    many(
        DeliveryLog,
        application="default",
        operation="updateCustomerSessionV2",
        aggregate=about,
        outcome="delivered",
        session_id=session.integration_id,
        state="open",
    )
    many(Endpoint, key=lambda n: f"e{mark}-{n}", application=lambda n: f"a{n}", base_url="http://x")
    many(Erasure, environment="e", pseudonym=lambda n: f"{mark}-{n}")
    many(CustomerProfile, environment="e", profile_id=lambda n: f"{mark}-{n}")
    many(CustomerSession, application="default", cart=about, profile_id="x", state="open")
    many(EffectRecord, session=session, state="closed", effect_type="x", effect="{}")
    many(CodeEntry, cart=about, code="X")
    many(Progress, name=lambda n: f"{mark}-{n}", started_at=now)
