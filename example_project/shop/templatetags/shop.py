from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def money(amount: Decimal) -> str:
    """Write an amount in EUR, such as ``€1,234.50``."""
    return f"€{amount:,.2f}"


@register.filter
def of_item(lines: dict[str, object], pk: int) -> object:
    """Look up an answer's line by the primary key of its cart item."""
    return lines[str(pk)]
