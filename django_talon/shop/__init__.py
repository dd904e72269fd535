"""Where a shop says what its carts, orders and customers look like."""

from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import register
from django_talon.shop.snapshots import (
    ItemSnapshot,
    ProfileSnapshot,
    SessionSnapshot,
    SnapshotError,
)

__all__ = [
    "Adapter",
    "ItemSnapshot",
    "ProfileSnapshot",
    "SessionSnapshot",
    "SnapshotError",
    "register",
]
