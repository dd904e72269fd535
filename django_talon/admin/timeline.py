"""The life of one customer session, from the delivery log, the ledger and the session itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from django_talon.client import decode_effects
from django_talon.effects import whole
from django_talon.models import CustomerSession, DeliveryLog
from django_talon.models.identity import SessionState
from django_talon.outbox.calls import DELIVERED

#: Calls of a session that are looked at, newest first.
MOST = 200


@dataclass(frozen=True)
class Moment:
    """Something that happened to a session; the same thing in a row is told once."""

    at: datetime
    what: str
    count: int = 1
    is_bad: bool = False


@dataclass(frozen=True)
class EffectLine:
    """One effect in a table."""

    effect_type: str
    rule: str
    campaign: Any
    details: str


def timeline(session: CustomerSession) -> list[Moment]:
    """Return what is known of a session, oldest first: one query.

    Calls older than ``RETENTION_DAYS`` are forgotten; first and last moments stay.
    """
    logged = DeliveryLog.objects.filter(session_id=session.integration_id).order_by("-pk")[:MOST]
    moments = [Moment(session.created_at, _("made")), *_calls(logged)]
    if session.drift_at:
        moments.append(
            Moment(session.drift_at, _("edited in the shop after the close"), is_bad=True)
        )
    return list(_merged(sorted(moments, key=lambda moment: moment.at)))


def _calls(logged: Any) -> Iterator[Moment]:
    for call in logged:
        state = SessionState(call.state).label if call.state in SessionState else call.state
        if not call.state:
            yield Moment(call.created_at, _("asked dry"), is_bad=call.outcome != DELIVERED)
        elif call.outcome == DELIVERED:
            yield Moment(call.created_at, _("sent: %s") % state)
        else:
            said = f"{call.outcome} {call.status or ''}".strip()
            values = {"state": state, "error": said}
            yield Moment(call.created_at, _("%(state)s failed: %(error)s") % values, is_bad=True)


def _merged(moments: Sequence[Moment]) -> Iterator[Moment]:
    """Yield the moments, the same thing in a row as one with the time of the last."""
    held: Moment | None = None
    for moment in moments:
        if held is not None and held.what == moment.what:
            held = replace(moment, count=held.count + 1)
            continue
        if held is not None:
            yield held
        held = moment
    if held is not None:
        yield held


def effect_lines(effects: Sequence[Any]) -> list[EffectLine]:
    """Return effects for a table: types, rules and amounts."""
    return [
        EffectLine(
            effect_type=str(effect.effect_type),
            rule=str(effect.rule_name or ""),
            campaign=effect.campaign_id or "",
            details=_details(effect.props),
        )
        for effect in effects
    ]


def stored_effects(text: str) -> Sequence[Any]:
    """Decode the effects of a stored answer."""
    return whole(decode_effects(text.encode()))


#: What is shown of an effect's props; texts and ids of people are not.
_PROPS = ("name", "value", "position", "scope", "rejection_reason", "sku", "sub_ledger_id")


def _details(props: Any) -> str:
    pairs = ((name, getattr(props, name, None)) for name in _PROPS)
    return ", ".join(f"{name}: {value}" for name, value in pairs if _is_shown(value))


def _is_shown(value: Any) -> bool:
    return value is not None and str(value) != "UNSET" and value != ""
