"""What the package does for people who are no ``auth.User``; ends with what was found, as JSON."""

from __future__ import annotations

import json
from io import StringIO

import django


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.urls import reverse

    from django_talon.models import Erasure
    from django_talon.outbox import delivery
    from example_project.shop.models import Cart, CartItem, Product
    from tests.people.models import Person

    call_command("migrate", verbosity=0)
    call_command("check")
    ada = Person.objects.create(mail="ada@shop.example")
    root = Person.objects.create_superuser("root@shop.example", "secret")
    call_command("talon_backfill", "customers", verbosity=0, stdout=StringIO())
    mug = Product.objects.create(sku="mug", name="Mug", description="", price="10.00")
    CartItem.objects.create(cart=Cart.objects.create(user=ada), product=mug, quantity=1)
    delivery.drain()

    browser = Client()
    browser.force_login(root)
    pages = {}
    for name in ("change", "talon_inventory"):
        url = reverse(f"admin:people_person_{name}", args=[ada.pk])
        pages[name] = browser.get(url).status_code
    erase = reverse("admin:people_person_talon_erase_one", args=[ada.pk])
    pages["asked"] = browser.get(erase).status_code
    pages["erased"] = browser.post(erase, follow=True).status_code
    erasure = Erasure.objects.get()
    delivery.drain()
    whose = {"ada": str(ada.pk), "erasure of": erasure.profile_id, "asked by": erasure.operator}
    print(json.dumps({**pages, **whose}))


if __name__ == "__main__":
    main()
