"""What an answer's effects mean for a cart: amounts on lines, and shop code that reacts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django_talon.client import Effect, EffectProps


def whole(effects: Iterable[Any]) -> list[Effect]:
    """Return the effects that have the form of one, whatever their type.

    The client takes an answer as it comes: an entry may lack what the API
    promises, or be no effect at all.
    """
    return [effect for effect in effects if isinstance(effect, Effect) and _is_whole(effect)]


def _is_whole(effect: Effect) -> bool:
    numbers = (effect.campaign_id, effect.ruleset_id, effect.rule_index)
    texts = (effect.rule_name, effect.effect_type)
    return all(isinstance(value, int) for value in numbers) and all(
        isinstance(value, str) for value in texts
    )


def typed(effects: Iterable[Any], *types: str) -> list[Effect]:
    """Return the effects of these types whose props are those of the type."""
    return [
        effect
        for effect in effects
        if effect.effect_type in types and isinstance(effect.props, EffectProps)
    ]
