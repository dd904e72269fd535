"""Customer profiles: who buys, what is held about them, and its erasure."""

from __future__ import annotations

from django_talon.client.operations.base import Caller, Operation, Plain, not_sent
from django_talon.client.types.events import (
    CustomerProfileUpdate,
    CustomerProfileUpdate2020,
    IntegrationState,
)
from django_talon.client.types.profiles import (
    CustomerInventory,
    CustomerProfileRequest,
    CustomerProfilesRequest,
    CustomerProfilesUpdate,
    NewCustomerProfile,
)

#: How many profiles one bulk update may have.
MOST_PROFILES = 1000

_UPDATE = Operation("updateCustomerProfileV2", "PUT", "/v2/customer_profiles/{}")
_UPDATE_MANY = Operation("updateCustomerProfilesV2", "PUT", "/v2/customer_profiles")
_UPDATE_V1 = Operation("updateCustomerProfile", "PUT", "/v1/customer_profiles/{}", signable=True)
_INVENTORY = Operation(
    "getCustomerInventory", "GET", "/v1/customer_profiles/{}/inventory", signable=True
)
_ERASE = Operation("deleteCustomerData", "DELETE", "/v1/customer_data/{}", signable=True)


class Profiles(Caller):
    """The operations on customer profiles."""

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
            raise not_sent(_UPDATE, "dry=True needs run_rule_engine=True")
        if run_rule_engine and self.dialect == "2020":
            raise not_sent(_UPDATE, "the API of 2020 runs no rules here")
        kind = CustomerProfileUpdate2020 if self.dialect == "2020" else CustomerProfileUpdate
        return self._ask(
            _UPDATE,
            kind,
            id_=profile_id,
            request=request,
            params={"runRuleEngine": run_rule_engine, "dry": dry},
            deadline=deadline,
            idempotency_key=idempotency_key,
        )

    def update_customer_profiles_v2(
        self,
        request: CustomerProfilesRequest | Plain,
        *,
        silent: bool = False,
        deadline: float | None = None,
        idempotency_key: str | None = None,
    ) -> CustomerProfilesUpdate:
        """Create or change up to 1,000 customer profiles at once. Runs no rules.

        With ``silent=True`` Talon.One answers nothing, and this an empty update.
        More profiles are refused here, before anything is sent.

        ``PUT /v2/customer_profiles``
        """
        if _count(request) > MOST_PROFILES:
            raise not_sent(_UPDATE_MANY, f"it has more than {MOST_PROFILES} profiles")
        call = {
            "request": request,
            "params": {"silent": "yes" if silent else "no"},
            "deadline": deadline,
            "idempotency_key": idempotency_key,
        }
        if silent:
            self._tell(_UPDATE_MANY, **call)
            return CustomerProfilesUpdate()
        return self._ask(_UPDATE_MANY, CustomerProfilesUpdate, **call)

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
        return self._ask(
            _UPDATE_V1,
            IntegrationState,
            id_=profile_id,
            request=request,
            params={"dry": dry},
            deadline=deadline,
        )

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
        return self._ask(
            _INVENTORY, CustomerInventory, id_=profile_id, params=params, deadline=deadline
        )

    def delete_customer_data(self, profile_id: str, *, deadline: float | None = None) -> None:
        """Erase the attributes of a customer, in all Applications of the environment.

        ``DELETE /v1/customer_data/{integrationId}``
        """
        self._tell(_ERASE, id_=profile_id, deadline=deadline)


def _count(request: CustomerProfilesRequest | Plain) -> int:
    if isinstance(request, CustomerProfilesRequest):
        return len(request.customer_profiles)
    profiles = request.get("customerProfiles", ())
    return len(profiles) if isinstance(profiles, list | tuple) else 0
