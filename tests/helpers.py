"""Shorthand for the example shop and for what the sandbox received."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from django_talon.models import OutboxRow
from django_talon.outbox import clock, delivery
from example_project.shop.models import Cart, CartItem, Order, OrderLine, Product
from tests import guards

UPDATE = "updateCustomerSessionV2"
#: Whether tests of large numbers take the whole of them, as ``make nightly`` does.
#: ``TALON_TEST_SCALE=full``
FULL = os.environ.get("TALON_TEST_SCALE") == "full"


def product(sku: str = "mug", price: str = "10.00") -> Product:
    made, _ = Product.objects.get_or_create(
        sku=sku, defaults={"name": sku.title(), "description": "", "price": Decimal(price)}
    )
    return made


def customer(name: str = "ada") -> User:
    mail = f"{name}{guards.MAIL}"
    return User.objects.create_user(name, mail, "secret", last_name=guards.NAME)


def cart_with(*lines: tuple[str, str, int], user: User | None = None) -> Cart:
    """Make a cart; a line is (sku, price, quantity)."""
    cart = Cart.objects.create(user=user)
    for sku, price, quantity in lines:
        CartItem.objects.create(cart=cart, product=product(sku, price), quantity=quantity)
    return cart


def order_of(cart: Cart, *, status: str = "placed", discount: str = "0") -> Order:
    """Place an order as shops do: the row first, then its lines."""
    order = Order.objects.create(
        cart=cart,
        user=cart.user,
        status=status,
        name=guards.NAME,
        street=guards.STREET,
        postcode="1",
        city="London",
        shipping_price=Decimal("4.90"),
        discount=Decimal(discount),
        total=Decimal(0),
    )
    for item in cart.items.all():
        OrderLine.objects.create(
            order=order,
            product=item.product,
            unit_price=item.unit_price,
            quantity=item.quantity,
        )
    return order


def deliver_all(within: float = 30) -> None:
    """Drain until nothing is due any more, without waiting for what is due later."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        delivery.drain()
        if not OutboxRow.objects.filter(due_at__lte=clock.now()).exists():
            return
    raise AssertionError("there are still due rows")


def wait_for(condition: Callable[[], Any], within: float = 30) -> Any:
    """Return what the condition gives once it is true; fail after so many seconds."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s: {condition}")


def all_due() -> None:
    """Let everything that waits be due now, blocked lanes too."""
    from django_talon.models import Endpoint, Lane

    Lane.objects.update(blocked_until=None)
    Endpoint.objects.exclude(until=None).update(until=clock.now())
    OutboxRow.objects.update(due_at=clock.now())


def session_calls(talon_one: Any) -> list[dict[str, Any]]:
    """Return the bodies of the session updates that were accepted, oldest first."""
    return [
        {"id": call["sessionId"], **call["body"]["customerSession"]}
        for call in talon_one.calls(UPDATE)
        if call["status"] == 200 and call["query"].get("dry") != "true"
    ]


def states(talon_one: Any) -> list[str]:
    return [body["state"] for body in session_calls(talon_one)]
