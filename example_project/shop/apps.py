from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "example_project.shop"
    label = "shop"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        from example_project.shop.carts import merge_at_login

        user_logged_in.connect(merge_at_login, dispatch_uid="shop.merge_at_login")
