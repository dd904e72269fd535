"""Where django-talon finds the shop's carts, orders and customers."""

from decimal import Decimal

from django.http import HttpRequest

from django_talon.shop import Adapter, register
from example_project.shop.carts import current_cart
from example_project.shop.models import Cart, Order


@register
class Shop(Adapter):
    cart = "shop.Cart"
    cart_customer = "user"
    cart_items = "items"
    order = "shop.Order"
    order_cart = "cart"
    order_customer = "user"
    order_items = "lines"
    order_states = {"placed": "closed", "paid": "closed", "cancelled": "cancelled"}
    item = {
        "sku": "product.sku",
        "name": "product.name",
        "price": "unit_price",
        "quantity": "quantity",
    }
    customer_attributes = {"tier": "profile.tier"}

    def additional_costs(self, cart_or_order: Cart | Order) -> dict[str, Decimal]:
        return {"shipping": cart_or_order.shipping_price}

    def current_cart(self, request: HttpRequest) -> Cart | None:
        return current_cart(request)
