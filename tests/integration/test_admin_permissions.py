"""Every address of ours in the admin, posted to by those who may look, and by those who may act."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import URLResolver, reverse
from django.utils import timezone

from django_talon import privacy
from django_talon.admin.coupons import hashed
from django_talon.conf import application
from django_talon.models import DeadLetter, OutboxRow, Progress, Selection
from tests.helpers import cart_with, customer, deliver_all, order_of

pytestmark = pytest.mark.django_db(transaction=True)

INDEX = reverse("admin:index")


@pytest.fixture
def something_everywhere(talon):
    """Rows of everything that an operator may act upon."""
    cart_with(("mug", "10.00", 1), user=customer())
    deliver_all()
    order_of(cart_with(("mug", "10.00", 1)))
    OutboxRow.objects.update(due_at=timezone.now() + timedelta(minutes=5))
    for number in range(2):
        DeadLetter.objects.create(
            application="default", lane=f"l{number}", aggregate="a", kind="mark", uid=uuid4()
        )
    privacy.erase("guest-1")
    Progress.objects.create(name="reconcile")


def may_look(user):
    views = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set(views.exclude(codename__in=["view_payload", "view_inventory"]))
    return user


def test_H4_view_only_staff_can_change_nothing(client, talon, something_everywhere):
    user = may_look(User.objects.create_user("viewer", is_staff=True))
    client.force_login(user)
    chosen = {label: chosen_by(user, label) for label in ASKING}
    before, calls = everything(), len(talon.calls())
    posted = {name for name, *_ in post_everywhere(client, chosen)}
    assert {
        "django_talon_customerprofile_talon_by_id_json",
        "auth_user_talon_erase_one",
        "django_talon_coupon_changelist",
        "django_talon_customersession_send",
        "django_talon_deadletter_changelist",
        "django_talon_endpoint_pause",
        "django_talon_erasure_lift",
        "django_talon_progress_changelist",
    } <= posted
    assert everything() == before
    assert len(talon.calls()) == calls
    assert not LogEntry.objects.exists()


def test_H4_the_same_posts_act_where_somebody_may(client, talon, something_everywhere):
    root = User.objects.create_superuser("root")
    client.force_login(root)
    chosen = {label: chosen_by(root, label) for label in ASKING}
    calls = len(talon.calls())
    list(post_everywhere(client, chosen))
    assert {
        "Asked Talon.One dry",
        "Discarded: why",
        "Downloaded the inventory from Talon.One",
        "Lifted: why",
        "Looked at the inventory from Talon.One",
        "Looked at what would be sent",
        f"Made for advocate {hashed('7')}",
        f"No longer reserved for customer {hashed('7')}",
        "Paused: why",
        "Replayed",
        f"Requested erasure in Talon.One: {application('default').environment}",
        f"Reserved for customer {hashed('7')}",
        "Resumed",
        "Sent now",
        "Tested the connection",
        "Tried now",
    } <= set(LogEntry.objects.values_list("change_message", flat=True))
    assert len(talon.calls()) > calls


#: Whose pages ask about a selection.
ASKING = ("auth.user", "django_talon.customerprofile", "django_talon.erasure")


def chosen_by(user, label):
    """What somebody was asked about and has not answered yet: of rows, and by id."""
    row = apps.get_model(label).objects.order_by("pk").first()
    return [
        Selection.objects.create(owner=str(user.pk), model=model, keys=[key]).pk
        for model, key in ((label, str(row.pk)), (f"{label}:id", "guest-2"))
    ]


def post_everywhere(client, chosen):
    """Post to every address of ours, with each action; yield the names."""
    for model_admin, name, route in addresses():
        label = model_admin.opts.label_lower
        by_rows, by_id = chosen.get(label, (UUID(int=0), UUID(int=0)))
        selection = by_id if "talon-by-id" in route else by_rows
        rows = list(model_admin.model._default_manager.order_by("pk"))
        url = filled(route, rows[0].pk if rows else 1, selection)
        for number, action in enumerate([*(model_admin.actions or ()), "delete_selected"]):
            keys = [rows[number % len(rows)].pk] if rows else []
            action_name = getattr(action, "__name__", action)
            client.post(url, {**SENT, "action": action_name, "_selected_action": keys})
        for act in ("reserve", "unreserve", "refer"):
            client.post(url, {**SENT, "act": act})
        yield name, url


#: What the forms of all our pages want to know.
SENT = {
    "talon_confirm": "yes",
    "reason": "why",
    "profile_id": "guest-3",
    "erase": "yes",
    "holder-application": "default",
    "holder-code": "WELCOME10",
    "holder-customer": "7",
    "referral-application": "default",
    "referral-advocate": "7",
    "referral-campaign": "2",
}


def addresses():
    """Yield each address of ours on the admin site: its admin, name and route."""
    for resolver in admin.site.get_urls():
        if not isinstance(resolver, URLResolver):
            continue
        prefix = str(resolver.pattern)
        for model, model_admin in admin.site._registry.items():
            options = model._meta
            if prefix != f"{options.app_label}/{options.model_name}/":
                continue
            for pattern in resolver.url_patterns:
                name = pattern.name or ""
                if name.startswith("django_talon_") or "_talon_" in name:
                    yield model_admin, name, f"{INDEX}{prefix}{pattern.pattern}"


def filled(route, pk, selection):
    """Put something in the place of a route's parameters."""
    values = {
        "<uuid:selection>": selection,
        "<path:alias>": "default",
        "<path:object_id>": pk,
        "<int:pk>": pk,
    }
    for parameter, value in values.items():
        route = route.replace(parameter, str(value))
    assert "<" not in route
    return route


def everything():
    """Every row of ours and of the example shop."""
    models = [
        *apps.get_app_config("django_talon").get_models(),
        *apps.get_app_config("shop").get_models(),
    ]
    return {model: list(model._default_manager.order_by("pk").values()) for model in models}
