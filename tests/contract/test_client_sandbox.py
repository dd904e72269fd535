"""Our client and our sandbox over a socket, in both dialects of the API."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from uuid import uuid4

import pytest

from django_talon import client as c
from django_talon.testing import SandboxServer

MUGS = c.CartItem(sku="mug-1", name="Mug", quantity=2, price=Decimal("49.995"))


def server_of(dialect):
    with SandboxServer(dialect=dialect) as server:
        yield server


@pytest.fixture(scope="module")
def today():
    yield from server_of("current")


@pytest.fixture(scope="module")
def in_2020():
    yield from server_of("2020")


@pytest.fixture
def talon(today):
    key = today.key(f"client-{uuid4().hex[:8]}")
    return c.IntegrationClient(today.url, api_key=key, timeout=(10, 30), deadline=60)


@pytest.fixture
def old(in_2020):
    key = in_2020.key(f"client-{uuid4().hex[:8]}")
    return c.IntegrationClient(
        in_2020.url, api_key=key, dialect="2020", timeout=(10, 30), deadline=60
    )


def cart(**content):
    return c.IntegrationRequest(
        customer_session=c.NewCustomerSessionV2(**content), response_content=["customerSession"]
    )


def props(effects):
    return [effect.props for effect in effects]


def test_session_v2_c6_money_is_exact(talon):
    request = cart(profile_id="u1", coupon_codes=["WELCOME10"], cart_items=[MUGS])
    state = talon.update_customer_session_v2("s/1 ü", request)
    accepted, discount = props(state.effects)
    assert accepted == c.AcceptCouponProps(value="WELCOME10")
    assert isinstance(discount, c.SetDiscountProps)
    assert discount.value == Decimal("9.999")
    assert state.customer_session.integration_id == "s/1 ü"
    assert state.customer_session.total == Decimal("99.99")
    stored = talon.get_customer_session("s/1 ü")
    assert stored.customer_session.cart_items == state.customer_session.cart_items
    assert props(stored.effects) == props(state.effects)


def test_codes_left_out_stay_and_an_empty_list_takes_them_away(talon):
    talon.update_customer_session_v2("s1", cart(coupon_codes=["WELCOME10"], cart_items=[MUGS]))
    kept = talon.update_customer_session_v2("s1", cart(cart_items=[MUGS]))
    assert kept.customer_session.coupon_codes == ["WELCOME10"]
    cleared = talon.update_customer_session_v2("s1", cart(coupon_codes=[]))
    assert not cleared.customer_session.coupon_codes
    assert list(cleared.effects) == []


def test_dry_and_now(talon):
    later = datetime(2999, 1, 1, tzinfo=timezone.utc)
    state = talon.update_customer_session_v2("s1", cart(cart_items=[MUGS]), dry=True, now=later)
    assert state.customer_session.total == Decimal("99.99")
    with pytest.raises(c.TalonRejected) as caught:
        talon.get_customer_session("s1")
    assert (caught.value.status, caught.value.retryable) == (404, False)


def test_a_400_says_where(talon):
    with pytest.raises(c.TalonRejected) as caught:
        talon.update_customer_session_v2("s1", {"customerSession": {"attributes": {"mood": "x"}}})
    assert caught.value.status == 400
    assert caught.value.errors[0].pointer == "/customerSession/attributes/mood"


def test_F6_the_same_key_is_answered_twice_and_done_once(talon, today):
    event = c.IntegrationEventV2Request(
        type="newsletter", profile_id="u1", response_content=["event"]
    )
    first = talon.track_event_v2(event, idempotency_key="once")
    again = talon.track_event_v2(event, idempotency_key="once")
    assert again == first
    assert isinstance(first.effects[0].props, c.ShowNotificationProps)
    assert talon.track_event_v2(event).event.id != first.event.id
    assert list(talon.track_event_v2(event, silent=True).effects) == []


def test_profiles_coupons_and_referrals(talon):
    update = talon.update_customer_profile_v2(
        "ada", c.CustomerProfileRequest(attributes={"tier": "gold"})
    )
    assert update.customer_profile.attributes == {"tier": "gold"}
    holders = c.CouponReservations(integration_ids=["ada", "bob"])
    assert talon.create_coupon_reservation("WALLET10", holders).reservation_counter == 2
    talon.delete_coupon_reservation("WALLET10", c.CouponReservations(integration_ids=["bob"]))
    (customer,) = talon.get_reserved_customers("WALLET10").data
    assert customer.integration_id == "ada"
    referral = talon.create_referral(
        c.NewReferral(campaign_id=2, advocate_profile_integration_id="ada")
    )
    inventory = talon.get_customer_inventory("ada", profile=True, coupons=True, referrals=True)
    assert [coupon.value for coupon in inventory.coupons] == ["WALLET10"]
    assert referral.code in [r.code for r in inventory.referrals]
    talon.delete_customer_data("ada")
    assert talon.get_customer_inventory("ada", profile=True).profile.attributes == {}


def closed(talon, code):
    content = {"profileId": "u1", "couponCodes": [code], "cartItems": [MUGS], "state": "closed"}
    talon.update_customer_session_v2("s1", {"customerSession": content})


def test_returned_units_take_their_discounts_along(talon):
    closed(talon, "MUGS5")
    line = c.ReturnedCartItem(position=0, quantity=1)
    request = c.ReturnIntegrationRequest(
        return_=c.NewReturn(returned_cart_items=[line]), response_content=["customerSession"]
    )
    state = talon.return_cart_items("s1", request, idempotency_key="r1")
    (undone,) = props(state.effects)
    assert isinstance(undone, c.RollbackDiscountProps)
    assert (undone.cart_item_position, undone.cart_item_sub_position) == (0, 0)
    assert state.return_.returned_cart_items[0].quantity == 1
    assert state.customer_session.state == "partially_returned"
    assert talon.return_cart_items("s1", request, idempotency_key="r1") == state
    assert talon.get_customer_session("s1").customer_session.cart_items[0].returned_quantity == 1


def test_a_closed_session_opens_again(talon):
    closed(talon, "ONCE10")
    undone = talon.reopen_customer_session("s1", idempotency_key="o1").effects
    assert [e.effect_type for e in undone] == ["rollbackCoupon", "rollbackDiscount"]
    stored = talon.get_customer_session("s1")
    assert (stored.customer_session.state, list(stored.effects)) == ("open", [])


def test_a_thousand_profiles_at_once(talon):
    items = [
        c.CustomerProfilesRequestItem(integration_id=f"u{n}", attributes={"tier": "gold"})
        for n in range(1000)
    ]
    request = c.CustomerProfilesRequest(customer_profiles=items)
    states = talon.update_customer_profiles_v2(request).integration_states
    assert [s.customer_profile.integration_id for s in states[-2:]] == ["u998", "u999"]
    assert talon.update_customer_profiles_v2(request, silent=True) == c.CustomerProfilesUpdate()


def test_an_event_with_an_id_is_told_once(talon):
    event = c.IntegrationEventV3Request(integration_id="e/1", profile_id="u1", type="newsletter")
    assert isinstance(talon.track_event_v3(event).effects[0].props, c.ShowNotificationProps)
    with pytest.raises(c.TalonConflict):
        talon.track_event_v3(event)
    stored = talon.get_event_v3("e/1")
    assert (stored.integration_id, stored.type) == ("e/1", "newsletter")
    with pytest.raises(c.TalonRejected):
        talon.get_event_v3("e2")


def test_the_session_of_2020(old):
    request = c.NewCustomerSession(
        profile_id="u1", coupon="WELCOME10", total=Decimal("99.99"), cart_items=[MUGS]
    )
    state = old.update_customer_session("s1", request)
    assert [e.effect_type for e in state.event.effects] == ["acceptCoupon", "setDiscount"]
    assert state.event.effects[1].props.value == Decimal("9.999")
    assert list(state.session.discounts.values()) == [Decimal("9.999")]
    refused = old.update_customer_session("s1", c.NewCustomerSession(coupon="NOPE"))
    assert refused.session.total == Decimal("99.99")
    assert c.RejectCouponProps(value="NOPE", rejection_reason="CouponNotFound") in props(
        refused.event.effects
    )


def test_the_profile_of_2020_in_both_versions(old):
    first = old.update_customer_profile("u1", c.NewCustomerProfile(attributes={"tier": "gold"}))
    assert first.profile.attributes == {"tier": "gold"}
    second = old.update_customer_profile_v2(
        "u1", c.NewCustomerProfile(attributes={"newsletter": True})
    )
    assert second.customer_profile.attributes == {"tier": "gold", "newsletter": True}
    assert list(second.effects) == []


def test_the_event_of_2020(old):
    event = c.NewEvent(type="newsletter", attributes={"source": "footer"}, session_id="s1")
    state = old.track_event(event)
    assert state.session.integration_id == "s1"
    assert state.event.effects[0].effect_type == "showNotification"


def test_what_2020_did_not_have_is_not_found(old):
    with pytest.raises(c.TalonRejected) as caught:
        old.track_event_v3({"type": "newsletter", "integrationId": "e1", "profileId": "u1"})
    assert caught.value.status == 404
