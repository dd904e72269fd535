"""Events: what customers do besides buying."""

from __future__ import annotations

from typing import Any

from django_talon.client.operations.base import Caller, Operation, Plain, not_sent
from django_talon.client.types.events import (
    EventV3,
    IntegrationEventV2Request,
    IntegrationEventV3Request,
    IntegrationState,
    IntegrationStateV2,
    NewEvent,
)

_TRACK = Operation("trackEventV2", "POST", "/v2/events")
_TRACK_V3 = Operation("trackEventV3", "POST", "/v3/events")
_GET_V3 = Operation("getEventV3", "GET", "/v3/events/{}")
_TRACK_V1 = Operation("trackEvent", "POST", "/v1/events", signable=True)


class Events(Caller):
    """The operations on events."""

    def track_event_v2(
        self,
        request: IntegrationEventV2Request | Plain,
        *,
        silent: bool = False,
        dry: bool = False,
        force_complete_evaluation: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> IntegrationStateV2:
        """Tell of a custom event and return the effects it has.

        With ``silent=True`` Talon.One answers nothing, and this an empty state.
        `force_complete_evaluation` evaluates all campaigns, whatever the mode of
        their group, and needs ``dry=True``.
        Each call is one event more, unless `idempotency_key` is repeated.

        ``POST /v2/events``
        """
        params = _params(_TRACK, silent, dry, force_complete_evaluation)
        return self._track(
            _TRACK,
            request=request,
            params=params,
            deadline=deadline,
            idempotency_key=idempotency_key,
        )

    def track_event_v3(
        self,
        request: IntegrationEventV3Request | Plain,
        *,
        silent: bool = False,
        dry: bool = False,
        force_complete_evaluation: bool = False,
        deadline: float | None = None,
    ) -> IntegrationStateV2:
        """Tell of an event with an id of its own, and return the effects it has.

        The id makes it safe to repeat: Talon.One raises `TalonConflict` for one
        it has already, and `get_event_v3` tells whether that is so. It may belong
        to a closed session. The other arguments are those of `track_event_v2`.

        ``POST /v3/events``
        """
        params = _params(_TRACK_V3, silent, dry, force_complete_evaluation)
        return self._track(_TRACK_V3, request=request, params=params, deadline=deadline)

    def get_event_v3(self, event_id: str, *, deadline: float | None = None) -> EventV3:
        """Return an event that `track_event_v3` told of, by its id.

        Raises `TalonRejected` with status 404 if there is none.

        ``GET /v3/events/{integrationId}``
        """
        return self._ask(_GET_V3, EventV3, id_=event_id, deadline=deadline)

    def track_event(
        self, request: NewEvent | Plain, *, dry: bool = False, deadline: float | None = None
    ) -> IntegrationState:
        """Tell of a custom event with the API of 2020. Each call is one event more.

        ``POST /v1/events``
        """
        return self._ask(
            _TRACK_V1, IntegrationState, request=request, params={"dry": dry}, deadline=deadline
        )

    def _track(self, operation: Operation, **call: Any) -> IntegrationStateV2:
        if call["params"]["silent"] == "no":
            return self._ask(operation, IntegrationStateV2, **call)
        self._tell(operation, **call)
        return IntegrationStateV2(effects=())


def _params(operation: Operation, silent: bool, dry: bool, force: bool) -> Plain:
    if force and not dry:
        raise not_sent(operation, "force_complete_evaluation=True needs dry=True")
    return {
        "silent": "yes" if silent else "no",
        "dry": dry,
        "forceCompleteEvaluation": force,
    }
