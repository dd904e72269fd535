"""The adapters of these shops. Each has less than 30 lines."""

from django_talon.shop import Adapter, register


@register
class BagShop(Adapter):
    cart = "shops.Bag"
    cart_customer = "member"
    cart_items = "entries"
    order = "shops.Purchase"
    order_cart = "bag"
    order_customer = "member"
    order_items = "entries"
    order_state = "stage"
    order_states = {1: "closed", 2: "closed", 5: "reopened", 9: "cancelled"}
    item = {"sku": "article", "name": "title", "price": "amount", "quantity": "count"}
    order_item = {**item, "returned": "came_back"}
    customer_attributes = {"tier": "nickname"}

    def is_active(self, bag):
        return not bag.checked_out


@register
class InvoiceShop(Adapter):
    cart = "shops.Invoice"
    cart_customer = "user"
    cart_items = "lines"
    order = "shops.Invoice"
    order_states = {"complete": "closed", "editing": "reopened", "void": "cancelled"}
    item = {
        "sku": "code",
        "name": "label",
        "price": "cents",
        "quantity": "pieces",
        "returned": "refunded",
    }
    price_unit = "minor"


@register
class CrateShop(Adapter):
    cart = "shops.GiftCrate"
    cart_customer = "user"
    cart_items = "items"
    item = {
        "sku": "code",
        "name": "code",
        "price": "price",
        "quantity": "quantity",
        "attributes": {"notes": "notes_text"},
    }
    watch = {"shops.ItemNote": "item.crate", "shops.Sticker": "label.crate"}
