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
    RETURNED = "returned", _("items given back")
    REOPENED = "reopened", _("order opened again")
    EXPIRE = "expire", _("cart left alone")
    LINK = "link", _("order came of a cart")
    EVENT = "event", _("custom event")
    ERASE = "erase", _("erasure")


#: Facts whose payload is rendered from the order by a worker before the first send.
TRANSITIONS = frozenset({Kind.CLOSED, Kind.CANCELLED, Kind.RETURNED, Kind.REOPENED})


class OutboxRow(models.Model):
    """A promise, made in the shop's own transaction, that Talon.One will hear of it."""

    class Meta:
        verbose_name = _("waiting change")
        verbose_name_plural = _("waiting changes")
        indexes: ClassVar = [
            models.Index(fields=["due_at", "id"], name="talon_outbox_due"),
            models.Index(fields=["lane", "id"], name="talon_outbox_lane"),
        ]
        permissions: ClassVar = [
            ("hurry_outboxrow", "Can have waiting changes tried at once"),
            ("discard_outboxrow", "Can discard waiting changes"),
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
        permissions: ClassVar = [
            ("pause_endpoint", "Can pause the calls to an Application"),
            ("resume_endpoint", "Can resume the calls to an Application"),
            ("test_endpoint", "Can test the connection to an Application"),
        ]

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
    #: An operator's pause. It is the Application's: a new key does not end it.
    stopped_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    stopped_by = models.CharField(
        _("paused by"), max_length=190, blank=True, default="", db_default=""
    )
    stopped_reason = models.CharField(
        _("why paused"), max_length=255, blank=True, default="", db_default=""
    )

    def __str__(self) -> str:
        return f"{self.application} ({self.base_url})"


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    """Dead letters, of which an operator has to decide about some."""

    def waiting(self) -> DeadLetterQuerySet:
        """Return those that were neither replayed nor discarded."""
        return self.filter(replayed_at=None, discarded_at=None)


class DeadLetter(models.Model):
    """A row that cannot be helped by trying again. It blocks nobody."""

    class Meta:
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        indexes: ClassVar = [
            models.Index(fields=["aggregate"], name="talon_dead_aggregate"),
            # Each claim asks whether any waits.
            models.Index(fields=["replayed_at", "discarded_at"], name="talon_dead_waiting"),
        ]
        permissions: ClassVar = [
            ("replay_deadletter", "Can replay dead letters"),
            ("discard_deadletter", "Can discard dead letters"),
        ]

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
    discarded_at = models.DateTimeField(_("discarded at"), null=True, blank=True)
    discarded_by = models.CharField(
        _("discarded by"), max_length=190, blank=True, default="", db_default=""
    )
    discarded_reason = models.CharField(
        _("why discarded"), max_length=255, blank=True, default="", db_default=""
    )

    objects = DeadLetterQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} {self.aggregate}: {self.reason}"


class DeliveryLog(models.Model):
    """One call and its outcome: ids, status and timing, never a body."""

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="talon_log_created"),
            models.Index(fields=["aggregate"], name="talon_log_aggregate"),
            models.Index(fields=["session_id", "id"], name="talon_log_session"),
        ]

    application = models.CharField(_("application"), max_length=64)
    operation = models.CharField(_("operation"), max_length=64)
    aggregate = models.CharField(_("about"), max_length=190)
    #: ``delivered``, or the class of the error.
    outcome = models.CharField(_("outcome"), max_length=64)
    status = models.IntegerField(_("status"), null=True, blank=True)
    #: Whether Talon.One may have done it although there was no answer that says so.
    ambiguous = models.BooleanField(_("ambiguous"), default=False, db_default=False)
    milliseconds = models.IntegerField(_("milliseconds"), default=0)
    #: Of a call about a customer session: its integration id, and the state that was sent.
    #: A dry question has no state.
    session_id = models.CharField(
        _("customer session"), max_length=64, blank=True, default="", db_default=""
    )
    state = models.CharField(_("state"), max_length=20, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    def __str__(self) -> str:
        return f"{self.operation} {self.outcome}"


class Heartbeat(models.Model):
    """When a worker last looked for due rows."""

    name = models.CharField(max_length=64, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%H:%M:%S}"


class Progress(models.Model):
    """How far a backfill or the reconcile scan has come, and which process is at it."""

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")

    #: Such as ``backfill customers default``: one process at a time may be at it.
    name = models.CharField(max_length=190, primary_key=True)
    #: What was chosen; a run with another choice does not go on from here.
    filters = models.JSONField(default=dict)
    #: Where it goes on: primary keys by model.
    position = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    total = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    #: Host and process id.
    runner = models.CharField(max_length=190, blank=True)
    running_since = models.DateTimeField(null=True)
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Status(Heartbeat):
    """The status page of the admin; no table of its own."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("status")
        verbose_name_plural = _("status")
