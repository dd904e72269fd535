"""The example's settings, with nothing noticing the shop's changes: the demo must fail here."""

from django.apps import AppConfig

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS


class WithoutReceivers(AppConfig):
    name = "tests.demo_without_receivers"
    label = "without_receivers"

    def ready(self):
        from django_talon.outbox.receivers import disconnect_all

        disconnect_all()


INSTALLED_APPS = [*INSTALLED_APPS, "tests.demo_without_receivers.WithoutReceivers"]
