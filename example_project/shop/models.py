"""Products, customers, carts and orders. Prices are in EUR."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

SHIPPING_PRICE = Decimal("4.90")
MOST_OF_ONE_PRODUCT = 20


class Product(models.Model):
    """Something to buy. ``sku`` also names its picture in the template shop/art.svg."""

    sku = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=8, decimal_places=2)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class Profile(models.Model):
    """What the shop knows of a customer beyond name and password."""

    class Tier(models.TextChoices):
        STANDARD = "standard"
        SILVER = "silver"
        GOLD = "gold"

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile"
    )
    tier = models.CharField(max_length=10, choices=Tier.choices, default=Tier.STANDARD)

    def __str__(self) -> str:
        return f"{self.user}: {self.tier}"


class Cart(models.Model):
    """What a visitor has chosen. A guest's cart has no user; a cart with an order is history."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Cart {self.pk}"

    @property
    def shipping_price(self) -> Decimal:
        return SHIPPING_PRICE


class CartItem(models.Model):
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_OF_ONE_PRODUCT)]
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["cart", "product"], name="one_item_per_product")
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"

    @property
    def unit_price(self) -> Decimal:
        return self.product.price

    @property
    def subtotal(self) -> Decimal:
        return self.unit_price * self.quantity


class Order(models.Model):
    """A cart that was bought. ``discount`` is what Talon.One took off, ``total`` what is paid."""

    class Status(models.TextChoices):
        PLACED = "placed"
        PAID = "paid"
        CANCELLED = "cancelled"

    cart = models.OneToOneField(Cart, null=True, on_delete=models.SET_NULL)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PLACED)
    name = models.CharField("your name", max_length=80)
    street = models.CharField("street and number", max_length=120)
    postcode = models.CharField(max_length=12)
    city = models.CharField(max_length=60)
    shipping_price = models.DecimalField(max_digits=8, decimal_places=2)
    discount = models.DecimalField(max_digits=8, decimal_places=2)
    total = models.DecimalField(max_digits=8, decimal_places=2)
    placed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"

    @property
    def can_be_cancelled(self) -> bool:
        return self.status != self.Status.CANCELLED


class OrderLine(models.Model):
    """A line as it was bought: its price and discount no longer change."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    unit_price = models.DecimalField(max_digits=8, decimal_places=2)
    quantity = models.PositiveIntegerField()
    discount = models.DecimalField(max_digits=8, decimal_places=2, default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"

    @property
    def subtotal(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def total(self) -> Decimal:
        return self.subtotal - self.discount
