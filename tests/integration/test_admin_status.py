"""The status page, the banner, endpoints, panels, the coupon page; and who may do what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from django_talon import checkout, privacy
from django_talon.admin import TalonAdminMixin
from django_talon.admin import register as register_on
from django_talon.admin.banner import TEMPLATE, add_banner
from django_talon.conf import application
from django_talon.models import (
    CodeEntry,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Erasure,
    Heartbeat,
    OutboxRow,
    Status,
)
from django_talon.models.privacy import pseudonym
from django_talon.outbox import clock, endpoint, lanes
from django_talon.templatetags.talon_admin import sight
from tests.helpers import cart_with, customer, deliver_all, order_of

pytestmark = pytest.mark.django_db(transaction=True)

STATUS = reverse("admin:django_talon_status_changelist")
COUPONS = reverse("admin:django_talon_coupon_changelist")
INDEX = reverse("admin:index")


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root")
    client.force_login(user)
    OutboxRow.objects.all().delete()
    return user


def staff(*codenames):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    OutboxRow.objects.all().delete()
    return user


def ours(codename):
    return Permission.objects.get(codename=codename, content_type__app_label="django_talon")


def told(response):
    return [str(message) for message in response.context["messages"]]


#: What the page that asks sends along.
YES = {"talon_confirm": "yes"}


def act_on_endpoint(client, name, **data):
    there = reverse(f"admin:django_talon_endpoint_{name}", args=["default"])
    return client.post(there, {**YES, **data}, follow=True)


# Status


def test_H7_the_status_page_tells_how_delivery_fares(client, root, talon):
    assert "All is well." in client.get(STATUS).content.decode()
    order = order_of(cart_with(("mug", "10.00", 2)))
    deliver_all()
    order.lines.update(quantity=3)
    order.save()
    deliver_all()
    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(due_at=timezone.now() - timedelta(minutes=5))
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=5))
    page = client.get(STATUS).content.decode()
    for part in (
        "Something is due and nobody delivers",
        reverse("admin:shop_order_change", args=[order.pk]),
        "34.90 EUR",
        "24.90 EUR",
        "Last sign of life: worker",
        "delivered",
        talon.url,
        "<svg",
    ):
        assert part in page
    assert "http://" not in page.replace(talon.url, "").replace("http://www.w3.org", "")
    assert "<script>" not in page
    assert "style=" not in page.split('id="content"')[1].split('id="footer"')[0]


def test_H7_the_status_page_costs_the_same_queries_however_many_rows(client, root, talon):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            assert client.get(STATUS).status_code == 200
        return len(seen)

    def fill(count):
        DeliveryLog.objects.bulk_create(
            DeliveryLog(application="default", operation="o", aggregate="a", outcome=f"E{n % 5}")
            for n in range(count)
        )
        CustomerSession.objects.bulk_create(
            CustomerSession(application="default", order="order:shop.order:1", drift_at=clock.now())
            for n in range(count)
        )
        OutboxRow.objects.bulk_create(
            OutboxRow(application="default", lane=str(n), aggregate=str(n), kind="mark")
            for n in range(count)
        )

    fill(100)
    queries()
    few = queries()
    fill(9_900)
    assert queries() == few
    assert client.get(STATUS).context["signs"].waiting == 10_000


def test_H2_an_endpoint_is_paused_resumed_and_tested(client, root, talon):
    assert told(act_on_endpoint(client, "pause", reason="sale")) == [
        "The calls to Application “default” are paused until somebody resumes them."
    ]
    assert not endpoint.is_usable(application("default"))
    assert "paused already" in told(act_on_endpoint(client, "pause"))[0]
    assert "paused by root" in client.get(STATUS).content.decode()
    assert "answered in" in told(act_on_endpoint(client, "test"))[0]
    assert not endpoint.is_usable(application("default"))
    assert "go on" in told(act_on_endpoint(client, "resume"))[0]
    assert "were not paused" in told(act_on_endpoint(client, "resume"))[0]
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "Paused: sale",
        "Tested the connection",
        "Resumed",
    ]
    assert talon.state()["sessions"] == {}


def test_H4_a_pause_asks_first(client, root, talon):
    there = reverse("admin:django_talon_endpoint_pause", args=["default"])
    page = client.post(there)
    for part in ("Pause the calls to Application “default”?", "Yes, pause", f'href="{STATUS}"'):
        assert part in page.content.decode()
    assert endpoint.is_usable(application("default"))
    assert not LogEntry.objects.exists()
    done = client.post(there, dict(page.context["hidden"]), follow=True)
    assert "are paused until" in told(done)[0]
    assert not endpoint.is_usable(application("default"))
    assert LogEntry.objects.get().change_message == "Paused"


def test_H2_a_test_says_what_is_wrong(client, root, talon):
    talon.revoke()
    failed = act_on_endpoint(client, "test")
    assert "Talon.One refuses the API key (401). Set a valid API_KEY." in told(failed)[0]
    assert Endpoint.objects.get().health == "refused"
    talon.restore()
    act_on_endpoint(client, "test")
    assert Endpoint.objects.get().health == "healthy"
    other = reverse("admin:django_talon_endpoint_test", args=["nowhere"])
    assert "There is no Talon.One application" in told(client.post(other, follow=True))[0]


# Banner


def overdue():
    long_ago = timezone.now() - timedelta(days=31)
    return Erasure.objects.create(environment="e", requested_at=long_ago)


def test_H7_the_index_says_when_nobody_delivers_or_a_key_is_refused(client, root, talon, settings):
    assert "talon-banner" not in client.get(INDEX).content.decode()
    cart_with(("mug", "10.00", 1))
    OutboxRow.objects.update(due_at=timezone.now() - timedelta(minutes=5))
    endpoint.pause(application("default"), "op", "")  # not urgent
    Endpoint.objects.update(health="refused")
    overdue()
    sight.forget()
    page = client.get(INDEX).content.decode()
    for part in ("nobody delivers", "refuses the API key", "should be done by now", STATUS):
        assert part in page
    assert "op paused" not in page
    with CaptureQueriesContext(connection) as again:
        client.get(INDEX)
    assert not any("django_talon_outboxrow" in query["sql"] for query in again)
    letters = reverse("admin:django_talon_deadletter_changelist")
    assert "nobody delivers" in client.get(letters).content.decode()
    settings.TALON_ONE = {**settings.TALON_ONE, "ADMIN_BANNER": False}
    assert "nobody delivers" not in client.get(INDEX).content.decode()


def test_H7_the_banner_is_for_those_who_may_see_the_status(client, talon):
    overdue()
    client.force_login(staff("view_deadletter"))
    assert "talon-banner" not in client.get(INDEX).content.decode()
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_status"))
    assert "should be done by now" in client.get(INDEX).content.decode()


def test_H7_a_site_of_the_shops_own_has_banner_and_pages(root, talon):
    overdue()
    site = admin.AdminSite("backoffice")
    register_on(site)
    register_on(site)
    assert site.is_registered(Status)
    request = RequestFactory().get("/")
    request.user = root
    answer = site.index(request)
    assert answer.template_name == TEMPLATE
    assert "should be done by now" in answer.render().content.decode()


def test_H7_a_site_with_an_index_template_keeps_it(monkeypatch):
    monkeypatch.setattr(admin.AdminSite, "index_template", "shop/index.html")
    add_banner()
    assert admin.AdminSite.index_template == "shop/index.html"


# Panels


class CartAdmin(TalonAdminMixin, admin.ModelAdmin):
    pass


class OrderAdmin(TalonAdminMixin, admin.ModelAdmin):
    fieldsets = ((None, {"fields": ("status",)}),)


class UserAdmin(TalonAdminMixin, admin.ModelAdmin):
    fields = ("username",)


def panel_of(model_admin, row, user):
    request = RequestFactory().get("/")
    request.user = user
    found = model_admin(type(row), admin.site)
    answer = found.change_view(request, str(row.pk))
    return answer.render().content.decode()


def test_H3_a_carts_page_shows_session_codes_and_trouble(root, talon):
    cart = cart_with(("mug", "10.00", 2))
    assert "has not heard of it" in panel_of(CartAdmin, cart, root)
    checkout.evaluate(cart, enter=["NOPE"])
    deliver_all()
    session = CustomerSession.objects.get()
    cart_with(("mug", "10.00", 1))
    DeadLetter.objects.create(
        aggregate=session.cart, uid="00000000-0000-0000-0000-000000000000", reason="a bad price"
    )
    OutboxRow.objects.create(
        application="default", lane=session.cart, aggregate=session.cart, kind="mark"
    )
    page = panel_of(CartAdmin, cart, root)
    for part in (
        session.integration_id,
        reverse("admin:django_talon_customersession_change", args=[session.pk]),
        "Last answer on",
        "NOPE: rejected: We do not know this code. (CouponNotFound)",
        "a bad price",
        "no worker has taken it up yet",
    ):
        assert part in page


def test_H3_a_page_opens_though_the_router_raises(root, talon, settings):
    cart = cart_with(("mug", "10.00", 1))
    settings.TALON_ONE = {**settings.TALON_ONE, "ROUTER": lambda row: row.nowhere}
    assert "has not heard of it" in panel_of(CartAdmin, cart, root)


def test_H3_an_orders_page_shows_drift(root, talon):
    order = order_of(cart_with(("mug", "10.00", 2)))
    deliver_all()
    line = order.lines.get()
    line.quantity = 3
    line.save()
    deliver_all()
    page = panel_of(OrderAdmin, order, root)
    assert "closed" in page
    assert "Edited after the close" in page
    assert "34.9" in page
    assert "24.9" in page


def test_H3_a_customers_page_shows_profile_sessions_and_erasure(root, talon):
    ada = customer()
    cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    page = panel_of(UserAdmin, ada, root)
    assert f"<code>{ada.pk}</code>" in page
    assert "The profile was sent on" in page
    assert CustomerSession.objects.get().integration_id in page
    privacy.erase(ada)
    assert "Erasure" in panel_of(UserAdmin, ada, root)


def test_H3_a_panel_is_for_those_who_may_view_sessions(root, talon):
    cart = cart_with(("mug", "10.00", 1))
    user = staff("view_cart", "change_cart")
    assert "talon-panel" not in panel_of(CartAdmin, cart, user)
    user.user_permissions.add(Permission.objects.get(codename="view_customersession"))
    assert "talon-panel" in panel_of(CartAdmin, cart, User.objects.get(pk=user.pk))


def test_H3_a_panel_costs_the_same_queries_however_much_there_is(root, talon):
    ada = customer()
    cart = cart_with(("mug", "10.00", 1), user=ada)
    deliver_all()
    key = f"cart:shop.cart:{cart.pk}"

    def queries():
        with CaptureQueriesContext(connection) as seen:
            panel_of(CartAdmin, cart, root)
            panel_of(UserAdmin, ada, root)
        return len(seen)

    def fill(count):
        OutboxRow.objects.bulk_create(
            OutboxRow(application="default", lane=key, aggregate=key, kind="mark")
            for _ in range(count)
        )
        CodeEntry.objects.bulk_create(CodeEntry(cart=key, code=f"C{n}") for n in range(count))
        CustomerSession.objects.bulk_create(
            CustomerSession(application="default", cart="x", profile_id=str(ada.pk))
            for _ in range(count)
        )

    fill(100)
    queries()
    few = queries()
    fill(2_000)
    assert queries() == few


# Coupons


@pytest.fixture
def coupon(talon):
    """A coupon that the seed of every world has."""
    return next(iter(talon.state()["coupons"]))


@pytest.fixture
def referrals(talon):
    """The number of the seed's campaign that gives out referral codes."""
    return talon.state()["referrals"]["FRIEND-OF-ADA"]["campaignId"]


