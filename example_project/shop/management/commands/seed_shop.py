"""``manage.py seed_shop``: things to sell, people to buy them, and an operator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from example_project.shop.models import Product, Profile

PRODUCTS = [
    ("teapot", "Stoneware teapot", "Holds four cups and pours without a drip.", "34.90"),
    ("mug", "Morning mug", "Thick-walled, wide-handled, fired twice.", "14.50"),
    ("notebook", "Linen notebook", "160 dotted pages that lie flat.", "9.95"),
    ("candle", "Beeswax candle", "Burns for thirty quiet hours.", "12.00"),
    ("board", "Oak bread board", "One piece of oak, oiled by hand.", "24.75"),
    ("fern", "Fern in a pot", "Asks for shade and a little water.", "16.40"),
    ("lamp", "Reading lamp", "Warm light where the page is.", "59.00"),
    ("blanket", "Wool blanket", "Woven from one flock's wool.", "79.90"),
]
CUSTOMERS = [
    ("ada", "Ada", "Lovelace", Profile.Tier.GOLD),
    ("grace", "Grace", "Hopper", Profile.Tier.SILVER),
]


class Command(BaseCommand):
    help = (
        "Fill the shop with products, the customers ada and grace, and the operator admin;"
        " each one's password is the name. Run it as often as you like."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            for sku, name, description, price in PRODUCTS:
                details = {"name": name, "description": description, "price": Decimal(price)}
                Product.objects.get_or_create(sku=sku, defaults=details)
            for username, first, last, tier in CUSTOMERS:
                _customer(username, first, last, tier)
            if not User.objects.filter(username="admin").exists():
                User.objects.create_superuser("admin", "admin@shop.example", "admin")
        self.stdout.write(f"{len(PRODUCTS)} products; customers ada and grace; operator admin.")


def _customer(username: str, first: str, last: str, tier: Profile.Tier) -> None:
    if not User.objects.filter(username=username).exists():
        user = User.objects.create_user(
            username, f"{username}@shop.example", username, first_name=first, last_name=last
        )
        Profile.objects.create(user=user, tier=tier)
