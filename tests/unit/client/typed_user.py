"""A program as a user would write it: every operation, every effect. Read by mypy --strict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from django_talon import client as c


def told(effect: c.Effect) -> str:
    """Say what an effect means; the types of all values are known."""
    match effect.props:
        case c.AcceptCouponProps(value=code) | c.AcceptReferralProps(value=code):
            return code
        case c.RedeemReferralProps(id=number, value=code):
            return code + str(number + 1)
        case c.RejectCouponProps(value=code, rejection_reason=reason):
            return code + reason
        case c.RejectReferralProps(value=code, rejection_reason=reason):
            return code + reason
        case c.CouponCreatedProps(value=code, profile_id=profile):
            return code + profile
        case c.ReferralCreatedProps(value=code):
            return code
        case c.RollbackCouponProps(value=code) | c.RollbackReferralProps(value=code):
            return code
        case c.ReserveCouponProps(coupon_value=code, is_new_reservation=fresh):
            return code if fresh else ""
        case _:
            return shown(effect)


def shown(effect: c.Effect) -> str:
    """Return what to show of an effect."""
    match effect.props:
        case c.AddFreeItemProps(sku=sku, name=name):
            return sku + name
        case c.ShowNotificationProps(notification_type=kind, title=title, body=body):
            return kind + title + body
        case c.ErrorProps(message=message):
            return message
        case c.TriggerWebhookProps(webhook_id=number, webhook_name=name):
            return name + str(number + 1)
        case c.UpdateAttributeProps(path=path, value=anything):
            return path + str(anything)
        case c.ShowBundleMetadataProps(items_indices=indices, bundle_attributes=names):
            return "".join(names) + str(sum(indices))
        case c.CustomEffectProps(name=name, payload=payload):
            return name + str(payload.get("text"))
        case _:
            return str(discounted(effect) + changed_points(effect) + progressed(effect))


def discounted(effect: c.Effect) -> Decimal:
    """Return how much cheaper an effect makes the cart."""
    match effect.props:
        case c.SetDiscountProps(value=amount):
            return amount
        case c.SetDiscountPerItemProps(value=amount, position=line, sub_position=unit):
            return amount if line >= 0 and (unit or 0) >= 0 else Decimal(0)
        case c.SetDiscountPerAdditionalCostProps(value=amount):
            return amount
        case c.SetDiscountPerAdditionalCostPerItemProps(value=amount):
            return amount
        case c.RollbackDiscountProps(value=amount):
            return -amount
        case _:
            return Decimal(0)


def changed_points(effect: c.Effect) -> Decimal:
    """Return how many points an effect gives."""
    match effect.props:
        case c.AddLoyaltyPointsProps(value=points, expiry_date=until):
            return points if not until or until > datetime.now(timezone.utc) else Decimal(0)
        case c.DeductLoyaltyPointsProps(value=points):
            return -points
        case c.RollbackAddedLoyaltyPointsProps(value=points):
            return -points
        case c.RollbackDeductedLoyaltyPointsProps(value=points):
            return points
        case c.ExtendLoyaltyPointsExpiryDateProps(affected_transactions=changes):
            return Decimal(len(changes or ()))
        case c.SetLoyaltyPointsExpiryDateProps(new_expiry_date=date):
            return Decimal(date.year)
        case c.ChangeLoyaltyTierLevelProps(new_tier_name=tier):
            return Decimal(len(tier))
        case _:
            return Decimal(0)


def progressed(effect: c.Effect) -> Decimal:
    """Return how much closer to something an effect brings the customer."""
    match effect.props:
        case c.IncreaseAchievementProgressProps(delta=delta, is_just_completed=done):
            return Decimal(0) if done else delta
        case c.RollbackIncreasedAchievementProgressProps(decrease_progress_by=delta):
            return -delta
        case c.StartAchievementProgressProps(target=target, start_date=start):
            return target + start.year
        case c.AwardGiveawayProps(code=code):
            return Decimal(len(code))
        case c.WillAwardGiveawayProps(pool_name=name):
            return Decimal(len(name))
        case (
            c.AddToAudienceProps(audience_id=number) | c.RemoveFromAudienceProps(audience_id=number)
        ):
            return Decimal(number or 0)
        case _:
            return Decimal(0)


def carts(talon: c.IntegrationClient) -> Sequence[c.Effect]:
    """Use every operation on sessions."""
    item = c.CartItem(
        sku="mug",
        quantity=2,
        price=Decimal("9.90"),
        additional_costs={"wrapping": c.AdditionalCost(price=Decimal("0.50"))},
    )
    state = talon.update_customer_session_v2(
        "cart-1",
        c.IntegrationRequest(
            customer_session=c.NewCustomerSessionV2(cart_items=[item], coupon_codes=[]),
            response_content=["customerSession"],
        ),
        dry=True,
        now=datetime(2999, 1, 1, tzinfo=timezone.utc),
        idempotency_key="k",
    )
    if state.customer_session:
        total: Decimal = state.customer_session.total
        print(total)
    lines = c.NewReturn(returned_cart_items=[c.ReturnedCartItem(position=0, quantity=1)])
    returned = talon.return_cart_items(
        "cart-1", c.ReturnIntegrationRequest(return_=lines), run_rule_engine=True
    )
    if returned.return_:
        print(returned.return_.returned_cart_items[0].sku)
    stored = talon.get_customer_session("cart-1")
    old = talon.update_customer_session("cart-1", c.NewCustomerSession(total=Decimal(1)))
    reopened = talon.reopen_customer_session("cart-1")
    return [*state.effects, *stored.effects, *old.event.effects, *reopened.effects]


def customers(talon: c.IntegrationClient) -> Sequence[c.Effect]:
    """Use every operation on profiles."""
    update = talon.update_customer_profile_v2(
        "u1", c.CustomerProfileRequest(attributes={"Name": "Ada"}), run_rule_engine=True
    )
    one = c.CustomerProfilesRequestItem(integration_id="u1")
    bulk = talon.update_customer_profiles_v2(c.CustomerProfilesRequest(customer_profiles=[one]))
    for each in bulk.integration_states:
        print(each.customer_profile.integration_id)
    old = talon.update_customer_profile("u1", {"attributes": {"Name": "Ada"}})
    inventory = talon.get_customer_inventory("u1", coupons=True)
    for coupon in inventory.coupons or ():
        print(coupon.value, coupon.expiry_date or "for ever")
    talon.delete_customer_data("u1", deadline=3)
    return [*update.effects, *old.event.effects]


def events(talon: c.IntegrationClient) -> Sequence[c.Effect]:
    """Use every operation on events."""
    second = talon.track_event_v2(c.IntegrationEventV2Request(type="rated", profile_id="u1"))
    third = talon.track_event_v3(
        c.IntegrationEventV3Request(integration_id="e1", profile_id="u1", type="rated")
    )
    read = talon.get_event_v3("e1")
    first = talon.track_event(c.NewEvent(type="rated", attributes={}, session_id="s1"))
    return [*second.effects, *third.effects, *read.effects, *first.event.effects]


def codes(talon: c.IntegrationClient) -> str:
    """Use every operation on coupons and referrals, and the escape hatch."""
    holders = c.CouponReservations(integration_ids=["u1"])
    coupon = talon.create_coupon_reservation("SAVE10", holders)
    for profile in talon.get_reserved_customers("SAVE10").data:
        print(profile.total_sales + 1)
    talon.delete_coupon_reservation("SAVE10", holders)
    referral = talon.create_referral(
        c.NewReferral(campaign_id=1, advocate_profile_integration_id="u1")
    )
    anything: Any = talon.request("GET", "/v1/integration/campaigns", params={"skip": 1})
    return coupon.value + referral.code + str(anything)


def main() -> None:
    """Do all of it."""
    talon = c.IntegrationClient("https://example.talon.one", api_key="k", timeout=(1, 2))
    try:
        for effect in (*carts(talon), *customers(talon), *events(talon)):
            print(told(effect), effect.unknown.get("budget"))
        print(codes(talon))
    except c.TalonError as error:
        print(error.retryable, error.ambiguous, [detail.pointer for detail in error.errors])


def mistakes(talon: c.IntegrationClient) -> None:
    """Do what the types forbid: mypy complains if one of these is no error."""
    c.CartItem(sku="mug", quantity=2, price=9.90)  # type: ignore[arg-type]
    c.CartItem(sku="mug")  # type: ignore[call-arg]
    talon.track_event_v2(c.NewReferral(campaign_id=1, advocate_profile_integration_id="u"))  # type: ignore[arg-type]
    talon.get_customer_session(7)  # type: ignore[arg-type]
    talon.delete_customer_data("u1", 3)  # type: ignore[call-arg]
