"""What Talon.One knows of a cart, an order or a customer, in the shop's own admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from django_talon.admin.links import link_to
from django_talon.admin.outbox import waiting_for
from django_talon.client import decode_effects
from django_talon.conf import TalonConfigurationError, application, currency_of, route
from django_talon.effects import typed, whole
from django_talon.effects.answer import message
from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    Erasure,
    Evaluation,
)
from django_talon.models.privacy import pseudonym
from django_talon.outbox import sessions
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapter_for
from django_talon.shop.snapshots import SnapshotError

#: Sessions, codes and waiting rows that a panel lists.
MOST = 10


class TalonAdminMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows what Talon.One knows of a cart, an order or a customer on its page.

    ``class OrderAdmin(TalonAdminMixin, admin.ModelAdmin)``: for the models that an
    adapter names. Seen by those who may view customer sessions; read-only.
    """

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "talon_panel") if _is_shown(request, obj) else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if not _is_shown(request, obj):
            return sets
        rest = [(title, _without_panel(options)) for title, options in sets]
        return [*rest, ("Talon.One", {"fields": ("talon_panel",)})]

    @admin.display(description=_("At Talon.One"))
    def talon_panel(self, obj: Any) -> str:
        """Return the panel; the number of queries does not depend on what there is."""
        adapter = adapter_for(obj)
        found = _of_customer if adapter.role_of(obj) == "customer" else _of_cart_or_order
        context = found(self.admin_site, adapter, obj)
        return render_to_string("admin/django_talon/panel.html", context)


def _is_shown(request: HttpRequest, obj: Any) -> bool:
    return obj is not None and request.user.has_perm("django_talon.view_customersession")


def _without_panel(options: Any) -> dict[str, Any]:
    """Take the panel out of the fields that Django works out from `get_readonly_fields`."""
    fields = [field for field in options["fields"] if field != "talon_panel"]
    return {**options, "fields": fields}


def _of_cart_or_order(site: admin.AdminSite, adapter: Adapter, obj: Any) -> dict[str, Any]:
    role = adapter.role_of(obj)
    key = adapter.key(role, obj.pk)
    found = _sessions(adapter, role, obj, key)
    session = found[0] if found else None
    evaluation = Evaluation.objects.filter(session=session).first() if session else None
    effects = whole(decode_effects(evaluation.effects.encode())) if evaluation else []
    codes = CodeEntry.objects.filter(cart=(session.order or session.cart) if session else key)
    return {
        "session": session,
        "session_link": link_to(site, session) if session else "",
        "currency": currency_of(session.application) if session else "",
        "evaluation": evaluation,
        "discounts": _discounts(effects),
        "codes": [(entry, _verdict(entry)) for entry in codes.order_by("pk")[:MOST]],
        **_troubles(site, [key, *([session.cart, session.order] if session else [])]),
    }


def _sessions(adapter: Adapter, role: str, obj: Any, key: str) -> list[CustomerSession]:
    """Return the latest session of a cart or order; of an order without one, its cart's."""
    rows = CustomerSession.objects.order_by("-pk")
    if role == "cart":
        return list(rows.filter(cart=key)[:1])
    return list(rows.filter(order=key)[:1])


def _discounts(effects: Any) -> list[tuple[str, Any]]:
    named = typed(effects, "setDiscount", "setDiscountPerItem", "setDiscountPerAdditionalCost")
    return [(str(effect.props.name), effect.props.value) for effect in named]  # type: ignore[union-attr]


def _verdict(entry: CodeEntry) -> str:
    if entry.status == CodeEntry.Status.REJECTED:
        return f"{entry.get_status_display()}: {message(entry.reason)} ({entry.reason})"
    return str(entry.get_status_display())


def _troubles(site: admin.AdminSite, keys: list[str]) -> dict[str, Any]:
    wanted = sorted({key for key in keys if key})
    letters = DeadLetter.objects.waiting().filter(aggregate__in=wanted).order_by("-pk")
    return {
        "waiting": waiting_for(wanted, MOST),
        "letters": [(letter, link_to(site, letter, letter.reason)) for letter in letters[:MOST]],
    }


def _of_customer(site: admin.AdminSite, adapter: Adapter, obj: Any) -> dict[str, Any]:
    key = adapter.key("customer", obj.pk)
    try:
        profile_id = sessions.checked_profile_id(adapter, obj)
        environment = application(route(obj)).environment
    except (SnapshotError, TalonConfigurationError) as error:
        return {"problem": str(error)}
    theirs = CustomerSession.objects.filter(profile_id=profile_id).order_by("-pk")[:MOST]
    known = CustomerProfile.objects.filter(environment=environment, profile_id=profile_id)
    erasures = Erasure.objects.filter(pseudonym=pseudonym(profile_id)).order_by("-pk")[:MOST]
    return {
        "is_customer": True,
        "profile_id": profile_id,
        "profile": known.first(),
        "sessions": [(session, link_to(site, session)) for session in theirs],
        "erasures": [(erasure, link_to(site, erasure)) for erasure in erasures],
        **_troubles(site, [key]),
    }
