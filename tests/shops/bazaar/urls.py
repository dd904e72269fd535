from django.urls import path

from tests.shops.bazaar import views

urlpatterns = [
    path("", views.page, name="bazaar-page"),
    path("add/<sku>/", views.add),
    path("quantities/", views.quantities),
    path("voucher/", views.add_voucher),
    path("voucher/remove/", views.remove_voucher),
    path("later/<int:line>/", views.save_for_later),
    path("login/", views.sign_in),
    path("register/", views.register),
    path("checkout/", views.checkout_step),
    path("order/", views.place_order),
    path("back/", views.back_from_bank),
    path("thanks/", views.thanks, name="bazaar-thanks"),
    path("orders/<int:order>/status/", views.change_status),
    path("orders/<int:order>/happen/", views.happen),
    path("delete/", views.delete_profile),
]
