"""Erasures: requests to delete a person's data, and the tombstones that keep them erased."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_talon.conf import conf
from django_talon.models.identity import Installation


def pseudonym(profile_id: str, salt: str | None = None) -> str:
    """Return the hash under which an erased customer is remembered."""
    key = salt or Installation.current().salt
    return hmac.new(key.encode(), profile_id.encode(), hashlib.sha256).hexdigest()


class Erasure(models.Model):
    """One request to erase a customer from one environment; also the tombstone."""

    class Status(models.TextChoices):
        """How far the erasure has come."""

        REQUESTED = "requested", _("requested")
        SWEPT = "swept", _("deleted once; a second deletion follows")
        DONE = "done", _("deleted, and the proof is stored")
        FAILED = "failed", _("refused by Talon.One; see the dead letters")

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        indexes: ClassVar = [
            models.Index(fields=["environment", "pseudonym"], name="talon_erasure_who")
        ]
        permissions: ClassVar = [
            ("erase_customer", "Can erase customer data in Talon.One"),
            ("view_inventory", "Can download a customer's inventory from Talon.One"),
            ("lift_erasure", "Can lift an erasure, so that the customer is sent again"),
        ]

    environment = models.CharField(_("environment"), max_length=255)
    #: HMAC of the profile id: the tombstone.
    pseudonym = models.CharField(_("customer (hashed)"), max_length=64)
    #: Kept in clear only until the proof is stored.
    profile_id = models.CharField(max_length=255, blank=True)
    #: Aggregate key such as ``customer:auth.user:3``, where known; goes with the profile id.
    customer = models.CharField(max_length=190, blank=True)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    operator = models.CharField(_("requested by"), max_length=190, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now)
    first_sweep_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    second_sweep_at = models.DateTimeField(_("deleted again at"), null=True, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    #: When the request was written to ``ERASURE_LOG``.
    logged_at = models.DateTimeField(null=True, blank=True)
    #: What was read back: which sections of the inventory were still filled.
    proof = models.JSONField(default=dict, blank=True)
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_reason = models.CharField(_("why lifted"), max_length=255, blank=True)
    lifted_by = models.CharField(_("lifted by"), max_length=190, blank=True)
    #: Profiles and events of this customer that were not sent since.
    withheld = models.IntegerField(_("withheld since"), default=0, db_default=0)
    withheld_at = models.DateTimeField(_("last withheld at"), null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.pseudonym[:12]} ({self.status})"

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do: the proof is stored, or the erasure was lifted."""
        return self.status == self.Status.DONE or self.lifted_at is not None

    @property
    def due_by(self) -> datetime:
        """When the proof has to be stored: ``ERASURE_DEADLINE_DAYS`` after the request."""
        return self.requested_at + timedelta(days=conf.ERASURE_DEADLINE_DAYS)

    @property
    def is_overdue(self) -> bool:
        """Whether the deadline has passed and the proof is not stored."""
        return not self.is_finished and self.due_by < timezone.now()

    @classmethod
    def overdue(cls) -> models.QuerySet[Erasure]:
        """Return the erasures of which `is_overdue` is true."""
        before = timezone.now() - timedelta(days=conf.ERASURE_DEADLINE_DAYS)
        late = cls.objects.filter(lifted_at=None, requested_at__lt=before)
        return late.exclude(status=cls.Status.DONE)

    @classmethod
    def standing(cls, environment: str, profile_id: str) -> bool:
        """Return whether this customer is erased and not lifted."""
        standing = cls.objects.filter(environment=environment, lifted_at=None)
        # Where nobody was ever erased, that is the end of it.
        if not standing.exists():
            return False
        return standing.filter(pseudonym=pseudonym(profile_id)).exists()


class Selection(models.Model):
    """Customers or records that an operator has chosen and is asked about.

    A page that asks carries this row's id, not thousands of hidden fields.
    """

    #: Ends the model's name where one id at Talon.One was chosen, not rows.
    BY_ID: ClassVar[str] = ":id"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    #: Primary key of the operator; nobody else may use it.
    owner = models.CharField(max_length=64)
    #: What was chosen, such as ``auth.user``.
    model = models.CharField(max_length=100)
    keys = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{len(self.keys)} x {self.model}"
