"""The outbox and what the workers keep about it.

Shop transactions only ever INSERT into `OutboxRow`. The other tables are
written by workers, by ``evaluate`` and by operators.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: Rows of a higher number belong to a newer release: an older worker leaves them alone.
SCHEMA = 1


class Kind(models.TextChoices):
    """What a row asks for. Only ``mark`` is ever coalesced; the others are facts."""

    MARK = "mark", _("may have changed")
    CLOSED = "closed", _("order closed")
    CANCELLED = "cancelled", _("order cancelled")
    LINK = "link", _("order came of a cart")
    EVENT = "event", _("custom event")
    ERASE = "erase", _("erasure")


#: Facts whose payload is rendered from the order by a worker before the first send.
TRANSITIONS = frozenset({Kind.CLOSED, Kind.CANCELLED})


class OutboxRow(models.Model):
    """A promise, made in the shop's own transaction, that Talon.One will hear of it."""

    class Meta:
        verbose_name = _("waiting change")
        verbose_name_plural = _("waiting changes")
        indexes: ClassVar = [
            models.Index(fields=["due_at", "id"], name="talon_outbox_due"),
            models.Index(fields=["lane", "id"], name="talon_outbox_lane"),
        ]

    id = models.BigAutoField(primary_key=True)
    application = models.CharField(_("application"), max_length=64)
    lane = models.CharField(_("lane"), max_length=190)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    aggregate = models.CharField(_("about"), max_length=190)
    payload = models.JSONField(null=True, blank=True)
    #: Idempotency key of a fact.
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    priority = models.SmallIntegerField(default=0)
    schema = models.SmallIntegerField(default=SCHEMA, db_default=SCHEMA)
    #: Both by the database's clock.
    due_at = models.DateTimeField(_("due at"), db_default=Now())
    created_at = models.DateTimeField(_("since"), db_default=Now())
    #: Times a worker took the row up; an outcome takes one back.
    claims = models.SmallIntegerField(default=0, db_default=0)
    #: Times a call was made for it and failed.
    attempts = models.SmallIntegerField(_("attempts"), default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.kind} {self.aggregate}"


class Why(models.TextChoices):
    """Why a lane is blocked."""

    BACKOFF = "backoff", _("waiting to try again")
    HOLD = "hold", _("a call may still be under way at Talon.One")
    CONFLICT = "conflict", _("Talon.One was busy with the same customer")


class Lane(models.Model):
    """A worker's lease of all rows of one cart or one customer profile."""

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")

    key = models.CharField(max_length=255, primary_key=True)
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    blocked_until = models.DateTimeField(null=True)
    why = models.CharField(max_length=16, choices=Why.choices, blank=True)
    failures = models.IntegerField(default=0)
    served_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key


class Health(models.TextChoices):
    """The states of an endpoint."""

    HEALTHY = "healthy", _("healthy")
    FAILING = "failing", _("failing: no answer, or server errors")
    PAUSED = "paused", _("paused: Talon.One asked to wait")
    REFUSED = "refused", _("refused: the API key is not accepted")
    MISCONFIGURED = "misconfigured", _("misconfigured: this is not Talon.One's address")


class Endpoint(models.Model):
    """One base URL with one key, and whether it answers; shared by all workers."""

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")

    #: Alias and a hash of address and key: a new key is a new, healthy endpoint.
    key = models.CharField(max_length=100, primary_key=True)
    application = models.CharField(_("application"), max_length=64)
    base_url = models.CharField(_("address"), max_length=255)
    health = models.CharField(
        _("health"), max_length=16, choices=Health.choices, default=Health.HEALTHY
    )
    #: No call before this moment; after it, one probe.
    until = models.DateTimeField(_("next try"), null=True, blank=True)
    failures = models.IntegerField(_("failures in a row"), default=0)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    changed_at = models.DateTimeField(_("since"), default=timezone.now)

    def __str__(self) -> str:
        return f"{self.application} ({self.base_url})"


class DeadLetter(models.Model):
    """A row that cannot be helped by trying again. It blocks nobody."""

    class Meta:
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        indexes: ClassVar = [models.Index(fields=["aggregate"], name="talon_dead_aggregate")]

    application = models.CharField(_("application"), max_length=64)
    lane = models.CharField(_("lane"), max_length=190)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    aggregate = models.CharField(_("about"), max_length=190)
    payload = models.JSONField(null=True, blank=True)
    uid = models.UUIDField(editable=False)
    status = models.IntegerField(_("status"), null=True, blank=True)
    operation = models.CharField(_("operation"), max_length=64, blank=True)
    reason = models.CharField(_("reason"), max_length=500)
    #: For a 400: ``[[pointer, title], ...]``; never values.
    pointers = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    replayed_at = models.DateTimeField(_("replayed at"), null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.aggregate}: {self.reason}"


class DeliveryLog(models.Model):
    """One call and its outcome: ids, status and timing, never a body."""

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes: ClassVar = [models.Index(fields=["created_at"], name="talon_log_created")]

    application = models.CharField(_("application"), max_length=64)
    operation = models.CharField(_("operation"), max_length=64)
    aggregate = models.CharField(_("about"), max_length=190)
    #: ``delivered``, or the class of the error.
    outcome = models.CharField(_("outcome"), max_length=64)
    status = models.IntegerField(_("status"), null=True, blank=True)
    milliseconds = models.IntegerField(_("milliseconds"), default=0)
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    def __str__(self) -> str:
        return f"{self.operation} {self.outcome}"


class Heartbeat(models.Model):
    """When a worker last looked for due rows."""

    name = models.CharField(max_length=64, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%H:%M:%S}"
