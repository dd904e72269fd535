"""Talon.One in Django's admin: what waits, what failed, and the data of customers."""

from django_talon.admin import outbox, sessions
from django_talon.admin.customers import TalonCustomerAdminMixin

__all__ = ["TalonCustomerAdminMixin", "outbox", "sessions"]