def ask(client, act, *, confirmed=True, **data):
    prefix = {"reserve": "holder-", "unreserve": "holder-", "refer": "referral-"}.get(act, "")
    values = {"application": "default", **data}
    sent = {f"{prefix}{name}": value for name, value in values.items()}
    return client.post(COUPONS, {"act": act, **sent, **(YES if confirmed else {})})


def test_a_coupon_is_looked_up_reserved_and_released(client, root, talon, coupon):
    CodeEntry.objects.create(cart="cart:shop.cart:1", code=coupon, status="accepted")
    assert "lookup" in client.get(COUPONS).content.decode().replace("-", "")
    assert not talon.calls()
    found = ask(client, "look-up", code=coupon)
    assert (found.context["holder_count"], len(found.context["entries"])) == (0, 1)
    ada = customer()
    done = ask(client, "reserve", code=coupon, customer=str(ada.pk))
    assert told(done) == [f"Coupon {coupon} is reserved for customer {ada.pk}."]
    assert list(ask(client, "look-up", code=coupon).context["holders"]) == [str(ada.pk)]
    released = ask(client, "unreserve", code=coupon, customer=str(ada.pk))
    assert "no longer reserved" in told(released)[0]
    assert ask(client, "look-up", code=coupon).context["holder_count"] == 0
    messages = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert f"Reserved for customer {pseudonym(str(ada.pk))[:12]}" in messages
    assert LogEntry.objects.filter(object_id=coupon).count() == 5
    assert coupon not in str(list(DeliveryLog.objects.values()))


