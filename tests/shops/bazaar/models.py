"""A shop that saves its rows in the order in which django-oscar 4.2 saves its own.

Written for these tests; only what happens when, and in which transaction, is Oscar's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import models


class Product(models.Model):
    title = models.CharField(max_length=100)


class StockRecord(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="stockrecords")
    partner_sku = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    num_allocated = models.IntegerField(default=0)


class Voucher(models.Model):
    code = models.CharField(max_length=50, unique=True)
    minimum = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    num_basket_additions = models.IntegerField(default=0)
    num_orders = models.IntegerField(default=0)


class Basket(models.Model):
    OPEN, MERGED, SAVED, FROZEN, SUBMITTED = "Open", "Merged", "Saved", "Frozen", "Submitted"

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="baskets"
    )
    status = models.CharField(max_length=20, default=OPEN)
    vouchers = models.ManyToManyField(Voucher)

    @property
    def is_cart(self) -> bool:
        return self.status in (self.OPEN, self.FROZEN)

    def num_lines(self) -> int:
        return self.lines.count() if self.pk else 0

    def codes(self) -> list[str]:
        return sorted(self.vouchers.values_list("code", flat=True))

    def add_product(
        self, stockrecord: StockRecord, quantity: int = 1, options: dict[str, str] | None = None
    ) -> Line:
        if not self.pk:
            self.save()
        reference = "_".join([str(stockrecord.pk), *sorted((options or {}).values())])
        line, created = self.lines.get_or_create(
            line_reference=reference,
            stockrecord=stockrecord,
            defaults={"quantity": quantity, "price_excl_tax": stockrecord.price},
        )
        if created:
            for option, value in (options or {}).items():
                line.attributes.create(option=option, value=value)
        else:
            line.quantity += quantity
            line.save()
        return line

    def merge_line(self, line: Line, *, add_quantities: bool) -> None:
        """Take a line of another basket over: it moves, or goes up in ours."""
        existing = self.lines.filter(line_reference=line.line_reference).first()
        if existing is None:
            line.basket = self
            line.save()
            return
        both = existing.quantity + line.quantity
        existing.quantity = both if add_quantities else max(existing.quantity, line.quantity)
        existing.save()
        line.delete()

    def merge(self, basket: Basket, *, add_quantities: bool = True) -> None:
        for line in basket.lines.all():
            self.merge_line(line, add_quantities=add_quantities)
        basket.status = self.MERGED
        basket.save()
        for voucher in basket.vouchers.all():
            basket.vouchers.remove(voucher)
            self.vouchers.add(voucher)

    def become(self, status: str) -> None:
        self.status = status
        self.save()


class Line(models.Model):
    basket = models.ForeignKey(Basket, on_delete=models.CASCADE, related_name="lines")
    line_reference = models.SlugField(max_length=128)
    stockrecord = models.ForeignKey(StockRecord, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField(default=1)
    #: What it cost when it was put in: a copy, not what it costs now.
    price_excl_tax = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["basket", "line_reference"], name="bazaar_line_once")
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.basket.status not in (Basket.OPEN, Basket.SAVED):
            raise PermissionDenied("That basket cannot be edited.")
        super().save(*args, **kwargs)

    @property
    def options(self) -> list[str]:
        return [attribute.value for attribute in self.attributes.order_by("pk")]


class LineAttribute(models.Model):
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="attributes")
    option = models.CharField(max_length=50)
    value = models.CharField(max_length=50)


class Address(models.Model):
    """Where an order goes; a copy of it stays with the user."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)
    text = models.CharField(max_length=100)


class Email(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="mails"
    )
    subject = models.CharField(max_length=100)


class Order(models.Model):
    number = models.CharField(max_length=128, unique=True)
    basket = models.ForeignKey(Basket, null=True, blank=True, on_delete=models.SET_NULL)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="bazaar_orders",
    )
    status = models.CharField(max_length=100, blank=True)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    shipping = models.DecimalField(max_digits=12, decimal_places=2)
    date_placed = models.DateTimeField(auto_now_add=True)
    analytics_tracked = models.BooleanField(default=False)

    def set_status(self, status: str) -> None:
        """As Oscar: every line by itself, then the order, then the record of it."""
        for line in self.lines.exclude(status=status):
            line.status = status
            line.save()
        self.status = status
        self.save()
        self.status_changes.create(new_status=status)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    stockrecord = models.ForeignKey(StockRecord, null=True, on_delete=models.SET_NULL)
    partner_sku = models.CharField(max_length=50)
    title = models.CharField(max_length=100)
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(max_digits=12, decimal_places=2)
    status = models.CharField(max_length=100, blank=True)


class LinePrice(models.Model):
    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="prices")
    price = models.DecimalField(max_digits=12, decimal_places=2)


class OrderDiscount(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="discounts")
    amount = models.DecimalField(max_digits=12, decimal_places=2)


class OrderStatusChange(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="status_changes")
    new_status = models.CharField(max_length=100)


class OrderNote(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="notes")
    message = models.TextField()


class Event(models.Model):
    """A shipment or a payment of an order, which leaves the order itself alone."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=50)


class EventQuantity(models.Model):
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="quantities")
    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField()
