"""Trying one rule: all of its effects, or none of them and the reason."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any

from . import budgets, expressions
from .blocks import CONDITIONS
from .errors import ConditionNotMetError, LazyError
from .scope import Evaluation, Names
from .state import Coupon, Effect, Failure, Giveaway, Json, Limit, Referral, Rule
from .values import getter

ONE = Decimal(1)


class EffectFailedError(LazyError):
    """An effect cannot be applied; rules are atomic, so none of its rule's effects is."""


class OverBudgetError(EffectFailedError):
    """A budget, of the action that is the first argument, does not have what is needed."""

    @property
    def action(self) -> str:
        """The action whose budget it is."""
        return str(self.args[1])

    @property
    def per_profile(self) -> bool:
        """Whether each profile has that budget."""
        return self.args[-1] is True


class Attempt:
    """One rule, tried for one coupon code (or none)."""

    __slots__ = (
        "awards",
        "changes",
        "conditions",
        "coupons",
        "effects",
        "envelope",
        "evaluation",
        "failure",
        "failure_effects",
        "giveaways",
        "index",
        "names",
        "passed",
        "redeems",
        "referrals",
        "rule",
    )

    def __init__(self, names: Names, index: int, rule: Rule, evaluation: Evaluation) -> None:
        number, coupon = names.campaign.id, names.coupon
        code, group = coupon.id if coupon else None, evaluation.groups.get(number)
        self.envelope = (number, number, index, rule.title, code, group)
        self.names = names
        self.index = index
        self.rule = rule
        self.evaluation = evaluation
        self.effects: list[Effect] = []
        self.failure_effects: list[Effect] = []
        self.changes: list[Callable[[], None]] = []
        self.coupons: list[Coupon] = []
        self.referrals: list[Referral] = []
        self.giveaways: list[Giveaway] = []
        self.redeems: set[str] = set()
        self.failure: Failure | None = None
        self.passed = False
        self.conditions = -1
        self.awards = -1

    def accepts(self, effect_type: str) -> bool:
        """Say whether the rule passed and accepted a code."""
        return self.passed and any(e.effect_type == effect_type for e in self.effects)

    def run(self, passed: int = 0) -> Attempt:
        """Try the rule; on failure leave the evaluation as it was, but for the reason.

        Of its first ``passed`` blocks, which are conditions, it is known that they hold.
        """
        evaluation = self.evaluation
        self.conditions += passed
        granted, spending = evaluation.granted.mark(), evaluation.spending.mark()
        try:
            self.all(self.rule.blocks[passed:])
        except (ConditionNotMetError, EffectFailedError, expressions.ExpressionError) as error:
            evaluation.granted.rewind(granted)
            evaluation.spending.rewind(spending)
            evaluation.effects += self.failure_effects
            self._note(error.with_traceback(None))
        else:
            self.passed = True
            self._publish()
        return self

    def _publish(self) -> None:
        evaluation, names = self.evaluation, self.names
        has_code = names.coupon is not None or names.referral is not None
        evaluation.effects += self._accepted_once() if has_code else self.effects
        evaluation.changes += self.changes
        evaluation.created_coupons += self.coupons
        evaluation.created_referrals += self.referrals
        evaluation.giveaways += self.giveaways
        code = names.coupon.value if names.coupon is not None else ""
        if "coupon" in self.redeems and code not in evaluation.redeemed_coupons:
            evaluation.redeemed_coupons.append(code)
        if "referral" in self.redeems and names.referral is not None:
            evaluation.redeemed_referral = names.referral.code

    def _accepted_once(self) -> list[Effect]:
        return [effect for effect in self.effects if not self._repeats_acceptance(effect)]

    def _repeats_acceptance(self, effect: Effect) -> bool:
        return effect.effect_type in {"acceptCoupon", "acceptReferral"} and any(
            e.effect_type == effect.effect_type and e.props == effect.props
            for e in self.evaluation.effects
        )

    def _note(self, error: Exception) -> None:
        names, is_condition = self.names, isinstance(error, ConditionNotMetError)
        group = self.evaluation.groups.get(names.campaign.id)
        self.failure = Failure(
            names.campaign,
            self.index,
            self.rule.title,
            names.coupon,
            names.referral,
            error,
            max(self.conditions, 0) if is_condition else None,
            None if is_condition else max(self.awards, 0),
            group,
        )
        self.evaluation.failures.add(self.failure)

    def all(self, blocks: tuple[Json, ...] | list[Json]) -> None:
        """Run blocks one after the other."""
        for block in blocks:
            self.block(block)

    def block(self, block: Json) -> None:
        """Run one block; raise ConditionNotMetError or EffectFailedError."""
        kind = block["type"]
        if kind in CONDITIONS:
            self.conditions += 1
        elif kind != "group":
            self.awards += 1
        try:
            RUNS[kind](self, block)
        except ConditionNotMetError:
            for told in block.get("onFailure", ()):
                self._tell(told)
            raise

    def _tell(self, block: Json) -> None:
        before, self.effects = self.effects, self.failure_effects
        RUNS[block["type"]](self, block)
        self.failure_effects, self.effects = self.effects, before

    def passes(self, block: Json) -> bool:
        """Say whether a block of a group holds; what a failing one did is undone."""
        effects, failed, changes = len(self.effects), len(self.failure_effects), len(self.changes)
        granted, spending = self.evaluation.granted.mark(), self.evaluation.spending.mark()
        try:
            self.block(block)
        except ConditionNotMetError:
            del self.effects[effects:], self.failure_effects[failed:], self.changes[changes:]
            self.evaluation.granted.rewind(granted)
            self.evaluation.spending.rewind(spending)
            return False
        return True

    def add(self, effect_type: str, props: Json) -> None:
        """Add an effect in this rule's envelope."""
        self.effects.append(Effect(effect_type, props, *self.envelope))

    def value(self, name: str) -> Any:
        """Return the value of a ``$``-name."""
        return getter(name)(self.names)

    def left(self, action: str, wanted: Decimal) -> Decimal:
        """Return how much of ``wanted`` the budgets of an action still have."""
        spending, application = self.evaluation.spending, self.names.scope.application
        left = wanted
        for key, most in self._budgets(action):
            spent = application.spent.get(key)
            rest = most - spending.of(key) - (spent or 0)
            left = min(left, rest)
        return max(left, Decimal(0))

    def spend(self, action: str, amount: Decimal = ONE) -> None:
        """Take from the budgets of an action; raise OverBudgetError if they have less."""
        spending, campaign = self.evaluation.spending, self.names.campaign
        if campaign.limits or self.names.coupon is not None:
            if self.left(action, amount) < amount:
                told = "the budget {} does not have {} left"
                raise OverBudgetError(told, action, amount, self._is_per_profile(action, amount))
            for key, _ in self._budgets(action):
                spending.add(key, amount)
        spending.add(budgets.tally(campaign.id, action), amount)

    def _is_per_profile(self, action: str, wanted: Decimal) -> bool:
        spending, spent = self.evaluation.spending, self.names.scope.application.spent
        rows = self._budgets(action)
        short = [k for k, most in rows if most - spending.of(k) - spent.get(k, 0) < wanted]
        return budgets.is_per_profile(short[0], self.names.campaign.limits)

    def _budgets(self, action: str) -> list[tuple[Hashable, Decimal]]:
        names = self.names
        session, coupon = names.scope.session, names.coupon
        if not names.campaign.limits and coupon is None:
            return []
        codes = (coupon, names.referral)
        owners: list[tuple[Hashable, tuple[Limit, ...]]] = [
            (names.campaign.id, names.campaign.limits)
        ]
        found: list[tuple[Hashable, Decimal]] = []
        if coupon is not None:
            owners += [(coupon.value, coupon.limits)] if action == "redeemCoupon" else []
            if coupon.discount_limit and action == "setDiscount":
                found.append((budgets.gift_card(coupon.value), coupon.discount_limit))
        try:
            for owner, limits in owners:
                rows = budgets.entries(owner, limits, action, session, codes, names.scope.now)
                found += [(key, limit.limit) for key, limit in rows]
        except budgets.ProfileRequiredError as error:
            raise OverBudgetError("the budget {} is per profile", action) from error
        return found


Run = Callable[[Attempt, Json], None]
RUNS: dict[str, Run] = {}


def runs(kind: str) -> Callable[[Run], Run]:
    """Register the function that runs blocks of this type."""

    def register(run: Run) -> Run:
        RUNS[kind] = run
        return run

    return register
