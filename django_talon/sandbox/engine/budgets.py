"""Budgets: what an evaluation would take from them, taken at close and given back at cancel.

An entry is keyed by whose budget it is, the entities' names and the period it runs in.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import product

from .state import Application, Coupon, Limit, Referral, Session

ACTIONS = (
    "redeemCoupon",
    "redeemReferral",
    "setDiscount",
    "setDiscountEffect",
    "createCoupon",
    "createReferral",
    "awardGiveaway",
    "addFreeItemEffect",
    "customEffect",
    "callApi",
    "createLoyaltyPoints",
    "createLoyaltyPointsEffect",
    "redeemLoyaltyPoints",
    "redeemLoyaltyPointsEffect",
)
ENTITIES = ("Coupon", "Referral", "Profile", "Identifier", "Store", "Session")
PERIODS = {"": "", "daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}
_GIFT_CARD = -2
KEPT_ON_CANCEL = ("createCoupon", "createReferral")


class ProfileRequiredError(Exception):
    """A budget per profile has nobody to count for."""


def entries(  # noqa: PLR0917
    owner: Hashable,
    limits: tuple[Limit, ...],
    wanted: str,
    session: Session,
    codes: tuple[Coupon | None, Referral | None],
    now: datetime,
) -> Iterator[tuple[Hashable, Limit]]:
    """Yield the key of every budget that an action of this session draws on."""
    for index, limit in enumerate(limits):
        if limit.action != wanted:
            continue
        period = now.strftime(PERIODS[limit.period]) if limit.period else ""
        names = [_names(entity, session, codes) for entity in limit.entities]
        if not session.profile_id and "Profile" in limit.entities:
            raise ProfileRequiredError
        for chosen in product(*names):
            yield (owner, index, wanted, chosen, period), limit


def _names(
    entity: str, session: Session, codes: tuple[Coupon | None, Referral | None]
) -> list[str]:
    coupon, referral = codes
    if entity == "Identifier":
        return session.identifiers
    known = {
        "Profile": session.profile_id,
        "Coupon": coupon.value if coupon else "",
        "Referral": referral.code if referral else "",
        "Store": session.extras.get("storeIntegrationId", ""),
        "Session": session.integration_id,
    }
    return [known[entity]] if known[entity] else []


def is_per_profile(key: Hashable, limits: tuple[Limit, ...]) -> bool:
    """Say whether an entry of a campaign's limits, or of a coupon's own, is one profile's."""
    if not isinstance(key, tuple) or isinstance(key[0], str):
        return True
    return "Profile" in limits[key[1]].entities


def tally(campaign_id: int, counted: str) -> Hashable:
    """Return the key under which every use of an action by a campaign is counted."""
    return (campaign_id, -1, counted, (), "")


def gift_card(code: str) -> Hashable:
    """Return the key of the money on a coupon."""
    return (code, _GIFT_CARD, "setDiscount", (), "")


def commit(application: Application, session: Session, spending: dict[Hashable, Decimal]) -> None:
    """Take from the budgets what a closing session uses."""
    _book(application, spending, 1)
    session.spent = dict(spending)


def book(application: Application, spending: dict[Hashable, Decimal]) -> None:
    """Take from the budgets what an event used."""
    _book(application, spending, 1)


def revert(application: Application, session: Session) -> None:
    """Give back what a close took; what codes were created stays counted."""
    back = {key: v for key, v in session.spent.items() if action(key) not in KEPT_ON_CANCEL}
    _book(application, back, -1)
    session.spent = {}


def give_back(application: Application, session: Session, parts: dict[Hashable, Decimal]) -> None:
    """Give back parts of what a close took."""
    kept = {key: min(value, session.spent.get(key, Decimal(0))) for key, value in parts.items()}
    _book(application, kept, -1)
    for key, value in kept.items():
        session.spent[key] = session.spent.get(key, Decimal(0)) - value


def action(key: Hashable) -> str:
    """Return what an entry counts."""
    return str(key[2]) if isinstance(key, tuple) else ""


def _book(application: Application, amounts: dict[Hashable, Decimal], sign: int) -> None:
    for key, value in amounts.items():
        now = application.spent.get(key, Decimal(0)) + sign * value
        if now:
            application.spent[key] = now
        else:
            application.spent.pop(key, None)
        if isinstance(key, tuple) and key[1] == _GIFT_CARD and key[0] in application.coupons:
            application.coupons[key[0]].discount_counter = now
