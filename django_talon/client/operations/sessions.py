"""Customer sessions: carts and orders."""

from __future__ import annotations

from datetime import datetime

from django_talon.client.operations.base import Caller, Operation, Plain, not_sent
from django_talon.client.types.events import IntegrationState, IntegrationStateV2
from django_talon.client.types.sessions import (
    IntegrationCustomerSessionResponse,
    IntegrationRequest,
    NewCustomerSession,
    ReopenSessionResponse,
    ReturnIntegrationRequest,
)

_UPDATE = Operation("updateCustomerSessionV2", "PUT", "/v2/customer_sessions/{}")
_GET = Operation("getCustomerSession", "GET", "/v2/customer_sessions/{}")
_RETURN = Operation("returnCartItems", "POST", "/v2/customer_sessions/{}/returns")
_REOPEN = Operation("reopenCustomerSession", "PUT", "/v2/customer_sessions/{}/reopen")
_UPDATE_V1 = Operation("updateCustomerSession", "PUT", "/v1/customer_sessions/{}", signable=True)


class Sessions(Caller):
    """The operations on customer sessions."""

    def update_customer_session_v2(
        self,
        session_id: str,
        request: IntegrationRequest | Plain,
        *,
        dry: bool = False,
        now: datetime | None = None,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> IntegrationStateV2:
        """Create or change a customer session and return the effects it has.

        What is left out keeps the value Talon.One has. With ``dry=True`` nothing
        is stored, and only what this request says counts; only then `now` can
        be a time in the future (aware of its time zone) that rules take for now.

        Raises `TalonConflict` if other requests are changing this session.

        ``PUT /v2/customer_sessions/{customerSessionId}``
        """
        params = {"dry": dry, "now": None if now is None else _future(now, dry=dry)}
        return self._ask(
            _UPDATE,
            IntegrationStateV2,
            id_=session_id,
            request=request,
            params=params,
            deadline=deadline,
            idempotency_key=idempotency_key,
        )

    def get_customer_session(
        self, session_id: str, *, deadline: float | None = None
    ) -> IntegrationCustomerSessionResponse:
        """Return a session as it is stored, and its effects without those undone since.

        Talon.One keeps sessions for some weeks only.

        ``GET /v2/customer_sessions/{customerSessionId}``
        """
        return self._ask(
            _GET, IntegrationCustomerSessionResponse, id_=session_id, deadline=deadline
        )

    def return_cart_items(
        self,
        session_id: str,
        request: ReturnIntegrationRequest | Plain,
        *,
        dry: bool = False,
        run_rule_engine: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> IntegrationStateV2:
        """Return items of a closed session; the effects undo what the items brought.

        With ``run_rule_engine=True`` the campaigns that ask for it are evaluated
        anew for what remains. Each call returns items once more, unless
        `idempotency_key` is repeated.

        ``POST /v2/customer_sessions/{customerSessionId}/returns``
        """
        return self._ask(
            _RETURN,
            IntegrationStateV2,
            id_=session_id,
            request=request,
            params={"dry": dry, "runRuleEngine": run_rule_engine},
            deadline=deadline,
            idempotency_key=idempotency_key,
        )

    def reopen_customer_session(
        self,
        session_id: str,
        *,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> ReopenSessionResponse:
        """Open a closed session again; the effects undo what closing it brought.

        Codes made, giveaways and changed attributes are not undone.

        ``PUT /v2/customer_sessions/{customerSessionId}/reopen``
        """
        return self._ask(
            _REOPEN,
            ReopenSessionResponse,
            id_=session_id,
            deadline=deadline,
            idempotency_key=idempotency_key,
        )

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
        return self._ask(
            _UPDATE_V1,
            IntegrationState,
            id_=session_id,
            request=request,
            params={"dry": dry},
            deadline=deadline,
        )


def _future(now: datetime, *, dry: bool) -> str:
    if not dry:
        raise not_sent(_UPDATE, "now= needs dry=True")
    if now.tzinfo is None:
        raise not_sent(_UPDATE, "now= must be aware of its time zone")
    return now.isoformat()
