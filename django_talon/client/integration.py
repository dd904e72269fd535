"""The Integration API: one method for each of its operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from msgspec import MsgspecError

from django_talon._version import __version__
from django_talon.client import answers, paths
from django_talon.client.errors import TalonInvalidRequest
from django_talon.client.exchange import Answer, Outgoing
from django_talon.client.signing import Credentials
from django_talon.client.transport import Transport
from django_talon.client.types.base import encode
from django_talon.client.types.coupons import Coupon, CouponReservations, NewReferral, Referral
from django_talon.client.types.events import (
    CustomerProfileUpdate,
    CustomerProfileUpdate2020,
    IntegrationEventV2Request,
    IntegrationState,
    IntegrationStateV2,
    NewEvent,
)
from django_talon.client.types.profiles import (
    CustomerInventory,
    CustomerProfileRequest,
    NewCustomerProfile,
    ReservedCustomers,
)
from django_talon.client.types.sessions import IntegrationRequest, NewCustomerSession

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

T = TypeVar("T")
Plain = Mapping[str, Any]


class Operation(NamedTuple):
    """An operation of the API: Talon.One's name of it, and where it is.

    `signable`: it accepts the Content-Signature of 2020 in place of a key.
    """

    name: str
    method: str
    path: str
    signable: bool = True


_SESSION_V2 = Operation(
    "updateCustomerSessionV2", "PUT", "/v2/customer_sessions/{}", signable=False
)
_SESSION = Operation("updateCustomerSession", "PUT", "/v1/customer_sessions/{}")
_PROFILE_V2 = Operation(
    "updateCustomerProfileV2", "PUT", "/v2/customer_profiles/{}", signable=False
)
_PROFILE = Operation("updateCustomerProfile", "PUT", "/v1/customer_profiles/{}")
_EVENT_V2 = Operation("trackEventV2", "POST", "/v2/events", signable=False)
_EVENT = Operation("trackEvent", "POST", "/v1/events")
_RESERVE = Operation("createCouponReservation", "POST", "/v1/coupon_reservations/{}")
_RELEASE = Operation("deleteCouponReservation", "DELETE", "/v1/coupon_reservations/{}")
_RESERVED = Operation("getReservedCustomers", "GET", "/v1/coupon_reservations/customerprofiles/{}")
_REFERRAL = Operation("createReferral", "POST", "/v1/referrals")
_ERASE = Operation("deleteCustomerData", "DELETE", "/v1/customer_data/{}")
_INVENTORY = Operation("getCustomerInventory", "GET", "/v1/customer_profiles/{}/inventory")


class IntegrationClient:
    """A client of the Integration API of one Application.

    `timeout` is the time to connect and the time between two pieces of an
    answer, `deadline` the time of a whole call, all in seconds; every method
    takes its own `deadline`. `dialect` is ``"2020"`` for the API of that year.
    `adapter` is a transport adapter of `requests` to be used instead of the
    network. One client may be used by many threads, and after a fork.

    A request is one of the typed requests or a mapping with the names of the
    wire (``couponCodes``). No method ever tries again by itself. All of them
    raise `TalonError`, whose `retryable` and `ambiguous` say what to do next.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        application_id: int | str | None = None,
        application_key: str | None = None,
        dialect: Literal["current", "2020"] = "current",
        timeout: tuple[float, float] = (2.0, 5.0),
        deadline: float = 10.0,
        adapter: BaseAdapter | None = None,
    ) -> None:
        if dialect not in ("current", "2020"):
            raise TalonInvalidRequest('The dialect must be "current" or "2020".')
        self.dialect = dialect
        self._credentials = Credentials(api_key, application_id, application_key)
        self._transport = Transport(base_url, timeout=timeout, deadline=deadline, adapter=adapter)

    def __repr__(self) -> str:
        return f"<IntegrationClient {self._transport.base_url} dialect={self.dialect}>"

    def update_customer_session_v2(
        self,
        session_id: str,
        request: IntegrationRequest | Plain,
        *,
        dry: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> IntegrationStateV2:
        """Create or change a customer session and return the effects it has.

        What is left out keeps the value Talon.One has. With ``dry=True`` nothing
        is stored, and only what this request says counts.

        Raises `TalonConflict` if other requests are changing this session.

        ``PUT /v2/customer_sessions/{customerSessionId}``
        """
        answer = self._do(_SESSION_V2, session_id, request, {"dry": dry}, deadline, idempotency_key)
        return answers.typed(answer, IntegrationStateV2, _SESSION_V2.name)

    def update_customer_session(
        self,
        session_id: str,
        request: NewCustomerSession | Plain,
        *,
        dry: bool = False,
        deadline: float | None = None,
    ) -> IntegrationState:
        """Create or change a customer session with the API of 2020.

        ``PUT /v1/customer_sessions/{customerSessionId}``
        """
        answer = self._do(_SESSION, session_id, request, {"dry": dry}, deadline)
        return answers.typed(answer, IntegrationState, _SESSION.name)

    def update_customer_profile_v2(
        self,
        profile_id: str,
        request: CustomerProfileRequest | NewCustomerProfile | Plain,
        *,
        run_rule_engine: bool = False,
        dry: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> CustomerProfileUpdate:
        """Create or change a customer profile; attributes left out stay.

        There are effects only with ``run_rule_engine=True``. `dry` without it is
        refused here, for Talon.One would store the change. Neither exists in 2020.

        ``PUT /v2/customer_profiles/{integrationId}``
        """
        if dry and not run_rule_engine:
            raise _not_sent(_PROFILE_V2, "dry=True needs run_rule_engine=True")
        if run_rule_engine and self.dialect == "2020":
            raise _not_sent(_PROFILE_V2, "the API of 2020 runs no rules here")
        params = {"runRuleEngine": run_rule_engine, "dry": dry}
        answer = self._do(_PROFILE_V2, profile_id, request, params, deadline, idempotency_key)
        kind = CustomerProfileUpdate2020 if self.dialect == "2020" else CustomerProfileUpdate
        return answers.typed(answer, kind, _PROFILE_V2.name)

    def update_customer_profile(
        self,
        profile_id: str,
        request: NewCustomerProfile | Plain,
        *,
        dry: bool = False,
        deadline: float | None = None,
    ) -> IntegrationState:
        """Create or change a customer profile with the API of 2020.

        ``PUT /v1/customer_profiles/{integrationId}``
        """
        answer = self._do(_PROFILE, profile_id, request, {"dry": dry}, deadline)
        return answers.typed(answer, IntegrationState, _PROFILE.name)

    def track_event_v2(
        self,
        request: IntegrationEventV2Request | Plain,
        *,
        silent: bool = False,
        dry: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> IntegrationStateV2 | None:
        """Tell of a custom event and return the effects it has.

        With ``silent=True`` Talon.One answers nothing, and this returns None.
        Each call is one event more, unless `idempotency_key` is repeated.

        ``POST /v2/events``
        """
        params = {"silent": "yes" if silent else "no", "dry": dry}
        answer = self._do(_EVENT_V2, None, request, params, deadline, idempotency_key)
        if silent:
            answers.refuse(answer, _EVENT_V2.name)
            return None
        return answers.typed(answer, IntegrationStateV2, _EVENT_V2.name)

    def track_event(
        self, request: NewEvent | Plain, *, dry: bool = False, deadline: float | None = None
    ) -> IntegrationState:
        """Tell of a custom event with the API of 2020. Each call is one event more.

        ``POST /v1/events``
        """
        answer = self._do(_EVENT, None, request, {"dry": dry}, deadline)
        return answers.typed(answer, IntegrationState, _EVENT.name)

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
        answer = self._do(_RESERVE, coupon_value, request, {}, deadline)
        return answers.typed(answer, Coupon, _RESERVE.name)

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
        answer = self._do(_RELEASE, coupon_value, request, {}, deadline)
        answers.refuse(answer, _RELEASE.name)

    def get_reserved_customers(
        self, coupon_value: str, *, deadline: float | None = None
    ) -> ReservedCustomers:
        """Return the customers a coupon is reserved for, all of them at once.

        ``GET /v1/coupon_reservations/customerprofiles/{couponValue}``
        """
        answer = self._do(_RESERVED, coupon_value, None, {}, deadline)
        return answers.typed(answer, ReservedCustomers, _RESERVED.name)

    def create_referral(
        self, request: NewReferral | Plain, *, deadline: float | None = None
    ) -> Referral:
        """Make a referral code for an advocate. Each call makes another code.

        ``POST /v1/referrals``
        """
        answer = self._do(_REFERRAL, None, request, {}, deadline)
        return answers.typed(answer, Referral, _REFERRAL.name)

    def delete_customer_data(self, profile_id: str, *, deadline: float | None = None) -> None:
        """Erase the attributes of a customer, in all Applications of the environment.

        ``DELETE /v1/customer_data/{integrationId}``
        """
        answers.refuse(self._do(_ERASE, profile_id, None, {}, deadline), _ERASE.name)

    def get_customer_inventory(
        self,
        profile_id: str,
        *,
        profile: bool = False,
        referrals: bool = False,
        coupons: bool = False,
        loyalty: bool = False,
        giveaways: bool = False,
        achievements: bool = False,
        deadline: float | None = None,
    ) -> CustomerInventory:
        """Return what Talon.One holds about a customer: the parts asked for.

        The last three parts are unknown to the API of 2020, which leaves them out.

        ``GET /v1/customer_profiles/{integrationId}/inventory``
        """
        params = {
            "profile": profile,
            "referrals": referrals,
            "coupons": coupons,
            "loyalty": loyalty,
            "giveaways": giveaways,
            "achievements": achievements,
        }
        answer = self._do(_INVENTORY, profile_id, None, params, deadline)
        return answers.typed(answer, CustomerInventory, _INVENTORY.name)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Plain | None = None,
        json: Any = None,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Call an operation that has no method here, with the same safety.

        `path` is already percent-encoded. Returns plain data with exact numbers
        (int and Decimal), or None for an answer without a body.
        """
        if not re.fullmatch(r"[A-Z]{3,10}", method):
            raise TalonInvalidRequest("The method must be like GET or PUT.")
        name = " ".join((method, "/".join(paths.checked_path(path).split("/")[:3])))
        operation = Operation(name, method, path)
        answer = self._do(operation, None, json, params or {}, deadline, idempotency_key)
        return answers.plain(answer, name)

    def _do(  # noqa: PLR0917 - what every method has, in this order
        self,
        operation: Operation,
        id_: str | None,
        request: Any,
        params: Plain,
        deadline: float | None,
        idempotency_key: str | None = None,
    ) -> Answer:
        path = operation.path
        if "{}" in path:
            path = paths.filled(path, id_, operation.name)
        body = None if request is None else _encoded(operation, request)
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"django-talon/{__version__}",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = _checked_idempotency_key(operation, idempotency_key)
        headers |= self._credentials.headers(
            body or b"", operation=operation.name, signable=operation.signable
        )
        url = path + paths.query(params)
        outgoing = Outgoing(operation.name, operation.method, url, headers, body)
        return self._transport.send(outgoing, deadline)


def _encoded(operation: Operation, request: Any) -> bytes:
    try:
        return encode(request)
    except (ValueError, TypeError, RecursionError, MsgspecError) as error:
        reason = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        raise _not_sent(operation, f"it cannot be written as JSON ({reason})") from None


def _checked_idempotency_key(operation: Operation, key: str) -> str:
    if not re.fullmatch(r"[!-~]{1,255}", key):
        raise _not_sent(operation, "an idempotency_key is 1 to 255 visible ASCII characters")
    return key


def _not_sent(operation: Operation, reason: str) -> TalonInvalidRequest:
    return TalonInvalidRequest(
        f"{operation.name} was not sent: {reason}.", operation=operation.name
    )
