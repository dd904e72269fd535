"""The tables. None has a foreign key to a shop's own tables."""

from django_talon.models.evaluations import CodeEntry, Coupon, EffectRecord, Evaluation
from django_talon.models.identity import CustomerProfile, CustomerSession, Installation
from django_talon.models.outbox import (
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Heartbeat,
    Lane,
    OutboxRow,
    Progress,
    Status,
)
from django_talon.models.privacy import Erasure, Selection

__all__ = [
    "CodeEntry",
    "Coupon",
    "CustomerProfile",
    "CustomerSession",
    "DeadLetter",
    "DeliveryLog",
    "EffectRecord",
    "Endpoint",
    "Erasure",
    "Evaluation",
    "Heartbeat",
    "Installation",
    "Lane",
    "OutboxRow",
    "Progress",
    "Selection",
    "Status",
]