@pytest.mark.parametrize(
    ("act", "data", "will", "noted"),
    [
        (
            "reserve",
            {"customer": "7"},
            "Talon.One reserves coupon {code} for customer 7.",
            "Reserved for customer ",
        ),
        (
            "unreserve",
            {"customer": "7"},
            "Talon.One no longer reserves coupon {code} for customer 7.",
            "No longer reserved for customer ",
        ),
        (
            "refer",
            {"advocate": "7", "campaign": "{campaign}"},
            "Talon.One makes a referral code of campaign {campaign} for advocate 7.",
            "Made for advocate ",
        ),
    ],
)
def test_H4_an_act_on_a_coupon_asks_first(
    client, root, talon, coupon, referrals, act, data, will, noted
):
    known = {"code": coupon, "campaign": referrals}
    data = {name: value.format(**known) for name, value in data.items()}
    page = ask(client, act, confirmed=False, **({} if act == "refer" else {"code": coupon}), **data)
    assert will.format(**known) in page.content.decode()
    assert not talon.calls()
    assert not LogEntry.objects.exists()
    done = client.post(COUPONS, dict(page.context["hidden"]))
    assert len(told(done)) == 1
    assert len(talon.calls()) == 1
    assert LogEntry.objects.get().change_message == noted + pseudonym("7")[:12]


