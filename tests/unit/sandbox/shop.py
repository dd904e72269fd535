"""A small world to try the engine on, with a clock that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from django_talon.sandbox.engine import campaigns, render, sessions
from django_talon.sandbox.engine.state import Application, World

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
CHECK_COUPON = {"type": "checkCoupon", "redeem": True}
CHECK_REFERRAL = {"type": "checkReferral", "redeem": True}


def discount(value: Any, **target: Any) -> dict[str, Any]:
    """Return an awardDiscount block; without a target it is for the cart."""
    wanted = target or {"type": "cart"}
    return {"type": "awardDiscount", "name": "off", "value": value, "target": wanted}


def campaign(*blocks: dict[str, Any], number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a campaign with one rule."""
    rules = {"promotionRules": [{"title": "the rule", "blocks": list(blocks)}]}
    return {"id": number, "name": f"campaign {number}", "ruleset": rules, **more}


class Shop:
    """A world with the given campaigns, and its one application."""

    def __init__(self, *described: dict[str, Any]) -> None:
        self.now = NOW
        self.load({"campaigns": list(described), "additionalCosts": ["shipping"]})

    def load(self, content: dict[str, Any]) -> None:
        """Start again with another seed."""
        self.seed = campaigns.parse(content)
        self.world: World = campaigns.new_world(self.seed, lambda: self.now)
        self.app: Application = campaigns.add_application(self.world, self.seed, "default")

    def put(self, session_id: str = "s1", **changes: Any) -> sessions.Outcome:
        """Update a session."""
        return sessions.update(self.world, self.app, session_id, changes)

    def dry(self, session_id: str = "s1", **changes: Any) -> sessions.Outcome:
        """Ask without storing anything."""
        return sessions.dry_run(self.world, self.app, session_id, changes)

    def pass_time(self, **delta: float) -> None:
        """Advance the clock."""
        self.now += timedelta(**delta)


def item(price: str = "10", quantity: int = 1, **more: Any) -> dict[str, Any]:
    """Return a cart item."""
    return {"sku": "mug", "name": "Mug", "quantity": quantity, "price": Decimal(price)} | more


def told(outcome: sessions.Outcome) -> list[tuple[Any, ...]]:
    """Return type and most telling props of each effect."""
    keys = ("value", "rejectionReason", "position", "subPosition")
    return [
        (effect.effect_type, *(effect.props[key] for key in keys if key in effect.props))
        for effect in outcome.evaluation.effects
    ]


def reasons(outcome: sessions.Outcome) -> list[dict[str, Any]]:
    """Return why rules stayed silent, as answers say it."""
    return [render.failure(failure) for failure in outcome.evaluation.failures]
