"""Dotted paths: what they read, what is wrong with them, what they join."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_talon.shop import paths
from example_project.shop.models import Cart, CartItem, Order, OrderLine, Profile
from tests.shops.models import Bag, BagEntry, Purchase


class Nobody:
    """As a reverse one-to-one relation without a row."""

    @property
    def profile(self) -> Any:
        raise Profile.DoesNotExist

    @property
    def broken(self) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "mug"),
        ("product.brand.name", "Acme"),
        ("product.missing_brand.name", None),
        ("meta.size", "L"),
        ("meta.no_such_key.deeper", None),
        ("price", 5),
        ("maker.country", "IT"),
        ("nobody.profile.tier", None),
    ],
)
def test_resolve(path: str, value: Any):
    row = SimpleNamespace(
        name="mug",
        product=SimpleNamespace(brand=SimpleNamespace(name="Acme"), missing_brand=None),
        meta={"size": "L"},
        price=lambda: 5,
        maker=lambda: {"country": "IT"},
        nobody=Nobody(),
    )
    assert paths.resolve(row, path) == value


def test_resolve_hides_no_mistakes():
    with pytest.raises(ValueError, match="SimpleNamespace has no 'price'") as caught:
        paths.resolve(SimpleNamespace(), "price")
    assert isinstance(caught.value.__cause__, AttributeError)
    with pytest.raises(ZeroDivisionError):
        paths.resolve(SimpleNamespace(nobody=Nobody()), "nobody.broken")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (CartItem, "product.sku"),
        (CartItem, "unit_price"),
        (CartItem, "unit_price.believed"),
        (CartItem, "pk"),
        (Cart, "items"),
        (Cart, "user.profile.tier"),
        (Cart, "order"),
        (User, "profile.tier"),
        (User, "get_full_name"),
        (User, "cart_set"),
        (Bag, "purchase_set"),
    ],
)
def test_a_path_that_can_be_read_has_no_problem(model: Any, path: str):
    assert paths.problem(model, path) == ""


@pytest.mark.parametrize(
    ("model", "path", "problem"),
    [
        (CartItem, "product.skew", "shop.Product has no 'skew'. Did you mean 'sku'?"),
        (CartItem, "prodct.sku", "shop.CartItem has no 'prodct'. Did you mean 'product'?"),
        (CartItem, "unit_pric", "shop.CartItem has no 'unit_pric'. Did you mean 'unit_price'?"),
        (Cart, "item", "shop.Cart has no 'item'. Did you mean 'items'?"),
        (Cart, "user.profle.tier", "auth.User has no 'profle'. Did you mean 'profile'?"),
        (User, "cart", "auth.User has no 'cart'. Did you mean 'cart_set'?"),
        (Bag, "purchase", "shops.Bag has no 'purchase'. Did you mean 'purchase_set'?"),
        (Order, "zzz", "shop.Order has no 'zzz'."),
    ],
)
def test_a_wrong_path_names_the_nearest(model: Any, path: str, problem: str):
    assert paths.problem(model, path) == problem


@pytest.mark.parametrize(
    ("model", "wanted", "joins"),
    [
        (CartItem, ["product.sku", "product.name", "unit_price", "quantity"], ["product"]),
        (OrderLine, ["order.user.profile.tier"], ["order__user__profile"]),
        (BagEntry, ["article", "title", "amount", "count"], []),
        (Cart, ["items.first"], []),
        (CartItem, ["unit_price.amount"], []),
        (Purchase, ["bag.member.level", "member.level"], ["bag__member", "member"]),
    ],
)
def test_joins(model: Any, wanted: list[str], joins: list[str]):
    assert paths.joins(model, wanted) == joins
