"""Erasures: requests to delete a person's data, and the tombstones that keep them erased."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

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
        ]

    environment = models.CharField(_("environment"), max_length=255)
    #: HMAC of the profile id: the tombstone.
    pseudonym = models.CharField(_("customer (hashed)"), max_length=64)
    #: Kept in clear only until the proof is stored.
    profile_id = models.CharField(max_length=255, blank=True)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    operator = models.CharField(_("requested by"), max_length=190, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now)
    first_sweep_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    second_sweep_at = models.DateTimeField(_("deleted again at"), null=True, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    #: What was read back: which sections of the inventory were still filled.
    proof = models.JSONField(default=dict, blank=True)
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_reason = models.CharField(_("why lifted"), max_length=255, blank=True)

    def __str__(self) -> str:
        return f"{self.pseudonym[:12]} ({self.status})"

    @classmethod
    def standing(cls, environment: str, profile_id: str) -> bool:
        """Return whether this customer is erased and not lifted."""
        return cls.objects.filter(
            environment=environment, pseudonym=pseudonym(profile_id), lifted_at=None
        ).exists()
