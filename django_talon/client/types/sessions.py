"""Customer sessions: what is sent of a cart or an order, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, field

from django_talon.client.types.base import JSON, Model, Opt
from django_talon.client.types.effects import Effect


class AdditionalCost(Model, frozen=True, kw_only=True):
    """A cost besides the items, such as shipping, in the Application's currency."""

    price: Decimal

    def __post_init__(self) -> None:
        refuse_float(self.price)


class CartItemAdjustment(Model, frozen=True, kw_only=True):
    """Payment of an item with loyalty points (API of 2020)."""

    pay_from_loyalty_program: int
    point_payment: Decimal
    remaining_price: Opt[Decimal] = UNSET


class Product(Model, frozen=True, kw_only=True):
    """The product a cart item belongs to."""

    name: str


class PriceDetail(Model, frozen=True, kw_only=True):
    """One of several prices of an item, and where it comes from."""

    price: Opt[Decimal] = UNSET
    adjustment_context_id: Opt[str] = UNSET
    adjustment_reference_id: Opt[str] = UNSET
    adjustment_effective_from: Opt[datetime] = UNSET
    adjustment_effective_until: Opt[datetime] = UNSET


class CartItem(Model, frozen=True, kw_only=True):
    """A line of the cart. `price` is for one unit, in the Application's currency.

    `position`, the quantities returned and remaining, and all that belongs to
    catalogs and price adjustments is filled in by Talon.One.
    """

    sku: str
    quantity: int
    name: Opt[str] = UNSET
    price: Opt[Decimal] = UNSET
    category: Opt[str] = UNSET
    product: Opt[Product] = UNSET
    weight: Opt[Decimal] = UNSET
    height: Opt[Decimal] = UNSET
    width: Opt[Decimal] = UNSET
    length: Opt[Decimal] = UNSET
    position: Opt[int] = UNSET
    attributes: Opt[JSON] = UNSET
    additional_costs: Opt[Mapping[str, AdditionalCost]] = UNSET
    adjustment: Opt[CartItemAdjustment] = UNSET
    returned_quantity: Opt[int] = UNSET
    remaining_quantity: Opt[int] = UNSET
    catalog_item_id: Opt[int] = field(default=UNSET, name="catalogItemID")
    selected_price_type: Opt[str] = UNSET
    adjustment_reference_id: Opt[str] = UNSET
    adjustment_effective_from: Opt[datetime] = UNSET
    adjustment_effective_until: Opt[datetime] = UNSET
    prices: Opt[Mapping[str, PriceDetail]] = UNSET

    def __post_init__(self) -> None:
        refuse_float(self.price)


class ExperimentVariantAllocation(Model, frozen=True, kw_only=True):
    """Which variant of an experiment a session was given."""

    experiment_id: int = field(name="experimentID")
    variant_id: int = field(name="variantID")


#: The states that a request may name.
NewState = Literal["open", "closed", "cancelled"]


class NewCustomerSession(Model, frozen=True, kw_only=True):
    """What `update_customer_session` (V1) sends. Only what is set changes."""

    profile_id: Opt[str] = UNSET
    coupon: Opt[str] = UNSET
    referral: Opt[str] = UNSET
    state: Opt[NewState] = UNSET
    cart_items: Opt[Sequence[CartItem]] = UNSET
    identifiers: Opt[Sequence[str]] = UNSET
    total: Opt[Decimal] = UNSET
    attributes: Opt[JSON] = UNSET

    def __post_init__(self) -> None:
        refuse_float(self.total)


class NewCustomerSessionV2(Model, frozen=True, kw_only=True):
    """The session inside an `IntegrationRequest`.

    What is left out keeps the value Talon.One has: without `coupon_codes` the
    codes stay, with ``coupon_codes=[]`` they are taken away. `cart_items`
    replaces the whole cart.
    """

    profile_id: Opt[str] = UNSET
    store_integration_id: Opt[str] = UNSET
    evaluable_campaign_ids: Opt[Sequence[int]] = UNSET
    coupon_codes: Opt[Sequence[str]] = UNSET
    referral_code: Opt[str] = UNSET
    loyalty_cards: Opt[Sequence[str]] = UNSET
    state: Opt[NewState] = UNSET
    cart_items: Opt[Sequence[CartItem]] = UNSET
    experiment_variant_allocations: Opt[Sequence[ExperimentVariantAllocation]] = UNSET
    additional_costs: Opt[Mapping[str, AdditionalCost]] = UNSET
    identifiers: Opt[Sequence[str]] = UNSET
    attributes: Opt[JSON] = UNSET


