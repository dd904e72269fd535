"""Which carts and orders Talon.One knows, and who was erased."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_talon.admin.records import RecordAdmin
from django_talon.models import CustomerSession, Erasure
from django_talon.models.privacy import pseudonym


@admin.register(CustomerSession)
class CustomerSessionAdmin(RecordAdmin):
    """The customer sessions, newest first."""

    list_display = (
        "integration_id",
        "application",
        "state",
        "cart",
        "order",
        "profile_id",
        "sent_at",
    )
    list_filter = ("state", "application")
    search_fields = ("integration_id", "cart", "order", "profile_id")
    ordering = ("-id",)
    fields = (*list_display, "created_at", "drift_at")
    readonly_fields = ("created_at",)


@admin.register(Erasure)
class ErasureAdmin(RecordAdmin):
    """The erasures and their proofs. Customers are shown by their hash, but found by their id."""

    list_display = (
        "customer",
        "environment",
        "status",
        "operator",
        "requested_at",
        "first_sweep_at",
        "second_sweep_at",
        "confirmed_at",
        "proof_text",
        "lifted_at",
    )
    list_filter = ("status", "environment")
    search_fields = ("pseudonym",)
    search_help_text = _("The customer's id at Talon.One, or its hash")
    ordering = ("-id",)
    fields = (
        "pseudonym",
        *list_display[1:],
        "reason",
        "lifted_reason",
    )
    readonly_fields = ("proof_text",)

    @admin.display(description=_("customer (hashed)"))
    def customer(self, erasure: Erasure) -> str:
        return erasure.pseudonym[:12]

    @admin.display(description=_("proof"))
    def proof_text(self, erasure: Erasure) -> str:
        return ", ".join(f"{name}: {value}" for name, value in erasure.proof.items())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        by_id = Q(pseudonym=pseudonym(term))
        return queryset.filter(by_id | Q(pseudonym__startswith=term)), False
