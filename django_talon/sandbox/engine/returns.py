"""Giving items of a closed session back, and opening one again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from decimal import Decimal

from . import budgets, loyalty, profiles, rollbacks, rules, sessions, totals
from .errors import invalid, problem
from .event_log import record
from .state import Application, Effect, Event, Json, Return, Session, World

_ROWS = "/return/returnedCartItems"


def give_back(
    world: World, application: Application, session_id: str, rows: list[Json], *, dry: bool
) -> sessions.Outcome:
    """Return pieces of a closed session: their own discounts are rolled back, their sales too."""
    stored = sessions.find(world, application, session_id)
    if stored.state not in {"closed", "partially_returned"}:
        raise sessions.illegal(world, f"items of a {stored.state} session cannot be returned", "")
    units = _Picker(stored, world.decisions.return_without_quantity).units(rows)
    session = replace(stored, state="partially_returned", returned=_with(stored, units))
    chosen, effects = rollbacks.of_units(world, session, units)
    session.rollbacks = tuple(effects)
    evaluation = rules.Evaluation(effects=effects)
    now, kind = world.clock(), "talon_session_partially_returned"
    if dry:
        event = Event(0, now, application.id, kind, stored.profile_id, session_id)
        session.returns = [*stored.returns, Return(0, now, 0, units, rows)]
        return sessions.Outcome(session, evaluation, event)
    event = record(world, application, kind, session=session)
    event.effects = session.rollbacks
    returned = Return(world.ids.next("return"), now, event.id, units, rows)
    session.returns = [*stored.returns, returned]
    session.updated, session.last_event = now, event
    session.update_count += 1
    session.spent = dict(stored.spent)
    loyalty.take_back(world, session.profile_id, effects)
    budgets.give_back(application, session, _parts(application, session, chosen))
    sales = totals.returned(session) - totals.returned(stored)
    profiles.count_return(world.profiles.get(session.profile_id), sales)
    application.sessions[session_id] = session
    return sessions.Outcome(session, evaluation, event)


def _with(session: Session, units: list[tuple[int, int]]) -> dict[int, set[int]]:
    found = {position: set(subs) for position, subs in session.returned.items()}
    for position, sub_position in units:
        found.setdefault(position, set()).add(sub_position)
    return found


def _parts(
    application: Application, session: Session, effects: list[Effect]
) -> dict[Hashable, Decimal]:
    """Return what the discounts of the given pieces took from budgets."""
    cards = {coupon.id: code for code, coupon in application.coupons.items()}
    parts: dict[Hashable, Decimal] = {}
    for effect in effects:
        owners = {effect.campaign_id, cards.get(effect.triggered_by_coupon or 0)}
        counted = "createLoyaltyPoints" if effect.effect_type == loyalty.ADD else "setDiscount"
        amounts = {counted: effect.props["value"], f"{counted}Effect": Decimal(1)}
        for key in session.spent:
            if isinstance(key, tuple) and key[0] in owners and key[2] in amounts:
                parts[key] = parts.get(key, Decimal(0)) + amounts[key[2]]
    return parts


class _Picker:
    """Which pieces are meant: by position or SKU, the lowest that are still there."""

    def __init__(self, session: Session, without_quantity: str) -> None:
        self._items = session.cart_items
        self._one = without_quantity == "unit"
        self._gone = {position: set(subs) for position, subs in session.returned.items()}

    def units(self, rows: list[Json]) -> list[tuple[int, int]]:
        return [unit for index, row in enumerate(rows) for unit in self._row(index, row)]

    def _row(self, index: int, row: Json) -> list[tuple[int, int]]:
        left = [unit for line in self._lines(index, row) for unit in self._left(line)]
        wanted = row.get("quantity", 1 if self._one else len(left))
        if not left or wanted > len(left):
            details = f"{wanted or 'no'} pieces are to be returned, {len(left)} are left"
            pointer = f"{_ROWS}/{index}/quantity"
            raise invalid(problem("Invalid quantity", details, pointer=pointer))
        for position, sub_position in left[:wanted]:
            self._gone.setdefault(position, set()).add(sub_position)
        return left[:wanted]

    def _lines(self, index: int, row: Json) -> list[int]:
        lines = list(range(len(self._items)))
        if "position" in row:
            lines = [n for n in lines if n == row["position"]]
        if "sku" in row:
            lines = [n for n in lines if self._items[n]["sku"] == row["sku"]]
        if not lines or not row.keys() & {"position", "sku"}:
            details = "name a line of the session by position or sku"
            raise invalid(problem("Invalid item", details, pointer=f"{_ROWS}/{index}"))
        return lines

    def _left(self, position: int) -> list[tuple[int, int]]:
        gone = self._gone.get(position, set())
        pieces = range(self._items[position]["quantity"])
        return [(position, sub_position) for sub_position in pieces if sub_position not in gone]


def reopen(world: World, application: Application, session_id: str) -> list[Effect]:
    """Open a closed session again; return the rollbacks of what its close did."""
    stored = sessions.find(world, application, session_id)
    if stored.state != "closed":
        raise sessions.illegal(world, f"a {stored.state} session cannot be reopened", "")
    session = replace(stored, state="open")
    effects = rollbacks.of(world, session, full=False)
    session.effects, session.undone = tuple(rollbacks.net(session)), ()
    session.rollbacks = tuple(effects)
    sessions.undo_close(world, application, session)
    event = record(world, application, "talon_session_reopened", session=session)
    event.effects = session.rollbacks
    session.updated, session.last_event = world.clock(), event
    session.update_count += 1
    application.sessions[session_id] = session
    return effects
