"""Entities in the shape in which the API shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from . import event_meta, totals
from .loyalty import tentative
from .state import (
    Application,
    Effect,
    Event,
    Failure,
    Giveaway,
    Json,
    Profile,
    Return,
    Session,
    World,
)
from .writing import present, time

ACCOUNT_ID = 1


def profile(entity: Profile, audiences: dict[int, str] | None = None) -> Json:
    """Return a ``CustomerProfile``; ``loyaltyMemberships`` is left out, there are none."""
    return {
        "id": entity.id,
        "integrationId": entity.integration_id,
        "created": time(entity.created),
        "attributes": entity.attributes,
        "accountId": ACCOUNT_ID,
        "closedSessions": entity.closed_sessions,
        "totalSales": entity.total_sales,
        "lastActivity": time(entity.last_activity),
        "audienceMemberships": [
            {"id": number, "name": (audiences or {}).get(number, "")} for number in entity.audiences
        ],
        "sandbox": True,
    }


def anonymous_profile(moment: datetime) -> Json:
    """Return what stands in for the profile of an anonymous V1 session."""
    return profile(Profile(0, "", moment, moment))


def _items(session: Session) -> list[Json]:
    items = [{**item, "position": index} for index, item in enumerate(session.cart_items)]
    if session.returned:
        for index, item in enumerate(items):
            gone = len(session.returned.get(index, ()))
            item["returnedQuantity"] = gone
            item["remainingQuantity"] = item["quantity"] - gone
    return items


def session_v2(session: Session) -> Json:
    """Return a ``CustomerSessionV2`` with server-made totals in the application's currency."""
    item_total = totals.cart_item_total(session)
    costs = totals.additional_cost_total(session)
    shown: Json = {
        "id": session.id,
        "integrationId": session.integration_id,
        "created": time(session.created),
        "updated": time(session.updated),
        "applicationId": session.application_id,
        "profileId": session.profile_id,
        "state": session.state,
        "cartItems": _items(session),
        "additionalCosts": session.additional_costs,
        "identifiers": session.identifiers,
        "attributes": session.attributes,
        "firstSession": session.first_session,
        "updateCount": session.update_count,
        "total": item_total + costs,
        "cartItemTotal": item_total,
        "additionalCostTotal": costs,
        "cartItemAdditionalCostTotal": totals.cart_item_additional_cost_total(session),
        "referralCode": session.referral_code,
        **session.extras,
    }
    if session.coupon_codes:
        shown["couponCodes"] = session.coupon_codes
    return shown


def session_v1(session: Session) -> Json:
    """Return a ``CustomerSession``: one coupon, the client's own total, discounts by label."""
    discounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for effect in session.effects:
        if effect.effect_type.startswith("setDiscount"):
            discounts[effect.props["name"]] += effect.props["value"]
    return {
        "integrationId": session.integration_id,
        "created": time(session.created),
        "applicationId": session.application_id,
        "profileId": session.profile_id,
        "coupon": session.coupon_codes[0] if session.coupon_codes else "",
        "referral": session.referral_code,
        "state": session.state,
        "cartItems": _items(session),
        "identifiers": session.identifiers,
        "total": totals.total(session),
        "attributes": session.attributes,
        "firstSession": session.first_session,
        "discounts": dict(discounts),
    }


def effect_v2(effect: Effect) -> Json:
    """Return an ``Effect`` envelope."""
    shown: Json = {
        "campaignId": effect.campaign_id,
        "rulesetId": effect.ruleset_id,
        "ruleIndex": effect.rule_index,
        "ruleName": effect.rule_name,
        "effectType": effect.effect_type,
        "props": effect.props,
    }
    if effect.triggered_by_coupon is not None:
        shown["triggeredByCoupon"] = effect.triggered_by_coupon
    if effect.group is not None:
        shown["evaluationGroupID"] = effect.group.id
        shown["evaluationGroupMode"] = effect.group.mode
    return shown


def failure(entity: Failure) -> Json:
    """Return a ``RuleFailureReason``."""
    shown: Json = {
        "campaignID": entity.campaign.id,
        "campaignName": entity.campaign.name,
        "rulesetID": entity.campaign.id,
        "ruleIndex": entity.place,
        "ruleName": entity.title,
        "details": str(entity.error),
    }
    if entity.coupon is not None:
        shown |= {"couponID": entity.coupon.id, "couponValue": entity.coupon.value}
    if entity.referral is not None:
        shown |= {"referralID": entity.referral.id, "referralValue": entity.referral.code}
    places = {"conditionIndex": entity.condition, "effectIndex": entity.effect}
    shown |= {name: place for name, place in places.items() if place is not None}
    if entity.group is not None:
        shown["evaluationGroupID"] = entity.group.id
        shown["evaluationGroupMode"] = entity.group.mode
    return shown


