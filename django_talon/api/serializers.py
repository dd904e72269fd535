"""What the endpoints take and give. Amounts are text with the currency's digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from django_talon.effects.answer import Answer
from django_talon.models import CodeEntry
from django_talon.shop.values import digits


class CodeSerializer(serializers.Serializer[Any]):
    """A code as the shopper typed it in; blanks around it do not count."""

    code = serializers.CharField(max_length=CodeEntry._meta.get_field("code").max_length)


class NamedDiscountSerializer(serializers.Serializer[Any]):
    """What one rule takes off."""

    name = serializers.CharField()
    amount = serializers.SerializerMethodField()

    def get_amount(self, discount: Any) -> str:
        return amount(discount.amount, self.context["currency"])


class RejectionSerializer(serializers.Serializer[Any]):
    """A code that does not count, with Talon.One's reason and a text for the shopper."""

    code = serializers.CharField()
    reason = serializers.CharField()
    message = serializers.CharField()


class NotificationSerializer(serializers.Serializer[Any]):
    """A text that a campaign wants the shopper to see."""

    kind = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()


class FreeItemSerializer(serializers.Serializer[Any]):
    """Something a campaign gives away; the shop decides whether it goes into the cart."""

    sku = serializers.CharField()
    name = serializers.CharField()


class AnswerSerializer(serializers.Serializer[Answer]):
    """What the visitor's cart costs now."""

    currency = serializers.CharField()
    subtotal = serializers.SerializerMethodField()
    additional_costs = serializers.SerializerMethodField()
    discount = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    answered = serializers.BooleanField()
    discounts = NamedDiscountSerializer(many=True)
    lines = serializers.SerializerMethodField()
    accepted = serializers.ListField(child=serializers.CharField())
    rejected = RejectionSerializer(many=True)
    notifications = NotificationSerializer(many=True)
    free_items = FreeItemSerializer(many=True)

    def get_subtotal(self, answer: Answer) -> str:
        return amount(answer.subtotal, answer.currency)

    def get_additional_costs(self, answer: Answer) -> str:
        return amount(answer.additional_costs, answer.currency)

    def get_discount(self, answer: Answer) -> str:
        return amount(answer.discount, answer.currency)

    def get_total(self, answer: Answer) -> str:
        return amount(answer.total, answer.currency)

    def get_lines(self, answer: Answer) -> list[dict[str, str]]:
        return [
            {
                "key": key,
                "discount": amount(line.discount, answer.currency),
                "total": amount(line.total, answer.currency),
            }
            for key, line in answer.lines.items()
        ]


def amount(value: Decimal, currency: str) -> str:
    """Return an amount as text, with as many decimal places as its currency has."""
    return f"{value:.{digits(currency)}f}"
