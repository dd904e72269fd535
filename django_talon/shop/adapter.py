"""The class in which a shop says where its carts, orders and customers are.

Attributes say where the data is; overridden methods say what it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.utils import timezone

from django_talon.conf import conf
from django_talon.shop import paths, values
from django_talon.shop.snapshots import ItemSnapshot, SnapshotError

#: What ``item`` must say, and what it may.
ITEM_KEYS = ("sku", "name", "price", "quantity")
MORE_ITEM_KEYS = ("category", "attributes", "returned")

Paths = Mapping[str, Any]


class Adapter:
    """Subclass, name your models, decorate with `register`.

    Every path is a dotted name read from the row: a field, a property, a method
    without arguments or a dict key. Wrong ones are system-check errors.
    """

    #: ``"app.Model"`` of the cart.
    cart = ""
    #: From the cart to its customer; ``None`` there means a guest.
    cart_customer = ""
    #: Name of the reverse relation from the cart to its lines.
    cart_items = ""
    #: ``"app.Model"`` of the order; may be the cart's own model.
    order = ""
    #: From the order to the cart it came from.
    order_cart = ""
    order_customer = ""
    order_items = ""
    #: From the order to its status.
    order_state = "status"
    #: Status -> ``"closed"``, ``"cancelled"`` or ``"reopened"``. Any other status is open,
    #: and leaves a session that was closed as it is.
    order_states: Mapping[str, str] = {}
    #: From the order to the time it was made; found by itself where there is just one.
    order_created = ""
    #: Date-time fields that change with the row, where there are some: what changed
    #: lately is looked at first by ``talon_reconcile``.
    cart_updated = ""
    order_updated = ""
    customer_updated = ""
    #: Where a cart line has its ``sku``, ``name``, ``price`` and ``quantity``, and
    #: optionally ``category``, ``attributes`` (a dict of paths) and, on order lines,
    #: ``returned``: how many units of it were given back so far.
    item: Paths = {}
    #: The same for an order line, where it differs.
    order_item: Paths = {}
    #: ``"major"`` (12.50) or ``"minor"`` (1250) units of the currency.
    price_unit = "major"
    #: Attribute at Talon.One -> path, or function of the row. Only these leave the shop.
    cart_attributes: Paths = {}
    order_attributes: Paths = {}
    customer_attributes: Paths = {}
    #: Other models that belong to a cart, an order or a customer: ``"app.Model"`` -> the
    #: foreign keys that lead there, such as ``{"shop.LineOption": "line.cart"}``.
    watch: Mapping[str, str] = {}
    #: A save of nothing but these fields is not news.
    ignore_fields: frozenset[str] | set[str] = frozenset({"last_login"})

    # What it means: override these.

    def state(self, order: Any) -> str:
        """Return ``"open"``, ``"closed"``, ``"cancelled"`` or ``"reopened"``.

        Runs at a save: no query.
        """
        return self.order_states.get(paths.resolve(order, self.order_state), "open")

    def profile_id(self, customer: Any) -> str:
        """Return the integration id: stable, opaque, never an e-mail address."""
        return f"{conf.ID_PREFIX}{customer.pk}"

    def may_be_sent(self, customer: Any) -> bool:
        """Return whether a customer consents to be known; ``False`` makes a guest of them.

        Their carts go without their id and attributes, their profile and events not at all.
        """
        return True

    def additional_costs(self, cart_or_order: Any) -> Mapping[str, Any]:
        """Return the costs beside the lines: API name -> amount, such as shipping."""
        return {}

    def returned_quantities(self, order: Any) -> Mapping[str, Any]:
        """Return key of a line -> units of it that were given back so far, in all.

        The keys are those of `items`. Units that were never bought, or that are taken
        again, cannot be told: they become a dead letter.
        """
        path = self.item_mapping(order).get("returned")
        if not path:
            return {}
        lines = self._lines(order, [path])
        return {str(line.pk): paths.resolve(line, path) for line in lines}

    def is_active(self, cart: Any) -> bool:
        """Return whether the cart is still one; ``False`` cancels its session."""
        return True

    def current_cart(self, request: Any) -> Any:
        """Return the visitor's cart, or ``None``. The REST endpoints ask this."""
        raise NotImplementedError(
            f"{type(self).__name__}.current_cart(request) is not written. The REST endpoints"
            " need it to find the visitor's cart."
        )

    def items(self, cart_or_order: Any, currency: str) -> list[ItemSnapshot]:
        """Return the lines, in an order that does not change."""
        mapping = self.item_mapping(cart_or_order)
        lines = self._lines(cart_or_order, flat(mapping))
        found = [self._item(line, mapping, currency) for line in lines]
        return [item for item in found if item.quantity]

    def item_mapping(self, cart_or_order: Any) -> Paths:
        """Return ``order_item`` for an order that has one, otherwise ``item``."""
        return (self.order_item or self.item) if self._is_order(cart_or_order) else self.item

    def _is_order(self, cart_or_order: Any) -> bool:
        return self.role_of(cart_or_order) == "order" and not self.is_one_model

    def _lines(self, cart_or_order: Any, names: Iterable[str]) -> models.QuerySet[Any]:
        relation = self.order_items if self._is_order(cart_or_order) else self.cart_items
        lines: models.QuerySet[Any] = getattr(cart_or_order, relation).order_by("pk")
        joins = paths.joins(lines.model, names)
        # Without names, select_related() would follow every foreign key.
        return lines.select_related(*joins) if joins else lines

    def _item(self, line: Any, mapping: Paths, currency: str) -> ItemSnapshot:
        with naming(line):
            return ItemSnapshot(
                key=str(line.pk),
                sku=values.filled(paths.resolve(line, mapping["sku"]), "sku"),
                name=values.filled(paths.resolve(line, mapping["name"]), "name"),
                quantity=values.quantity(paths.resolve(line, mapping["quantity"])),
                price=values.price(
                    paths.resolve(line, mapping["price"]), currency, self.price_unit
                ),
                category=values.text(paths.resolve(line, mapping.get("category", "")) or "")
                if mapping.get("category")
                else "",
                attributes=read(line, mapping.get("attributes", {})),
            )

    def attributes(self, instance: Any) -> dict[str, Any]:
        """Return the attributes of a cart, an order or a customer.

        There are none of a customer who may not be sent, and none of their carts and orders.
        """
        mapping = {
            "cart": self.cart_attributes,
            "order": self.order_attributes,
            "customer": self.customer_attributes,
        }
        role = self.role_of(instance)
        customer = instance if role == "customer" else self.customer_of(instance)
        if customer is not None and not self.may_be_sent(customer):
            return {}
        with naming(instance):
            return read(instance, mapping[role])

    def costs(self, cart_or_order: Any, currency: str) -> dict[str, Decimal]:
        """Return `additional_costs` as exact amounts in major units; ``None`` is left out."""
        costs = self.additional_costs(cart_or_order).items()
        with naming(cart_or_order):
            return {
                name: values.price(cost, currency, self.price_unit)
                for name, cost in costs
                if cost is not None
            }

    def returned(self, order: Any) -> dict[str, int]:
        """Return `returned_quantities` in whole units; lines of which nothing came back are out."""
        with naming(order):
            found = {
                str(key): values.quantity(units)
                for key, units in self.returned_quantities(order).items()
                if units is not None
            }
        return {key: units for key, units in found.items() if units}

    # Where it is: derived from the attributes.

    @property
    def cart_model(self) -> type[models.Model]:
        return apps.get_model(self.cart)

    @property
    def order_model(self) -> type[models.Model] | None:
        return apps.get_model(self.order) if self.order else None

    @property
    def customer_model(self) -> type[models.Model]:
        for model, path in (
            (self.cart_model, self.cart_customer),
            (self.order_model, self.order_customer),
        ):
            found = paths.model_at(model, path) if model and path else None
            if found is not None:
                return found
        return get_user_model()

    @property
    def is_one_model(self) -> bool:
        """Whether the order is the cart, at a later status."""
        return bool(self.order) and self.order.lower() == self.cart.lower()

    def wrong_model(self) -> str:
        """Say which of ``cart`` and ``order`` names no model; an empty string if both do."""
        for role in ("cart", "order"):
            name = getattr(self, role)
            try:
                self.model(role)
            except (LookupError, ValueError):
                return f"{role} = {name!r} names no model."
        return ""

    def model(self, role: str) -> type[models.Model] | None:
        """Return the model of ``"cart"``, ``"order"`` or ``"customer"``."""
        model: type[models.Model] | None = getattr(self, f"{role}_model")
        return model

    def label(self, role: str) -> str:
        """Return the model's label as it stands in aggregate keys."""
        model = self.model(role)
        return model._meta.label_lower if model else ""

    def role_of(self, instance: Any) -> str:
        """Return ``"cart"``, ``"order"``, ``"customer"`` or an empty string."""
        for role in ("cart", "order", "customer"):
            model = self.model(role)
            if model is not None and isinstance(instance, model):
                return role
        return ""

    def key(self, role: str, pk: Any) -> str:
        """Return the aggregate key, such as ``cart:shop.cart:5``."""
        return f"{role}:{self.label(role)}:{pk}"

    def find(self, key: str, using: str | None = None) -> Any:
        """Return the row behind an aggregate key, or ``None`` if it is gone."""
        role, _label, pk = key.split(":", 2)
        model = self.model(role)
        if model is None:
            return None
        rows = model._base_manager.using(using).filter(pk=pk)
        path = self._customer_path(role)
        joins = paths.joins(model, [f"{path}.pk"]) if path else []
        return (rows.select_related(*joins) if joins else rows).first()

    def _customer_path(self, role: str) -> str:
        if role == "order":
            return self.order_customer or self.cart_customer
        return self.cart_customer if role == "cart" else ""

    def customer_of(self, cart_or_order: Any) -> Any:
        """Return the customer, or ``None`` for a guest."""
        path = self._customer_path(self.role_of(cart_or_order))
        with naming(cart_or_order):
            return paths.resolve(cart_or_order, path) if path else None

    def known_customer_of(self, cart_or_order: Any) -> Any:
        """Return the customer, or ``None`` for guests and those who may not be sent."""
        customer = self.customer_of(cart_or_order)
        return customer if customer is not None and self.may_be_sent(customer) else None

    def cart_pk_of(self, order: Any) -> Any:
        """Return the key of the cart an order came from without a query, or ``None``."""
        if self.is_one_model:
            return order.pk
        field = paths.field_at(type(order), self.order_cart) if self.order_cart else None
        attname = getattr(field, "attname", "")
        return order.__dict__.get(attname) if attname else None

    def created(self, order: Any) -> datetime | None:
        """Return when the order was made, or ``None`` where the shop does not say."""
        name = self.order_created or created_field(type(order))
        value = paths.resolve(order, name) if name else None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time.max)  # in doubt it is news
        if isinstance(value, datetime) and timezone.is_naive(value):
            return timezone.make_aware(value)
        return value if isinstance(value, datetime) else None