def test_an_unknown_coupon_and_a_refused_one_are_explained(client, root, talon, coupon):
    unknown = ask(client, "look-up", code="NO-SUCH-CODE")
    assert told(unknown) == [
        "Talon.One does not know it (404). Check the spelling, and the Application."
    ]
    assert endpoint.is_usable(application("default"))
    talon.faults.add("createCouponReservation", do={"status": {"code": 400}})
    assert told(ask(client, "reserve", code=coupon, customer="1"))[0].startswith(
        "Talon.One refused it (400)."
    )
    assert "e-mail address" in told(ask(client, "reserve", code=coupon, customer="a@b.example"))[0]
    assert ask(client, "reserve", code=coupon).context["holder"].errors
    assert ask(client, "look-up", code="").context["look_up"].errors
    assert ask(client, "refer", advocate="1", campaign="x").context["referral"].errors
    assert ask(client, "nothing").status_code == 200


def test_G2_an_erased_customer_is_not_made_anew_by_a_reservation(client, root, talon, coupon):
    ada = customer()
    privacy.erase(ada)
    count = len(talon.calls())
    done = ask(client, "reserve", code=coupon, customer=str(ada.pk))
    assert told(done)[0].startswith("This customer is erased.")
    assert len(talon.calls()) == count


def test_a_customer_whom_a_worker_talks_about_is_left_in_peace(client, root, talon, coupon):
    app = application("default")
    lease = lanes.acquire(lanes.profile_lane(app.environment, "7"), clock.now())
    assert "Try again soon" in told(ask(client, "reserve", code=coupon, customer="7"))[0]
    lanes.release(lease)
    endpoint.pause(app, "op", "")
    assert "paused" in told(ask(client, "reserve", code=coupon, customer="7"))[0]