#: The parts of an answer that a session update may ask for.
SessionContent = Literal[
    "customerSession",
    "customerProfile",
    "coupons",
    "triggeredCampaigns",
    "referral",
    "loyalty",
    "event",
    "awardedGiveaways",
    "ruleFailureReasons",
    "previousReturns",
    "campaignEligibility",
    "achievements",
]


class IntegrationRequest(Model, frozen=True, kw_only=True):
    """What `update_customer_session_v2` sends.

    `response_content` names the parts wanted in the answer besides the effects,
    for example ``["customerSession", "loyalty"]``.
    """

    customer_session: NewCustomerSessionV2
    response_content: Opt[Sequence[SessionContent]] = UNSET


class CustomerSession(Model, frozen=True, kw_only=True):
    """A session as the V1 operations answer it. `discounts`: amount by label."""

    integration_id: str
    created: datetime
    application_id: int
    profile_id: str
    coupon: str
    referral: str
    state: str
    cart_items: Sequence[CartItem]
    total: Decimal
    attributes: JSON
    first_session: bool
    discounts: Mapping[str, Decimal]
    identifiers: Opt[Sequence[str]] = UNSET


class CustomerSessionV2(Model, frozen=True, kw_only=True):
    """A session as the V2 operations answer it. Totals are before discounts."""

    integration_id: str
    created: datetime
    application_id: int
    profile_id: str
    state: str
    cart_items: Sequence[CartItem]
    attributes: JSON
    first_session: bool
    total: Decimal
    cart_item_total: Decimal
    additional_cost_total: Decimal
    id: Opt[int] = UNSET
    store_integration_id: Opt[str] = UNSET
    evaluable_campaign_ids: Opt[Sequence[int]] = UNSET
    coupon_codes: Opt[Sequence[str]] = UNSET
    referral_code: Opt[str] = UNSET
    loyalty_cards: Opt[Sequence[str]] = UNSET
    experiment_variant_allocations: Opt[Sequence[ExperimentVariantAllocation]] = UNSET
    additional_costs: Opt[Mapping[str, AdditionalCost]] = UNSET
    identifiers: Opt[Sequence[str]] = UNSET
    update_count: Opt[int] = UNSET
    cart_item_additional_cost_total: Opt[Decimal] = UNSET
    updated: Opt[datetime] = UNSET


class IntegrationCustomerSessionResponse(Model, frozen=True, kw_only=True):
    """What `get_customer_session` answers."""

    customer_session: CustomerSessionV2
    effects: Sequence[Effect] = ()


class ReopenSessionResponse(Model, frozen=True, kw_only=True):
    """What `reopen_customer_session` answers: effects that undo others."""

    effects: Sequence[Effect]


class ReturnedCartItem(Model, frozen=True, kw_only=True):
    """Which line was returned (`position` or `sku`), and how many units of it."""

    position: Opt[int] = UNSET
    quantity: Opt[int] = UNSET
    sku: Opt[str] = UNSET


class NewReturn(Model, frozen=True, kw_only=True):
    """The lines and units to be returned. Without a quantity, all that remain."""

    returned_cart_items: Sequence[ReturnedCartItem]


class ReturnIntegrationRequest(Model, frozen=True, kw_only=True):
    """What `return_cart_items` sends."""

    return_: NewReturn
    response_content: Opt[Sequence[str]] = UNSET


class Return(Model, frozen=True, kw_only=True):
    """A return of items from a closed session."""

    id: int
    created: datetime
    application_id: int
    account_id: int
    returned_cart_items: Sequence[ReturnedCartItem]
    event_id: int
    session_id: int
    session_integration_id: str
    profile_id: Opt[int] = UNSET
    profile_integration_id: Opt[str] = UNSET
    created_by: Opt[int] = UNSET


def refuse_float(amount: object) -> None:
    """Raise TypeError for a float: it has lost the exact amount already."""
    if type(amount) is float:
        raise TypeError("money is a Decimal, never a float")
