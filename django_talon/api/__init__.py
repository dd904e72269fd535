"""The endpoints for storefronts, on Django REST framework.

``path("talon/", include("django_talon.api.urls"))``
"""
