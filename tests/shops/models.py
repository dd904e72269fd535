"""Shops of different shapes, each as somebody might have written it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class Member(models.Model):
    """A customer that is not the user model, with a UUID as its key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    nickname = models.CharField(max_length=50, blank=True)
    level = models.IntegerField(default=0)


class Bag(models.Model):
    """A cart with a UUID as its key, and a flag where others have a status."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    member = models.ForeignKey(Member, null=True, blank=True, on_delete=models.SET_NULL)
    checked_out = models.BooleanField(default=False)
    currency = models.CharField(max_length=3, default="EUR")
    wrappings: models.ManyToManyField[Wrapping, models.Model] = models.ManyToManyField(
        "Wrapping", related_name="bags"
    )


class Wrapping(models.Model):
    name = models.CharField(max_length=50)


class BagEntry(models.Model):
    """A line without a product: everything is on the row; the price is a float."""

    bag = models.ForeignKey(Bag, on_delete=models.CASCADE, related_name="entries")
    article = models.CharField(max_length=50)
    title = models.CharField(max_length=100)
    amount = models.FloatField(default=0)
    count = models.IntegerField(default=1)


class Purchase(models.Model):
    """An order that keeps the key of its bag as text, without a foreign key."""

    bag = models.ForeignKey(Bag, null=True, blank=True, on_delete=models.SET_NULL)
    member = models.ForeignKey(Member, null=True, blank=True, on_delete=models.SET_NULL)
    stage = models.IntegerField(default=0)
    made = models.DateTimeField(default=timezone.now)


class PurchaseEntry(models.Model):
    purchase = models.ForeignKey(Purchase, on_delete=models.CASCADE, related_name="entries")
    article = models.CharField(max_length=50)
    title = models.CharField(max_length=100)
    amount = models.FloatField(default=0)
    count = models.IntegerField(default=1)
    came_back = models.IntegerField(null=True)


class Invoice(models.Model):
    """Cart and order in one model, which walks through its statuses; prices in cents."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    status = models.CharField(max_length=20, default="cart")
    created = models.DateTimeField(auto_now_add=True)


class InvoiceLine(models.Model):
    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    code = models.CharField(max_length=50)
    label = models.CharField(max_length=100)
    cents = models.IntegerField()
    pieces = models.PositiveIntegerField(default=1)
    refunded = models.PositiveIntegerField(default=0)


class ArchivedInvoice(Invoice):
    """A proxy: its saves name another sender."""

    class Meta:
        proxy = True


class Crate(models.Model):
    """A table that carts of several kinds inherit from."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    note = models.CharField(max_length=50, blank=True)


class GiftCrate(Crate):
    """A cart whose rows stand in two tables."""

    recipient = models.CharField(max_length=50, blank=True)


class Coupon(models.Model):
    code = models.CharField(max_length=50)
    crates = models.ManyToManyField(GiftCrate, related_name="coupons")


class Extra(models.Model):
    name = models.CharField(max_length=50)


class Priced(models.Model):
    """An abstract base with the foreign key to the cart."""

    class Meta:
        abstract = True

    crate = models.ForeignKey(GiftCrate, on_delete=models.CASCADE, related_name="items")
    code = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=10, decimal_places=2, default=1)
    quantity = models.PositiveIntegerField(default=1)


class CrateItem(Priced):
    extras = models.ManyToManyField(Extra, related_name="items")

    def notes_text(self) -> str:
        return ", ".join(self.notes.order_by("pk").values_list("text", flat=True))


class BigCrateItem(CrateItem):
    """A line whose rows stand in two tables."""

    weight = models.IntegerField(default=0)


class ItemNote(models.Model):
    """A row that belongs to a line, not to the cart."""

    item = models.ForeignKey(CrateItem, on_delete=models.CASCADE, related_name="notes")
    text = models.CharField(max_length=50)


class CrateLabel(models.Model):
    """A row that names its cart by another column than its key."""

    name = models.CharField(max_length=50, unique=True)
    crate = models.ForeignKey(GiftCrate, on_delete=models.CASCADE, related_name="labels")


class Sticker(models.Model):
    label = models.ForeignKey(CrateLabel, to_field="name", on_delete=models.CASCADE)
    text = models.CharField(max_length=50)
