"""From cart to order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from example_project.shop.models import Cart, CartItem, Order, OrderLine

if TYPE_CHECKING:
    from django_talon.effects.answer import Answer


class CartChangedError(Exception):
    """The cart is no longer what was priced: another tab changed or ordered it."""


def place_order(order: Order, cart: Cart, answer: Answer) -> None:
    """Store the order with the discounts Talon.One gave for exactly this cart.

    Raises `CartChangedError` if the answer belongs to other lines.
    """
    with transaction.atomic():
        items = _lock(cart, answer)
        order.cart, order.user = cart, cart.user
        order.shipping_price = cart.shipping_price
        order.discount, order.total = answer.discount, answer.total
        order.save()
        for item in items:
            OrderLine.objects.create(
                order=order,
                product=item.product,
                unit_price=item.unit_price,
                quantity=item.quantity,
                discount=answer.lines[str(item.pk)].discount,
            )


def cancel(order: Order) -> None:
    order.status = Order.Status.CANCELLED
    order.save()


def _lock(cart: Cart, answer: Answer) -> Sequence[CartItem]:
    locked = Cart.objects.select_for_update().filter(pk=cart.pk).first()
    if locked is None or Order.objects.filter(cart=locked).exists():
        raise CartChangedError
    items = list(cart.items.select_related("product"))
    priced = {pk: line.total + line.discount for pk, line in answer.lines.items()}
    if priced != {str(item.pk): item.subtotal for item in items}:
        raise CartChangedError
    return items
