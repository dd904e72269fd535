"""A small shop whose carts, orders and customers Talon.One always knows."""

from example_project.celery import app as celery_app

__all__ = ["celery_app"]
