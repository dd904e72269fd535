"""``evaluate/``, ``coupons/`` and ``coupons/<code>/``."""

from django.urls import path

from django_talon.api.views import CouponsView, CouponView, EvaluateView

app_name = "talon"

urlpatterns = [
    path("evaluate/", EvaluateView.as_view(), name="evaluate"),
    path("coupons/", CouponsView.as_view(), name="coupons"),
    # A code may hold a slash.
    path("coupons/<path:code>/", CouponView.as_view(), name="coupon"),
]
