"""The views of the shop. What they save, and in which order, is what django-oscar saves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth import authenticate, get_user_model, login, logout
from django.db import transaction
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template import engines
from django.template.response import TemplateResponse

from tests.shops.bazaar.models import (
    Address,
    Basket,
    Email,
    Event,
    EventQuantity,
    Line,
    LinePrice,
    Order,
    OrderDiscount,
    StockRecord,
    Voucher,
)

PAGE = engines["django"].from_string("{{ basket.num_lines }} lines")


def page(request: Any) -> TemplateResponse:
    return TemplateResponse(request, PAGE)


def add(request: Any, sku: str) -> Any:
    options = {"engraving": request.POST["engraving"]} if "engraving" in request.POST else None
    quantity = int(request.POST.get("quantity", 1))
    request.basket.add_product(StockRecord.objects.get(partner_sku=sku), quantity, options)
    return redirect("bazaar-page")


def quantities(request: Any) -> Any:
    """The form of all lines: only those that changed are saved; 0 deletes."""
    for line in request.basket.lines.all():
        wanted = int(request.POST.get(line.stockrecord.partner_sku, line.quantity))
        if wanted == 0:
            line.delete()
        elif wanted != line.quantity:
            line.quantity = wanted
            line.save()
    return redirect("bazaar-page")


def add_voucher(request: Any) -> Any:
    voucher = Voucher.objects.filter(code=request.POST["code"]).first()
    if voucher is None:
        return HttpResponse("No voucher found")
    basket = request.basket
    basket.vouchers.add(voucher)
    Voucher.objects.filter(pk=voucher.pk).update(num_basket_additions=F("num_basket_additions") + 1)
    if sum(line.quantity * line.stockrecord.price for line in basket.lines.all()) < voucher.minimum:
        basket.vouchers.remove(voucher)
        return HttpResponse("Your basket does not qualify")
    return redirect("bazaar-page")


def remove_voucher(request: Any) -> Any:
    request.basket.vouchers.remove(Voucher.objects.get(code=request.POST["code"]))
    return redirect("bazaar-page")


def save_for_later(request: Any, line: int) -> Any:
    found = get_object_or_404(Line, pk=line, basket=request.basket)
    with transaction.atomic():
        saved, _made = Basket.objects.get_or_create(owner=request.user, status=Basket.SAVED)
    saved.merge_line(found, add_quantities=True)
    return redirect("bazaar-page")


def sign_in(request: Any) -> Any:
    user = authenticate(request, username=request.POST["name"], password="secret")
    login(request, user)
    return redirect("bazaar-page")


def register(request: Any) -> Any:
    user = get_user_model().objects.create_user(request.POST["name"], password="secret")
    Email.objects.create(user=user, subject="Welcome")
    login(request, user)
    return redirect("bazaar-page")


def checkout_step(request: Any) -> Any:
    """Address, shipping, preview: all of it goes into the session."""
    request.session["shipping"] = request.POST.get("shipping", "standard")
    return HttpResponse("next")


def place_order(request: Any) -> Any:
    """As ``PaymentDetailsView.submit``: freeze, pay, order, submit, mail."""
    basket = request.basket
    basket.become(Basket.FROZEN)
    payment = request.POST.get("payment", "good")
    if payment == "redirect":
        request.session["frozen"] = basket.pk
        return redirect("https://bank.invalid/3d-secure")
    if payment == "refused":
        basket.become(Basket.OPEN)
        return HttpResponse("We cannot take that card")
    return _take_order(request, basket)


def back_from_bank(request: Any) -> Any:
    """After 3-D Secure: paid, or thawed and, where there is another basket, merged."""
    basket = Basket.objects.get(pk=request.session.pop("frozen"))
    if request.GET["paid"] == "yes":
        return _take_order(request, basket)
    basket.become(Basket.OPEN)
    if request.basket.pk != basket.pk:
        basket.merge(request.basket)  # fails for a guest whose basket was not saved yet
    return HttpResponse("paid nothing")


def _take_order(request: Any, basket: Basket) -> Any:
    user = request.user if request.user.is_authenticated else None
    Address.objects.create(user=None, text="1 High Street")
    if user is not None:
        Address.objects.create(user=user, text="1 High Street")
    order = _create_order(basket, user)
    basket.become(Basket.SUBMITTED)
    Email.objects.create(user=user, subject=order.number)
    if request.POST.get("mail") == "fails":
        basket.become(Basket.OPEN)
        return HttpResponse("The order is placed, the mail is not sent")
    request.session["order"] = order.pk
    return redirect("bazaar-thanks")


@transaction.atomic
def _create_order(basket: Basket, user: Any) -> Order:
    lines = list(basket.lines.all())
    total = sum((line.stockrecord.price * line.quantity for line in lines), Decimal(0))
    order = Order.objects.create(
        number=str(100000 + basket.pk),
        basket=basket,
        user=user,
        status="Pending",
        total=total,
        shipping=Decimal("4.90"),
    )
    OrderDiscount.objects.create(order=order, amount=0)
    for voucher in basket.vouchers.select_for_update():
        voucher.num_orders += 1
        voucher.save()
    for line in lines:
        bought = order.lines.create(
            stockrecord=line.stockrecord,
            partner_sku=line.stockrecord.partner_sku,
            title=line.stockrecord.product.title,
            quantity=line.quantity,
            unit_price=line.stockrecord.price,
            status="Pending",
        )
        LinePrice.objects.create(line=bought, price=bought.unit_price)
        StockRecord.objects.filter(pk=line.stockrecord_id).update(
            num_allocated=F("num_allocated") + line.quantity
        )
    return order


def thanks(request: Any) -> Any:
    order = Order.objects.get(pk=request.session["order"])
    order.analytics_tracked = True
    order.save(update_fields=["analytics_tracked"])
    return TemplateResponse(request, PAGE)


def change_status(request: Any, order: int) -> Any:
    found = Order.objects.get(pk=order)
    found.set_status(request.POST["status"])
    found.notes.create(message="changed in the dashboard")
    return HttpResponse("changed")


def happen(request: Any, order: int) -> Any:
    """A shipment or a payment: the order's own row is not saved."""
    found = Order.objects.get(pk=order)
    event = Event.objects.create(order=found, kind=request.POST["kind"])
    for line in found.lines.all():
        EventQuantity.objects.create(event=event, line=line, quantity=line.quantity)
    return HttpResponse("noted")


def delete_profile(request: Any) -> Any:
    user = request.user
    logout(request)
    user.delete()
    return HttpResponse("gone")