@contextmanager
def naming(instance: models.Model) -> Iterator[None]:
    """Name the row of a value that cannot be sent. Raises `SnapshotError` for a `ValueError`."""
    try:
        yield
    except ValueError as error:
        raise SnapshotError(f"{instance._meta.label} {instance.pk}: {error}") from error


def flat(mapping: Paths) -> Iterable[str]:
    """Yield every path of an item mapping, those of its attributes too."""
    for value in mapping.values():
        if isinstance(value, str):
            yield value
        elif not callable(value):
            yield from flat(value)


def read(instance: Any, mapping: Paths) -> dict[str, Any]:
    """Read a dict of paths, or of functions of the row; what is ``None`` is left out.

    Raises `ValueError` that names the attribute of a value which cannot be sent.
    """
    found = {name: _read_one(instance, name, path) for name, path in mapping.items()}
    return {name: value for name, value in found.items() if value is not None}


def _read_one(instance: Any, name: str, path: Any) -> Any:
    value = path(instance) if callable(path) else paths.resolve(instance, path)
    try:
        return values.attribute(value)
    except ValueError as error:
        where = "" if callable(path) else f" ({path!r})"
        raise ValueError(f"attribute {name!r}{where} {error}") from None


def created_field(model: type[models.Model]) -> str:
    """Return the name of the one field that is filled with the time of creation."""
    found = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, models.DateTimeField)
        and (field.auto_now_add or field.default is timezone.now)
    ]
    return found[0] if len(found) == 1 else ""
