"""Whose cart is it: a guest's is kept by the browser session, a customer's by the account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

import django_talon as talon
from example_project.shop.models import MOST_OF_ONE_PRODUCT, Cart, CartItem, Product

SESSION_KEY = "cart"


def current_cart(request: HttpRequest) -> Cart | None:
    """Return the visitor's open cart, or ``None`` as long as nothing was put into one."""
    if request.user.is_authenticated:
        return customers_cart(request.user)
    return guests_cart(request)


def customers_cart(user: User) -> Cart | None:
    return Cart.objects.filter(user=user, order=None).order_by("pk").first()


def guests_cart(request: HttpRequest) -> Cart | None:
    return Cart.objects.filter(pk=request.session.get(SESSION_KEY), user=None, order=None).first()


def open_cart(request: HttpRequest) -> Cart:
    """Return the visitor's open cart, made if need be."""
    cart = current_cart(request)
    if cart is None and request.user.is_authenticated:
        cart = Cart.objects.create(user=request.user)
    elif cart is None:
        cart = Cart.objects.create()
        request.session[SESSION_KEY] = cart.pk
    return cart


def add(cart: Cart, product: Product, quantity: int) -> CartItem:
    """Put more of a product into the cart, up to the most that one order may hold."""
    with transaction.atomic():
        item, created = CartItem.objects.select_for_update().get_or_create(
            cart=cart, product=product, defaults={"quantity": quantity}
        )
        if not created:
            item.quantity = min(item.quantity + quantity, MOST_OF_ONE_PRODUCT)
            item.save()
    return item


def merge_at_login(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Move what the guest chose, entered codes included, into the customer's own cart."""
    guests = guests_cart(request)
    if guests is None:
        return
    with transaction.atomic():
        users = customers_cart(user) or Cart.objects.create(user=user)
        for item in guests.items.select_related("product"):
            add(users, item.product, item.quantity)
        talon.merged(guests, users)
        guests.delete()
    del request.session[SESSION_KEY]
