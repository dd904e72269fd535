"""New worlds and applications, made from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .state import Application, Clock, Coupon, Ids, Json, Pool, Referral, World

if TYPE_CHECKING:
    from .campaigns import Seed


def new_world(seed: Seed, clock: Clock) -> World:
    """Return a fresh world; its applications are added on first use."""
    return World(
        clock,
        Ids(),
        dict(seed.definitions.additional_costs),
        audiences=dict(seed.audiences),
        collections=seed.collections,
        programs={program.id: program for program in seed.programs},
        achievements={one.id: one for one in seed.achievements},
        decisions=seed.decisions,
    )


def add_application(world: World, seed: Seed, name: str) -> Application:
    """Return a new application of the world with its own copy of the seed's codes."""
    application = Application(world.ids.next("application"), name, world.clock())
    application.settings, application.group = seed.settings, seed.group
    application.campaigns = {campaign.id: campaign for campaign in seed.campaigns}
    for campaign_id, row in seed.coupons:
        coupon = _coupon(world, campaign_id, row)
        coupon.value = application.settings.code(coupon.value)
        application.coupons[coupon.value] = coupon
    for campaign_id, row in seed.referrals:
        referral = _referral(world, campaign_id, row)
        referral.code = application.settings.code(referral.code)
        application.referrals[referral.code] = referral
    for row in seed.giveaways:
        application.pools[row["id"]] = Pool(row["id"], row["name"], list(row["codes"]))
    world.applications[name] = application
    return application


def _coupon(world: World, campaign_id: int, row: Json) -> Coupon:
    return Coupon(
        id=world.ids.next("coupon"),
        created=world.clock(),
        campaign_id=campaign_id,
        value=row["value"],
        usage_limit=row.get("usageLimit", 0),
        discount_limit=row["discountLimit"],
        reservation_limit=row.get("reservationLimit", 0),
        limits=row["limits"],
        start_date=row["startDate"],
        expiry_date=row["expiryDate"],
        recipient_integration_id=row.get("recipientIntegrationId", ""),
        reservation=row.get("reservation", True),
        is_reservation_mandatory=row.get("isReservationMandatory", False),
        implicitly_reserved=row.get("implicitlyReserved", False),
        attributes=row.get("attributes", {}),
    )


def _referral(world: World, campaign_id: int, row: Json) -> Referral:
    return Referral(
        id=world.ids.next("referral"),
        created=world.clock(),
        campaign_id=campaign_id,
        code=row["code"],
        advocate=row["advocateProfileIntegrationId"],
        friend=row.get("friendProfileIntegrationId", ""),
        usage_limit=row.get("usageLimit", 0),
        start_date=row["startDate"],
        expiry_date=row["expiryDate"],
        attributes=row.get("attributes", {}),
    )
