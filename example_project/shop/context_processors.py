from django.db.models import Sum
from django.http import HttpRequest

from example_project.shop.carts import current_cart


def cart_count(request: HttpRequest) -> dict[str, int]:
    """How many things are in the visitor's cart, for the top of every page."""
    cart = current_cart(request)
    count = cart.items.aggregate(count=Sum("quantity"))["count"] if cart else None
    return {"cart_count": count or 0}
