from django_talon.shop import Adapter, register


@register
class Bazaar(Adapter):
    cart = "bazaar.Basket"
    cart_customer = "owner"
    cart_items = "lines"
    cart_attributes = {"vouchers": "codes"}
    order = "bazaar.Order"
    order_cart = "basket"
    order_customer = "user"
    order_items = "lines"
    order_states = {
        "Pending": "closed",
        "Being processed": "closed",
        "Complete": "closed",
        "Cancelled": "cancelled",
    }
    item = {
        "sku": "stockrecord.partner_sku",
        "name": "stockrecord.product.title",
        "price": "stockrecord.price",
        "quantity": "quantity",
        "attributes": {"options": "options"},
    }
    order_item = {
        "sku": "partner_sku",
        "name": "title",
        "price": "unit_price",
        "quantity": "quantity",
    }
    watch = {"bazaar.LineAttribute": "line.basket"}
    ignore_fields = {"last_login", "analytics_tracked"}

    def is_active(self, basket):
        return basket.is_cart

    def additional_costs(self, cart_or_order):
        return {"shipping": getattr(cart_or_order, "shipping", None)}
