"""The customers whom Talon.One knows of us, also those whom the shop has deleted since."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from django_talon.admin import by_id
from django_talon.admin.customers import TalonCustomerAdminMixin
from django_talon.admin.records import RecordAdmin
from django_talon.models import CustomerProfile


@admin.register(CustomerProfile)
class CustomerProfileAdmin(TalonCustomerAdminMixin, RecordAdmin):
    """Profiles by id, with erasure and inventory for people who are no longer users."""

    list_display = ("profile_id", "environment", "customer", "created_at", "sent_at")
    list_filter = ("environment",)
    search_fields = ("profile_id", "customer")
    search_help_text = _("The whole id at Talon.One, or the shop's key such as auth.user:3")
    ordering = ("-id",)
    fields = list_display

    def get_urls(self) -> list[Any]:
        return [*by_id.urls(self), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "talon_by_id": bool(by_id.offered(request))}
        return super().changelist_view(request, context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find the one customer of an id, by index; 3 does not find 13."""
        term = search_term.strip()
        if not term:
            return queryset, False
        by_key = Q(customer__in=[term, f"customer:{term}"])
        return queryset.filter(Q(profile_id=term) | by_key), False