def returned(entity: Return, session: Session, profile: Profile | None) -> Json:
    """Return a ``Return``."""
    shown: Json = {
        "id": entity.id,
        "created": time(entity.created),
        "applicationId": session.application_id,
        "accountId": ACCOUNT_ID,
        "returnedCartItems": entity.rows,
        "eventId": entity.event_id,
        "sessionId": session.id,
        "sessionIntegrationId": session.integration_id,
    }
    if profile is not None:
        shown |= {"profileId": profile.id, "profileIntegrationId": profile.integration_id}
    return shown


_V1_ARGUMENTS = {
    "rejectCoupon": ("value",),
    "rejectReferral": ("value",),
    "setDiscount": ("name", "value"),
    "addFreeItem": ("profileId", "sku", "name"),
}


def effect_v1(effect: Effect, profile_id: str) -> list[Any]:
    """Return the 4-tuple of V1; argument orders beyond the documented ones are a guess."""
    names = _V1_ARGUMENTS.get(effect.effect_type, tuple(effect.props))
    known = {"profileId": profile_id, **effect.props}
    call = [effect.effect_type, *(known[name] for name in names)]
    return [effect.campaign_id, effect.ruleset_id, effect.rule_index, call]


def giveaway(entity: Giveaway, owner: Profile) -> Json:
    """Return a ``Giveaway``."""
    return {
        "id": entity.id,
        "created": time(entity.created),
        "code": entity.code,
        "poolId": entity.pool_id,
        "used": True,
        "profileIntegrationId": owner.integration_id,
        "profileId": owner.id,
    }


def event(entity: Event, application: Application, effects: Sequence[Effect] | None = None) -> Json:
    """Return an ``Event``; its effects are V1 tuples in every dialect."""
    effects = entity.effects if effects is None else effects
    return {
        "id": entity.id,
        "created": time(entity.created),
        "applicationId": entity.application_id,
        "profileId": entity.profile_id,
        "type": entity.type,
        "attributes": entity.attributes,
        "sessionId": entity.session_id,
        **present(storeIntegrationId=entity.store_integration_id),
        "effects": [effect_v1(effect, entity.profile_id) for effect in effects],
        "ledgerEntries": [],
        "meta": event_meta.of(effects, application),
    }


def loyalty(world: World, profile: Profile | None, effects: list[Effect], now: datetime) -> Json:
    """Return a ``Loyalty``: the programs in which a profile has, had or would get points."""
    shown: Json = {}
    if profile is None:
        return {"programs": shown}
    for program in world.programs.values():
        names = ("", *program.subledgers)
        ledgers = {name: _ledger(profile, effects, program.id, name, now) for name in names}
        if not any(any(ledger.values()) for ledger in ledgers.values()):
            continue
        shown[str(program.id)] = {
            "id": program.id,
            "title": program.title,
            "name": program.name,
            "ledger": ledgers.pop(""),
            "subLedgers": {n: ledger for n, ledger in ledgers.items() if any(ledger.values())},
        }
    return {"programs": shown}


def _ledger(
    profile: Profile, effects: list[Effect], program: int, name: str, now: datetime
) -> Json:
    balances = profile.account.balances(program, name, now)
    coming = tentative(effects, profile.integration_id, program, name)
    return {
        **{f"{kind}Balance": amount for kind, amount in balances.items()},
        "tentativeCurrentBalance": balances["current"] + coming,
    }


def advanced_event(entity: Event) -> Json:
    """Return an ``EventV3``."""
    return {
        "id": entity.id,
        "created": time(entity.created),
        "applicationId": entity.application_id,
        "integrationId": entity.integration_id,
        "profileId": entity.profile_id,
        "type": entity.type,
        "attributes": entity.attributes,
        "effects": [effect_v1(effect, entity.profile_id) for effect in entity.effects],
        **present(
            connectedSessionId=entity.connected_session_id,
            storeIntegrationId=entity.store_integration_id,
        ),
    }
