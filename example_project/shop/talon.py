"""Where django-talon finds the shop's carts, orders and customers."""

from decimal import Decimal

from django_talon.shop import Adapter, register
from example_project.shop import carts, models


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
    current_cart = staticmethod(carts.current_cart)

    def additional_costs(self, cart_or_order: models.Cart | models.Order) -> dict[str, Decimal]:
        return {"shipping": cart_or_order.shipping_price}