def test_a_referral_code_is_made_outside_a_transaction(client, root, talon, referrals):
    before = set(talon.state()["referrals"])
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        page = ask(client, "refer", advocate="7", campaign=str(referrals), usage_limit="3")
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    [code] = set(talon.state()["referrals"]) - before
    made = talon.state()["referrals"][code]
    assert (made["campaignId"], made["usageLimit"]) == (referrals, 3)
    assert made["advocateProfileIntegrationId"] == "7"
    assert told(page) == [f"The referral code is {code}."]
    assert f"<strong>{code}</strong>" in page.content.decode()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (
        code,
        f"Made for advocate {pseudonym('7')[:12]}",
    )
    assert code not in str(list(DeliveryLog.objects.values()))


def test_a_campaign_without_referrals_is_explained(client, root, talon):
    page = ask(client, "refer", advocate="7", campaign="1")
    assert told(page)[0].startswith("Talon.One refused it (400)")
    assert "made" not in page.context
    assert not LogEntry.objects.exists()


# Permissions


@pytest.mark.parametrize(
    ("name", "permission"),
    [("pause", "pause_endpoint"), ("resume", "resume_endpoint"), ("test", "test_endpoint")],
)
def test_H4_each_act_on_an_endpoint_has_a_permission_of_its_own(client, talon, name, permission):
    user = staff("view_status", "view_endpoint")
    client.force_login(user)
    there = reverse(f"admin:django_talon_endpoint_{name}", args=["default"])
    assert client.post(there).status_code == client.post(there, YES).status_code == 403
    user.user_permissions.add(ours(permission))
    assert client.get(there).status_code == 405
    assert client.post(there, YES).status_code == 302


@pytest.mark.parametrize(
    ("act", "permission"),
    [
        ("reserve", "reserve_coupon"),
        ("unreserve", "unreserve_coupon"),
        ("refer", "create_referral"),
    ],
)
def test_H4_each_act_on_a_coupon_has_a_permission_of_its_own(client, talon, act, permission):
    user = staff()
    client.force_login(user)
    assert client.get(COUPONS).status_code == 403
    user.user_permissions.add(ours("view_coupon"))
    assert client.get(COUPONS).status_code == 200
    data = {"code": "X", "customer": "1", "advocate": "1", "campaign": "1"}
    assert ask(client, act, **data).status_code == 403
    assert not talon.calls()
    user.user_permissions.add(ours(permission))
    assert ask(client, act, **data).status_code == 200


def test_H4_every_list_of_ours_speaks_german(client, root, talon, settings):
    settings.LANGUAGE_CODE = "de"
    for model in admin.site._registry:
        if model._meta.app_label == "django_talon":
            page = client.get(reverse(f"admin:django_talon_{model._meta.model_name}_changelist"))
            with translation.override("de"):
                name = str(model._meta.verbose_name_plural)
            assert page.status_code == 200
            assert name in page.content.decode()
