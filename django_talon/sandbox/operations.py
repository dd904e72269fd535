"""The operations of the Integration API: those emulated, and those known but absent."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Operation:
    """One operation; one that is not emulated is answered with 501.

    ``dialects`` are those it exists in; ``locks`` says that it takes the queue of its customer
    and session, ``repeatable`` that it honours an ``Idempotency-Key``.
    """

    name: str
    method: str
    template: str
    emulated: bool = True
    dialects: tuple[str, ...] = ("current", "2020")
    locks: bool = False
    repeatable: bool = False

    def is_in(self, dialect: str) -> bool:
        """Say whether a dialect has this operation; "both" has them all."""
        return dialect == "both" or dialect in self.dialects

    @cached_property
    def _segments(self) -> list[str]:
        return self.template.split("/")[1:]

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """Return the path parameters if the template fits these path segments."""
        if len(self._segments) != len(parts):
            return None
        found = {}
        for name, part in zip(self._segments, parts, strict=True):
            if name.startswith("{"):
                found[name[1:-1]] = part
            elif name != part:
                return None
        return found


_NEW, _OLD = ("current",), ("2020",)
_SESSIONS, _PROFILES = "/v2/customer_sessions", "/v2/customer_profiles"
_RESERVATION = "/v1/coupon_reservations/{couponValue}"

_EMULATED_TODAY = (
    Operation(
        "updateCustomerSessionV2",
        "PUT",
        f"{_SESSIONS}/{{sessionId}}",
        locks=True,
        repeatable=True,
    ),
    Operation("getCustomerSession", "GET", f"{_SESSIONS}/{{sessionId}}", dialects=_NEW),
    Operation(
        "returnCartItems",
        "POST",
        f"{_SESSIONS}/{{sessionId}}/returns",
        dialects=_NEW,
        locks=True,
        repeatable=True,
    ),
    Operation(
        "reopenCustomerSession",
        "PUT",
        f"{_SESSIONS}/{{sessionId}}/reopen",
        dialects=_NEW,
        locks=True,
        repeatable=True,
    ),
    Operation(
        "updateCustomerProfileV2",
        "PUT",
        f"{_PROFILES}/{{profileId}}",
        locks=True,
        repeatable=True,
    ),
    Operation("updateCustomerProfilesV2", "PUT", _PROFILES, dialects=_NEW, repeatable=True),
    Operation("getCustomerInventory", "GET", "/v1/customer_profiles/{profileId}/inventory"),
    Operation("trackEventV2", "POST", "/v2/events", dialects=_NEW, locks=True, repeatable=True),
    Operation("trackEventV3", "POST", "/v3/events", dialects=_NEW, locks=True),
    Operation("getEventV3", "GET", "/v3/events/{eventId}", dialects=_NEW),
    Operation(
        "getReservedCustomers", "GET", "/v1/coupon_reservations/customerprofiles/{couponValue}"
    ),
    Operation("createCouponReservation", "POST", _RESERVATION),
    Operation("deleteCouponReservation", "DELETE", _RESERVATION),
    Operation("createReferral", "POST", "/v1/referrals"),
    Operation("deleteCustomerData", "DELETE", "/v1/customer_data/{profileId}"),
)
_EMULATED_2020 = (
    Operation(
        "updateCustomerSession",
        "PUT",
        "/v1/customer_sessions/{sessionId}",
        dialects=_OLD,
        locks=True,
    ),
    Operation(
        "updateCustomerProfile",
        "PUT",
        "/v1/customer_profiles/{profileId}",
        dialects=_OLD,
        locks=True,
    ),
    Operation("trackEvent", "POST", "/v1/events", dialects=_OLD, locks=True),
)
EMULATED = (*_EMULATED_TODAY, *_EMULATED_2020)

_ABSENT = (
    ("createReferralsForMultipleAdvocates", "POST", "/v1/referrals_for_multiple_advocates"),
    ("createAudienceV2", "POST", "/v2/audiences"),
    ("updateAudienceV2", "PUT", "/v2/audiences/{audienceId}"),
    ("deleteAudienceV2", "DELETE", "/v2/audiences/{audienceId}"),
    ("deleteAudienceMembershipsV2", "DELETE", "/v2/audiences/{audienceId}/memberships"),
    ("updateCustomerProfileAudiences", "POST", "/v2/customer_audiences"),
    (
        "updateAudienceCustomersAttributes",
        "PUT",
        "/v2/audience_customers/{audienceId}/attributes",
    ),
    ("integrationGetAllCampaigns", "GET", "/v1/integration/campaigns"),
    ("bestPriorPrice", "POST", "/v1/best_prior_price"),
    ("syncCatalog", "PUT", "/v1/catalogs/{catalogId}/sync"),
    ("getCustomerAchievements", "GET", "/v1/customer_profiles/{integrationId}/achievements"),
    (
        "getCustomerAchievementHistory",
        "GET",
        "/v1/customer_profiles/{integrationId}/achievements/{achievementId}",
    ),
)

_LOYALTY = "/v1/loyalty_programs/{loyaltyProgramId}"
_PROFILE = f"{_LOYALTY}/profile/{{integrationId}}"
_CARD = f"{_LOYALTY}/cards/{{loyaltyCardId}}"
_CARD_V2 = "/v2/loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId}"
_ABSENT_LOYALTY = (
    ("getLoyaltyBalances", "GET", f"{_PROFILE}/balances"),
    ("getLoyaltyProgramProfileTransactions", "GET", f"{_PROFILE}/transactions"),
    ("getLoyaltyProgramProfilePoints", "GET", f"{_PROFILE}/points"),
    ("deleteLoyaltyTransactionsFromLedgers", "POST", f"{_PROFILE}/delete_transactions"),
    ("joinLoyaltyProgram", "POST", f"{_PROFILE}/join"),
    ("activateLoyaltyPoints", "POST", f"{_LOYALTY}/activate_points"),
    ("generateLoyaltyCard", "POST", f"{_LOYALTY}/cards"),
    ("getLoyaltyCardBalances", "GET", f"{_CARD}/balances"),
    ("getLoyaltyCardTransactions", "GET", f"{_CARD}/transactions"),
    ("getLoyaltyCardPoints", "GET", f"{_CARD}/points"),
    ("linkLoyaltyCardToProfile", "POST", f"{_CARD_V2}/link_profile"),
    ("unlinkLoyaltyCardFromProfile", "POST", f"{_CARD_V2}/unlink_profile"),
)

ABSENT = tuple(
    Operation(*row, emulated=False, dialects=_NEW) for row in (*_ABSENT, *_ABSENT_LOYALTY)
)
OPERATIONS = (*EMULATED, *ABSENT)
_DESCRIBED = "\n".join(
    f"{one.name} {one.method} {re.sub('{[^}]*}', '{}', one.template)} {' '.join(one.dialects)}"
    for one in sorted(OPERATIONS, key=lambda one: one.name)
)
#: The hash of the API as the sandbox knows it; clients compare it with theirs.
SPECIFICATION = hashlib.sha256(_DESCRIBED.encode()).hexdigest()[:16]
_BY_LENGTH: dict[int, list[Operation]] = {}
for _operation in OPERATIONS:
    _BY_LENGTH.setdefault(_operation.template.count("/"), []).append(_operation)


def find(method: str, parts: list[str]) -> tuple[Operation | None, dict[str, str], list[str]]:
    """Return the operation, its path parameters, and the methods this path does have.

    A literal segment wins over a parameter because such templates stand first.
    """
    candidates = _BY_LENGTH.get(len(parts), [])
    for operation in candidates:
        if operation.method == method and (found := operation.match(parts)) is not None:
            return operation, found, []
    return None, {}, sorted({op.method for op in candidates if op.match(parts) is not None})
