"""Payloads of answers, in the shapes of the dialect the world speaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from .engine import eligibility, render, render_2020, render_achievements, render_codes, sessions
from .engine.errors import invalid, problem
from .engine.state import (
    Application,
    Campaign,
    Coupon,
    Effect,
    Event,
    Profile,
    Referral,
    Session,
    World,
)
from .wire import Json

Reply = tuple[int, Any]
_HAIR = Decimal("1e-25")


@dataclass
class Call:
    """A checked request to one operation in one application of a world."""

    world: World
    application: Application
    ids: dict[str, str]
    query: dict[str, str]
    body: Json

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean query parameter, or raise the 400."""
        value = self.query.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false", "1", "0"}:
            raise invalid(problem("Invalid type", f"{name} must be a boolean", parameter=name))
        return value.lower() in {"true", "1"}


class Shapes:
    """Entities as the API shows them to this call."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_2020 = call.world.decisions.is_2020

    def _in(self, old: Callable[[Json], Json], shown: Json) -> Json:
        return old(shown) if self._is_2020 else shown

    def effects(self, found: list[Effect]) -> list[Json]:
        """Return the effects of an answer."""
        decisions = self._call.world.decisions
        if self._is_2020:
            found = render_2020.effects(found)
        if decisions.extreme_decimals:
            found = [_extreme(effect) for effect in found]
        if decisions.shuffle_effects:
            found = random.Random(len(found)).sample(found, len(found))  # noqa: S311
        shown = [render.effect_v2(effect) for effect in found]
        return [render_2020.effect(effect) for effect in shown] if self._is_2020 else shown

    def state_v2(self, outcome: sessions.Outcome, content: list[str]) -> Json:
        """Return effects, created codes, and the sections that were asked for."""
        evaluation = outcome.evaluation
        answer: Json = {"effects": self.effects(evaluation.effects)}
        answer["createdCoupons"] = [self.coupon(made) for made in evaluation.created_coupons]
        answer["createdReferrals"] = [self.referral(made) for made in evaluation.created_referrals]
        for name in content:
            section = _SECTIONS[name](self, outcome) if name in _SECTIONS else None
            if section is not None:
                answer[name] = section
        return answer

    def state_v1(self, outcome: sessions.Outcome) -> Json:
        """Return an ``IntegrationState``."""
        session, call = outcome.session, self._call
        profile = call.world.profiles.get(session.profile_id)
        nobody = render.anonymous_profile(call.world.clock())
        answer: Json = {
            "session": self._in(render_2020.session_v1, render.session_v1(session)),
            "profile": self.profile(profile) if profile else self._in(render_2020.profile, nobody),
            "event": self.event(outcome.event),
            "loyalty": self.loyalty_section(outcome),
        }
        coupon = call.application.coupons.get(next(iter(session.coupon_codes), ""))
        if coupon is not None:
            answer["coupon"] = self.coupon(coupon)
        return answer

    def session(self, entity: Session) -> Json:
        """Return a customer session."""
        return self._in(render_2020.session, render.session_v2(entity))

    def session_section(self, outcome: sessions.Outcome) -> Json | None:
        """Return the session of an outcome, if it has one."""
        return self.session(outcome.session) if outcome.session.integration_id else None

    def profile(self, entity: Profile) -> Json:
        """Return a customer profile."""
        return self._in(render_2020.profile, render.profile(entity, self._call.world.audiences))

    def profile_section(self, outcome: sessions.Outcome) -> Json | None:
        """Return the profile of an outcome, if it has one."""
        profile = self._call.world.profiles.get(outcome.session.profile_id)
        return self.profile(profile) if profile is not None else None

    def event(self, entity: Event) -> Json:
        """Return an event, its effects as V1 tuples."""
        application = self._call.application
        if self._is_2020:
            effects = render_2020.effects(entity.effects)
            return render_2020.event(render.event(entity, application, effects))
        return render.event(entity, application)

    def event_section(self, entity: Event) -> Json:
        """Return the event of a V2 answer, whose effects stand beside it.

        The published file calls an event's effects arrays, the Python SDK objects: it takes none.
        """
        shown = self.event(entity)
        is_silent = not self._is_2020 and self._call.world.decisions.event_effects == "none"
        return {**shown, "effects": []} if is_silent else shown

    def advanced_event(self, entity: Event) -> Json:
        """Return an event of V3."""
        return render.advanced_event(entity)

    def coupon(self, entity: Coupon) -> Json:
        """Return a coupon."""
        return self._in(render_2020.coupon, render_codes.coupon(entity))

    def coupons(self, outcome: sessions.Outcome) -> list[Json]:
        """Return the coupons a session names, as its profile sees them."""
        session, known = outcome.session, self._call.application.coupons
        found = (known.get(code) for code in dict.fromkeys(session.coupon_codes))
        shown = (render_codes.session_coupon(c, session.profile_id) for c in found if c is not None)
        return [self._in(render_2020.coupon, coupon) for coupon in shown]

    def inventory_coupon(self, entity: Coupon, profile_id: str) -> Json:
        """Return a coupon of a wallet."""
        call = self._call
        shown = render_codes.inventory_coupon(
            call.application, entity, profile_id, call.world.clock()
        )
        return self._in(render_2020.coupon, shown)

    def referral(self, entity: Referral) -> Json:
        """Return a referral."""
        return self._in(render_2020.referral, render_codes.referral(entity))

    def inventory_referral(self, entity: Referral) -> Json:
        """Return a referral with the friends it brought."""
        return self._in(render_2020.referral, render_codes.inventory_referral(entity))

    def referral_section(self, outcome: sessions.Outcome) -> Json | None:
        """Return the referral a session names."""
        referral = self._call.application.referrals.get(outcome.session.referral_code)
        return self.inventory_referral(referral) if referral is not None else None

    def campaigns(self, outcome: sessions.Outcome) -> list[Json]:
        """Return the campaigns of which a rule passed."""
        known = self._call.application.campaigns
        return [self._campaign(known[number]) for number in outcome.evaluation.triggered]

    def _campaign(self, entity: Campaign) -> Json:
        shown = render_codes.campaign(entity, self._call.application, self._call.world.clock())
        return self._in(render_2020.campaign, shown)

    def returns(self, session: Session) -> list[Json]:
        """Return what was given back of a session, oldest first."""
        profile = self._call.world.profiles.get(session.profile_id)
        return [render.returned(entry, session, profile) for entry in session.returns]

    def giveaways(self, profile: Profile) -> list[Json]:
        """Return the giveaways a profile was awarded."""
        return [render.giveaway(given, profile) for given in profile.giveaways]

    def loyalty(self, profile: Profile | None, coming: list[Effect] | None = None) -> Json:
        """Return the points of a profile; ``coming`` are effects that are not booked yet."""
        world = self._call.world
        shown = render.loyalty(world, profile, coming or [], world.clock())
        return self._in(render_2020.loyalty, shown)

    def loyalty_section(self, outcome: sessions.Outcome) -> Json:
        """Return the points of the profile of an outcome."""
        session = outcome.session
        profile = self._call.world.profiles.get(session.profile_id)
        is_open = session.integration_id and session.state == "open"
        return self.loyalty(profile, outcome.evaluation.effects if is_open else [])

    def achievements(self, profile: Profile) -> list[Json]:
        """Return how far a profile is in the achievements it has started."""
        known = self._call.world.achievements
        started = [known[number] for number in known if str(number) in profile.progress]
        return [
            render_achievements.of_inventory(one, profile.progress[str(one.id)]) for one in started
        ]

    def achievements_section(self, outcome: sessions.Outcome) -> list[Json]:
        """Return all achievements, and how far the profile of an outcome is in each."""
        world = self._call.world
        profile = world.profiles.get(outcome.session.profile_id)
        progress = profile.progress if profile is not None else {}
        known = world.achievements.values()
        return [render_achievements.of_customer(one, progress.get(str(one.id))) for one in known]

    def eligibility(self, outcome: sessions.Outcome) -> list[Json] | None:
        """Return which campaigns a dry run would have triggered; nothing else says so."""
        call = self._call
        if not call.flag("dry"):
            return None
        return eligibility.of(call.application, outcome.evaluation, outcome.event.type)

    def awarded(self, outcome: sessions.Outcome) -> list[Json]:
        """Return the giveaways of an outcome."""
        profiles, awarded = self._call.world.profiles, outcome.evaluation.giveaways
        shown = []
        for given in awarded:
            profile = profiles.get(given.profile_id)
            shown += [render.giveaway(given, profile)] if profile is not None else []
        return shown


def _extreme(effect: Effect) -> Effect:
    """Return a discount with far more decimals than any currency has."""
    if not effect.effect_type.startswith("setDiscount"):
        return effect
    value = effect.props["value"]
    shaved = value - _HAIR if value > _HAIR else value
    return replace(effect, props={**effect.props, "value": shaved})


_SECTIONS: dict[str, Callable[[Shapes, sessions.Outcome], Any]] = {
    "customerSession": Shapes.session_section,
    "customerProfile": Shapes.profile_section,
    "coupons": Shapes.coupons,
    "referral": Shapes.referral_section,
    "triggeredCampaigns": Shapes.campaigns,
    "event": lambda shapes, outcome: shapes.event_section(outcome.event),
    "ruleFailureReasons": lambda _, outcome: [
        render.failure(f) for f in outcome.evaluation.failures
    ],
    "loyalty": Shapes.loyalty_section,
    "awardedGiveaways": Shapes.awarded,
    "previousReturns": lambda shapes, outcome: shapes.returns(outcome.session),
    "achievements": Shapes.achievements_section,
    "campaignEligibility": Shapes.eligibility,
}
