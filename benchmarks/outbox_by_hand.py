"""What a good engineer writes without this package: signal, on_commit, task, official SDK."""

from __future__ import annotations

import functools
import os
from typing import Any

import talon_one
from celery import shared_task
from django.db import transaction
from urllib3.exceptions import HTTPError

from example_project.shop.models import Cart


@functools.cache
def api() -> talon_one.IntegrationApi:
    """Return one client for the process."""
    configuration = talon_one.Configuration(
        host=os.environ["TALON_BENCH_URL"],
        api_key={"api_key_v1": "benchmark"},
        api_key_prefix={"api_key_v1": "ApiKey-v1"},
    )
    return talon_one.IntegrationApi(talon_one.ApiClient(configuration))


@shared_task(
    name="by_hand.sync_cart",
    autoretry_for=(talon_one.ApiException, HTTPError),
    retry_backoff=True,
    max_retries=5,
    ignore_result=True,
)
def sync_cart(cart_id: int) -> None:
    """Send a cart."""
    cart = Cart.objects.get(pk=cart_id)
    items = [
        talon_one.CartItem(
            name=item.product.name,
            sku=item.product.sku,
            quantity=item.quantity,
            price=float(item.unit_price),
        )
        for item in cart.items.select_related("product")
    ]
    session = talon_one.NewCustomerSessionV2(
        profile_id=str(cart.user_id), state="open", cart_items=items
    )
    api().update_customer_session_v2(
        f"cart-{cart.pk}",
        talon_one.IntegrationRequest(customer_session=session),
    )


def line_saved(instance: Any, **_: Any) -> None:
    """Send the cart of a saved line once the transaction is committed."""
    cart_id = instance.cart_id
    transaction.on_commit(lambda: sync_cart.delay(cart_id))
