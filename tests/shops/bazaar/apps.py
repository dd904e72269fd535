from django.apps import AppConfig


class BazaarConfig(AppConfig):
    name = "tests.shops.bazaar"
    label = "bazaar"
