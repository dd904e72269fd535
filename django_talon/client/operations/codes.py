"""Coupons in customers' hands, and referral codes."""

from __future__ import annotations

from django_talon.client.operations.base import Caller, Operation, Plain
from django_talon.client.types.coupons import Coupon, CouponReservations, NewReferral, Referral
from django_talon.client.types.profiles import ReservedCustomers

_RESERVE = Operation("createCouponReservation", "POST", "/v1/coupon_reservations/{}", signable=True)
_RELEASE = Operation(
    "deleteCouponReservation", "DELETE", "/v1/coupon_reservations/{}", signable=True
)
_RESERVED = Operation(
    "getReservedCustomers",
    "GET",
    "/v1/coupon_reservations/customerprofiles/{}",
    signable=True,
)
_REFERRAL = Operation("createReferral", "POST", "/v1/referrals", signable=True)


class Codes(Caller):
    """The operations on coupons and referrals."""

    def create_coupon_reservation(
        self,
        coupon_value: str,
        request: CouponReservations | Plain,
        *,
        deadline: float | None = None,
    ) -> Coupon:
        """Reserve a coupon for customers and return it. Runs no rules.

        ``POST /v1/coupon_reservations/{couponValue}``
        """
        return self._ask(_RESERVE, Coupon, id_=coupon_value, request=request, deadline=deadline)

    def delete_coupon_reservation(
        self,
        coupon_value: str,
        request: CouponReservations | Plain,
        *,
        deadline: float | None = None,
    ) -> None:
        """Take back the reservations of a coupon for these customers.

        ``DELETE /v1/coupon_reservations/{couponValue}`` (with a body)
        """
        self._tell(_RELEASE, id_=coupon_value, request=request, deadline=deadline)

    def get_reserved_customers(
        self, coupon_value: str, *, deadline: float | None = None
    ) -> ReservedCustomers:
        """Return the customers a coupon is reserved for, all of them at once.

        ``GET /v1/coupon_reservations/customerprofiles/{couponValue}``
        """
        return self._ask(_RESERVED, ReservedCustomers, id_=coupon_value, deadline=deadline)

    def create_referral(
        self, request: NewReferral | Plain, *, deadline: float | None = None
    ) -> Referral:
        """Make a referral code for an advocate. Each call makes another code.

        ``POST /v1/referrals``
        """
        return self._ask(_REFERRAL, Referral, request=request, deadline=deadline)
