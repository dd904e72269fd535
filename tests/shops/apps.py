from django.apps import AppConfig


class ShopsConfig(AppConfig):
    name = "tests.shops"
    label = "shops"
