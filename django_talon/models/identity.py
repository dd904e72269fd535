"""Who is who: a shop's carts, orders and customers, and their ids at Talon.One."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import ClassVar

from django.db import connections, models, router
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def new_integration_id() -> str:
    return str(uuid.uuid4())


def new_salt() -> str:
    return secrets.token_hex(32)


def first_migrated() -> datetime:
    """Return when our first migration ran here; Django keeps that, through a flush too."""
    recorder = MigrationRecorder(connections[router.db_for_write(Installation)])
    if not recorder.has_table():
        return timezone.now()
    ran = recorder.migration_qs.filter(app="django_talon").order_by("applied").first()
    return ran.applied if ran else timezone.now()


class SessionState(models.TextChoices):
    """The states of a customer session at Talon.One."""

    NEW = "", _("not sent yet")
    OPEN = "open", _("open")
    CLOSED = "closed", _("closed")
    PARTIALLY_RETURNED = "partially_returned", _("partially returned")
    CANCELLED = "cancelled", _("cancelled")


class Installation(models.Model):
    """One row: since when this shop talks to Talon.One, and its salt."""

    installed_at = models.DateTimeField(default=first_migrated, editable=False)
    #: Key of the HMAC that hashes ids of erased customers. Never ``SECRET_KEY``,
    #: which shops rotate.
    salt = models.CharField(max_length=64, default=new_salt, editable=False)

    def __str__(self) -> str:
        return f"installed {self.installed_at:%Y-%m-%d}"

    @classmethod
    def current(cls) -> Installation:
        """Return the row; make it if there is none yet."""
        return cls.objects.order_by("pk").first() or cls.objects.create()


class CustomerSession(models.Model):
    """One customer session: a cart, the order that came of it, and what was sent."""

    class Meta:
        verbose_name = _("customer session")
        verbose_name_plural = _("customer sessions")
        indexes: ClassVar = [
            models.Index(fields=["cart"], name="talon_session_cart"),
            models.Index(fields=["order"], name="talon_session_order"),
            models.Index(fields=["profile_id"], name="talon_session_profile"),
            models.Index(fields=["drift_at"], name="talon_session_drift"),
        ]
        permissions: ClassVar = [
            ("view_payload", "Can see what would be sent to Talon.One, personal data too"),
            ("dry_run_customersession", "Can ask Talon.One about a session without a trace"),
            ("send_customersession", "Can send a session to Talon.One at once"),
        ]

    integration_id = models.CharField(
        _("integration id"), max_length=64, unique=True, default=new_integration_id
    )
    application = models.CharField(_("application"), max_length=64)
    #: Aggregate keys such as ``cart:shop.cart:5``; no foreign keys, so that the
    #: session survives the deletion of either.
    cart = models.CharField(_("cart"), max_length=190, blank=True)
    order = models.CharField(_("order"), max_length=190, blank=True)
    profile_id = models.CharField(_("customer profile"), max_length=255, blank=True)
    state = models.CharField(
        _("state"),
        max_length=20,
        choices=SessionState.choices,
        default=SessionState.NEW,
        blank=True,
    )
    #: Of the snapshot that Talon.One acknowledged last; empty where that is unknown.
    fingerprint = models.CharField(max_length=64, blank=True)
    #: Of the cart's lines when the order took the session over: a cart that
    #: differs from it was edited again and gets a session of its own.
    cart_fingerprint = models.CharField(max_length=64, blank=True)
    #: Of the lines and costs with which the session was closed.
    closed_fingerprint = models.CharField(max_length=64, blank=True)
    #: ``[[key, quantity], ...]`` of the lines it was closed with, by position.
    closed_lines = models.JSONField(null=True, blank=True, editable=False)
    #: Line key -> units given back in all: what Talon.One has heard of, and what it cannot hear.
    returned = models.JSONField(null=True, blank=True, editable=False)
    refused_return = models.JSONField(null=True, blank=True, editable=False)
    #: Attribute that Talon.One holds -> kind of its value, to empty it when the shop does.
    attribute_kinds = models.JSONField(null=True, blank=True, editable=False)
    #: Of lines and costs found after the close that differ from those.
    drift_fingerprint = models.CharField(max_length=64, blank=True)
    drift_at = models.DateTimeField(_("drift found at"), null=True, blank=True)
    #: Lines and costs before discounts, in the Application's currency: as they were
    #: closed at Talon.One, and as the shop had them when the drift was found.
    closed_total = models.DecimalField(
        _("total at Talon.One"), max_digits=24, decimal_places=8, null=True, blank=True
    )
    drift_total = models.DecimalField(
        _("total in the shop"), max_digits=24, decimal_places=8, null=True, blank=True
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    def __str__(self) -> str:
        return self.integration_id

    @property
    def is_over(self) -> bool:
        """Whether Talon.One no longer takes changes of its content."""
        return self.state in {
            SessionState.CLOSED,
            SessionState.CANCELLED,
            SessionState.PARTIALLY_RETURNED,
        }


class CustomerProfile(models.Model):
    """One customer profile, and what was sent of it."""

    class Meta:
        verbose_name = _("customer profile")
        verbose_name_plural = _("customer profiles")
        indexes: ClassVar = [models.Index(fields=["customer"], name="talon_profile_customer")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "profile_id"], name="talon_profile_once")
        ]

    environment = models.CharField(_("environment"), max_length=255)
    profile_id = models.CharField(_("integration id"), max_length=255)
    #: Aggregate key such as ``customer:auth.user:3``.
    customer = models.CharField(_("customer"), max_length=190, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    #: Attribute that Talon.One holds -> kind of its value, to empty it when the shop does.
    attribute_kinds = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    def __str__(self) -> str:
        return self.profile_id
