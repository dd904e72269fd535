from __future__ import annotations

import subprocess
import sys

from django_talon import client

PUBLIC = """
AcceptCouponProps AcceptReferralProps AchievementProgress AddFreeItemProps AddLoyaltyPointsProps
AddToAudienceProps AdditionalCost AudienceMembership AwardGiveawayProps Campaign CampaignBudget
CampaignEligibility CartItem CartItemAdjustment ChangeLoyaltyTierLevelProps CodeGeneratorSettings
Coupon CouponCreatedProps CouponRejectionReason CouponReservations CustomEffectProps
CustomerAchievement CustomerInventory CustomerProfile CustomerProfileRequest CustomerProfileState
CustomerProfileUpdate CustomerProfilesRequest CustomerProfilesRequestItem CustomerProfilesUpdate
CustomerSession CustomerSessionV2 DeductLoyaltyPointsProps Effect EffectProps ErrorDetail
ErrorProps Event EventV3 ExperimentVariantAllocation ExpiryDateChange
ExtendLoyaltyPointsExpiryDateProps Giveaway IncreaseAchievementProgressProps IntegrationClient
IntegrationCustomerSessionResponse IntegrationEventV2Request IntegrationEventV3Request
IntegrationRequest IntegrationState IntegrationStateV2 InventoryAchievement Ledger LedgerEntry
LimitConfig Loyalty LoyaltyCard LoyaltyCardProfile LoyaltyMembership LoyaltyProgram Meta
NewCustomerProfile NewCustomerSession NewCustomerSessionV2 NewEvent NewReferral NewReturn
PriceDetail Product ProfileAudiencesChanges RedeemReferralProps Referral ReferralCreatedProps
ReferralRejectionReason RejectCouponProps RejectReferralProps RemoveFromAudienceProps
ReopenSessionResponse ReserveCouponProps ReservedCustomers Return ReturnIntegrationRequest
ReturnedCartItem RollbackAddedLoyaltyPointsProps RollbackCouponProps
RollbackDeductedLoyaltyPointsProps RollbackDiscountProps RollbackIncreasedAchievementProgressProps
RollbackReferralProps RuleFailureReason SetDiscountPerAdditionalCostPerItemProps
SetDiscountPerAdditionalCostProps SetDiscountPerItemProps SetDiscountProps
SetLoyaltyPointsExpiryDateProps ShowBundleMetadataProps ShowNotificationProps
StartAchievementProgressProps TalonAuthError TalonConflict TalonConnectionError TalonError
TalonInvalidRequest TalonRedirected TalonRejected TalonResponseError TalonServerError
TalonThrottled TalonTimeout TalonTlsError TalonUnreadableAnswer Tier TriggerWebhookProps UNSET
UpdateAttributeProps WillAwardGiveawayProps decode_effects encode
"""


def test_exported_names():
    assert sorted(client.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(client, name) for name in client.__all__)


def test_I7_import_is_light():
    code = "import sys, django_talon.client as c; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in run.stdout.split()}
    assert not roots & {
        "django",
        "celery",
        "rest_framework",
        "kombu",
        "yaml",
        "requests",
        "urllib3",
    }
