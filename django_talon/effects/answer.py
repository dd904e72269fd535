"""What an answer says to a shopper: prices, accepted and refused codes, texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from django_talon.effects import typed
from django_talon.effects.allocation import Allocation, LineDiscount, NamedDiscount, allocate
from django_talon.shop.snapshots import SessionSnapshot


@dataclass(frozen=True)
class Rejection:
    """A code that was refused, with the API's reason and a text for the shopper."""

    code: str
    reason: str
    message: str


@dataclass(frozen=True)
class Notification:
    """A text that a campaign wants the shopper to see."""

    kind: str
    title: str
    body: str


@dataclass(frozen=True)
class FreeItem:
    """Something a campaign adds for nothing; putting it into the cart is the shop's choice."""

    sku: str
    name: str


@dataclass(frozen=True)
class Answer:
    """What a cart costs after promotions. Amounts are rounded, in the Application's currency."""

    currency: str = "EUR"
    allocation: Allocation = field(default_factory=Allocation)
    accepted: Sequence[str] = ()
    rejected: Sequence[Rejection] = ()
    notifications: Sequence[Notification] = ()
    free_items: Sequence[FreeItem] = ()
    effects: Sequence[Any] = ()
    #: ``False`` if Talon.One could not be asked; then there are no promotions.
    answered: bool = False

    @property
    def subtotal(self) -> Decimal:
        return self.allocation.subtotal

    @property
    def additional_costs(self) -> Decimal:
        return self.allocation.additional_costs

    @property
    def discount(self) -> Decimal:
        return self.allocation.discount

    @property
    def total(self) -> Decimal:
        return self.allocation.total

    @property
    def discounts(self) -> Sequence[NamedDiscount]:
        return self.allocation.discounts

    @property
    def lines(self) -> Mapping[str, LineDiscount]:
        return self.allocation.lines


def read_answer(
    snapshot: SessionSnapshot,
    effects: Sequence[Any],
    currency: str,
    *,
    refused: Mapping[str, str],
    answered: bool,
) -> Answer:
    """Return what these effects mean for this content, of which they must be.

    ``refused`` are codes (and reasons) that were refused before and are no longer sent.
    """
    now = {props.value: props.rejection_reason for props in _props(effects, "rejectCoupon")}
    return Answer(
        currency=currency,
        allocation=allocate(snapshot.items, snapshot.additional_costs, effects, currency),
        accepted=[props.value for props in _props(effects, "acceptCoupon")],
        rejected=[Rejection(code, why, message(why)) for code, why in {**refused, **now}.items()],
        notifications=[
            Notification(props.notification_type, props.title, props.body)
            for props in _props(effects, "showNotification")
        ],
        free_items=[FreeItem(props.sku, props.name) for props in _props(effects, "addFreeItem")],
        effects=effects,
        answered=answered,
    )


def _props(effects: Iterable[Any], effect_type: str) -> list[Any]:
    return [effect.props for effect in typed(effects, effect_type)]


def message(reason: str) -> str:
    """Return a text for the shopper; an unknown reason gets the general one."""
    texts = {
        "CouponNotFound": _("We do not know this code."),
        "CouponExpired": _("This code has expired."),
        "CouponStartDateInFuture": _("This code is not valid yet."),
        "CouponLimitReached": _("This code has been used up."),
        "CampaignLimitReached": _("This promotion has been used up."),
        "ProfileLimitReached": _("You have used this code as often as it can be used."),
        "CouponRecipientDoesNotMatch": _("This code belongs to another customer."),
        "CouponPartOfNotRunningCampaign": _("This promotion is not running."),
        "CouponReservationRequired": _("This code has to be reserved for you first."),
        "ProfileRequired": _("Log in to use this code."),
        "CouponRejectedByCondition": _("Your cart does not meet the conditions of this code."),
    }
    return texts.get(reason, _("This code cannot be used for this cart."))
