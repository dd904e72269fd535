"""Achievements in the two shapes in which the API shows them."""

from __future__ import annotations

from decimal import Decimal

from .ledgers import Achievement, Progress
from .state import Json
from .writing import present


def of_inventory(entity: Achievement, progress: Progress) -> Json:
    """Return an ``AchievementProgressWithDefinition``."""
    return {
        "achievementId": entity.id,
        "name": entity.name,
        "title": entity.title,
        "description": entity.description,
        "campaignId": entity.campaign_id,
        "target": entity.target,
        "achievementRecurrencePolicy": "no_recurrence",
        "achievementActivationPolicy": "user_action",
        **_progress(progress),
    }


def of_customer(entity: Achievement, progress: Progress | None) -> Json:
    """Return a ``CustomerAchievement``: an achievement, and how far somebody is in it."""
    return {
        "id": entity.id,
        "name": entity.name,
        "title": entity.title,
        "description": entity.description,
        "target": entity.target,
        "recurrencePolicy": "no_recurrence",
        "activationPolicy": "user_action",
        "allowRollbackAfterCompletion": entity.rolls_back,
        "currentProgress": _progress(progress),
    }


def _progress(progress: Progress | None) -> Json:
    if progress is None:
        return {"status": "not_started", "progress": Decimal(0)}
    done = progress.completed
    return {
        "status": "completed" if done is not None else "inprogress",
        "progress": progress.value,
        **present(startDate=progress.started, completionDate=done),
    }
