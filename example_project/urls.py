"""The shop, its admin, and the two endpoints of django-talon."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from example_project.shop import views

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("cart/", views.cart, name="cart"),
    path("cart/add/", views.add_to_cart, name="add-to-cart"),
    path("cart/items/<int:pk>/", views.change_item, name="change-item"),
    path("cart/coupons/", views.enter_coupon, name="enter-coupon"),
    path("cart/coupons/remove/", views.remove_coupon, name="remove-coupon"),
    path("checkout/", views.checkout, name="checkout"),
    path("orders/", views.orders, name="orders"),
    path("orders/<int:pk>/", views.order, name="order"),
    path("orders/<int:pk>/cancel/", views.cancel_order, name="cancel-order"),
    path("login/", LoginView.as_view(template_name="shop/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("talon/", include("django_talon.api.urls")),
    path("admin/", admin.site.urls),
]
