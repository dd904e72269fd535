"""Shop code that reacts to effects: ``@talon.on_effect("addFreeItem")``."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from django_talon.client.hushing import places
from django_talon.models import CustomerSession
from django_talon.signals import effects_received

logger = logging.getLogger("django_talon")

#: Called with keyword arguments ``effect`` and ``session``.
Handler = Callable[..., Any]

_handlers: dict[str, list[Handler]] = defaultdict(list)


def on_effect(effect_type: str) -> Callable[[Handler], Handler]:
    """Call the decorated function for every effect of this type (``"*"``: of any).

    It is called as ``handler(effect=..., session=...)`` after the answer was
    stored, by the worker or by ``evaluate``, and may be called again for the
    same effect: an answer is always the full current set. What it raises is
    logged and disturbs neither the other handlers nor the delivery.
    """

    def connect(handler: Handler) -> Handler:
        _handlers[effect_type].append(handler)
        return handler

    return connect


def off_effect(handler: Handler) -> None:
    """Forget a handler (for tests)."""
    for handlers in _handlers.values():
        if handler in handlers:
            handlers.remove(handler)


def dispatch(session: CustomerSession, effects: Iterable[Any]) -> None:
    """Give the effects of a stored answer to signal receivers and handlers, each isolated."""
    effects = list(effects)
    results = effects_received.send_robust(sender=CustomerSession, session=session, effects=effects)
    for receiver, outcome in results:
        if isinstance(outcome, Exception):
            _log(receiver, "effects_received", outcome)
    for effect in effects:
        for handler in (*_handlers[effect.effect_type], *_handlers["*"]):
            try:
                handler(effect=effect, session=session)
            except Exception as error:  # noqa: BLE001  shop code: logged, isolated
                _log(handler, effect.effect_type, error)


def _log(handler: Any, effect_type: str, error: Exception) -> None:
    logger.error(
        "The handler %s of %s raised %s (%s); the other handlers went on.",
        getattr(handler, "__qualname__", handler),
        effect_type,
        type(error).__name__,
        " > ".join(places(error)),
    )
