"""What Talon.One answered, and the codes that shoppers typed in."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_talon.models.identity import CustomerSession


class Evaluation(models.Model):
    """The latest answer for a session, and the snapshot it belongs to."""

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")

    session = models.OneToOneField(
        CustomerSession, on_delete=models.CASCADE, related_name="evaluation"
    )
    fingerprint = models.CharField(max_length=64)
    #: JSON text, in which amounts are exact.
    effects = models.TextField(default="[]")
    evaluated_at = models.DateTimeField(_("at"))

    def __str__(self) -> str:
        return f"{self.session} at {self.evaluated_at:%Y-%m-%d %H:%M:%S}"


class EffectRecord(models.Model):
    """The ledger: one effect of a closed session, or one that was rolled back."""

    class Meta:
        verbose_name = _("effect")
        verbose_name_plural = _("effects")

    session = models.ForeignKey(
        CustomerSession, on_delete=models.CASCADE, related_name="effect_records"
    )
    #: The state that was sent when Talon.One gave this effect.
    state = models.CharField(_("state"), max_length=20)
    effect_type = models.CharField(_("effect"), max_length=64)
    campaign_id = models.BigIntegerField(_("campaign"), null=True)
    rule_name = models.CharField(_("rule"), max_length=255, blank=True)
    #: In the Application's currency, unrounded; empty for effects without an amount.
    amount = models.DecimalField(_("amount"), max_digits=24, decimal_places=8, null=True)
    #: The effect as JSON text.
    effect = models.TextField()
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    def __str__(self) -> str:
        return self.effect_type


class CodeEntry(models.Model):
    """A code that a shopper typed in for a cart."""

    class Status(models.TextChoices):
        """What Talon.One thinks of the code."""

        PENDING = "pending", _("being checked")
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")

    class Meta:
        verbose_name = _("entered code")
        verbose_name_plural = _("entered codes")
        indexes: ClassVar = [models.Index(fields=["cart"], name="talon_code_cart")]

    cart = models.CharField(_("cart"), max_length=190)
    code = models.CharField(_("code"), max_length=100)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.PENDING
    )
    #: The ``rejectionReason`` of the API.
    reason = models.CharField(_("reason"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("entered at"), default=timezone.now)

    def __str__(self) -> str:
        return f"{self.code} ({self.status})"


class Coupon(CodeEntry):
    """The page of coupons and referrals in the admin; no table of its own."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("coupon or referral code")
        verbose_name_plural = _("coupons and referrals")
        permissions: ClassVar = [
            ("reserve_coupon", "Can reserve coupons for customers"),
            ("unreserve_coupon", "Can take back reservations of coupons"),
            ("create_referral", "Can make referral codes"),
        ]
