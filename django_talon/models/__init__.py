"""The tables. None has a foreign key to a shop's own tables."""

from django_talon.models.evaluations import CodeEntry, EffectRecord, Evaluation
from django_talon.models.identity import CustomerProfile, CustomerSession, Installation
from django_talon.models.outbox import (
    DeadLetter,
    DeliveryLog,
    Endpoint,
    Heartbeat,
    Lane,
    OutboxRow,
)
from django_talon.models.privacy import Erasure

__all__ = [
    "CodeEntry",
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
]
