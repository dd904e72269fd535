"""The pages of the shop. What changes something is a POST, and answers with a redirect."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import django_talon as talon
from example_project.shop import carts
from example_project.shop.forms import AddForm, CheckoutForm, CouponForm, QuantityForm
from example_project.shop.models import CartItem, Order, Product
from example_project.shop.orders import CartChangedError, cancel, place_order


@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/catalogue.html", {"products": Product.objects.all()})


@require_POST
def add_to_cart(request: HttpRequest) -> HttpResponse:
    form = AddForm(request.POST)
    if form.is_valid():
        item = carts.add(carts.open_cart(request), **form.cleaned_data)
        messages.success(request, f"{item.product} is in your cart.")
    else:
        messages.error(request, "That could not be put into the cart.")
    return redirect("catalogue")


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    cart = carts.current_cart(request)
    if cart is None or not cart.items.exists():
        return render(request, "shop/cart.html")
    return render(request, "shop/cart.html", {"cart": cart, "answer": talon.evaluate(cart)})


@require_POST
def change_item(request: HttpRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(CartItem, pk=pk, cart=carts.current_cart(request))
    form = QuantityForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please choose a quantity from 0 to 20.")
    elif form.cleaned_data["quantity"] == 0:
        item.delete()
    else:
        item.quantity = form.cleaned_data["quantity"]
        item.save()
    return redirect("cart")


@require_POST
def enter_coupon(request: HttpRequest) -> HttpResponse:
    cart, form = carts.current_cart(request), CouponForm(request.POST)
    if cart is None or not form.is_valid():
        messages.error(request, "Please enter a coupon code.")
        return redirect("cart")
    answer = talon.evaluate(cart, enter=[form.cleaned_data["code"]])
    if not answer.answered:
        messages.warning(request, "Coupons cannot be checked at the moment. Yours is noted.")
    return redirect("cart")


@require_POST
def remove_coupon(request: HttpRequest) -> HttpResponse:
    cart, form = carts.current_cart(request), CouponForm(request.POST)
    if cart is not None and form.is_valid():
        talon.evaluate(cart, remove=[form.cleaned_data["code"]])
    return redirect("cart")


@login_required
@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    cart = carts.current_cart(request)
    if cart is None or not cart.items.exists():
        return redirect("cart")
    answer = talon.evaluate(cart, fresh=request.method == "POST")
    form = CheckoutForm(request.POST or None, initial={"name": request.user.get_full_name()})
    if form.is_valid() and form.cleaned_data["agreed_total"] != answer.total:
        form.add_error(None, f"The total is now {answer.total}. Please look at it again.")
    if form.is_valid():
        try:
            place_order(form.instance, cart, answer)
        except CartChangedError:
            messages.warning(request, "Your cart has changed meanwhile. Please look at it again.")
            return redirect("cart")
        return redirect("order", pk=form.instance.pk)
    return render(request, "shop/checkout.html", {"cart": cart, "answer": answer, "form": form})


@login_required
@require_GET
def orders(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/orders.html", {"orders": _orders_of(request)})


@login_required
@require_GET
def order(request: HttpRequest, pk: int) -> HttpResponse:
    order = get_object_or_404(_orders_of(request), pk=pk)
    return render(request, "shop/order.html", {"order": order})


@login_required
@require_POST
def cancel_order(request: HttpRequest, pk: int) -> HttpResponse:
    order = get_object_or_404(_orders_of(request), pk=pk)
    cancel(order)
    messages.success(request, f"{order} is cancelled.")
    return redirect("order", pk=pk)


def _orders_of(request: HttpRequest) -> QuerySet[Order]:
    return Order.objects.filter(user=request.user).prefetch_related("lines__product")
