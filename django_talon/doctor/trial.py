"""A trial: the newest cart of each adapter, sent as a question that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django_talon.client import TalonError, TalonRejected
from django_talon.conf import Application, TalonConfigurationError
from django_talon.doctor.findings import Finding, of
from django_talon.models import DeadLetter
from django_talon.outbox import dialects, endpoint, sessions
from django_talon.outbox.dialects import NotIn2020
from django_talon.outbox.mapping import complaints
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters
from django_talon.shop.snapshots import SnapshotError


def find() -> Iterator[Finding]:
    """Yield what Talon.One would refuse of the newest cart, asked with ``dry=true``."""
    for adapter in adapters():
        yield from of(f"The newest cart of {type(adapter).__name__}", _tried(adapter))


def _tried(adapter: Adapter) -> Iterator[Finding]:
    try:
        yield from _try(adapter)
    except SnapshotError as error:
        what = f"The newest cart of {type(adapter).__name__} cannot be sent: {error}"
        yield Finding("django_talon.E124", what, "Mend the path, or the row.")
    except (TalonError, TalonConfigurationError):
        return  # the examination of the endpoints says it


def _try(adapter: Adapter) -> Iterator[Finding]:
    cart = adapter.cart_model._base_manager.order_by("-pk").first()
    if cart is None:
        return
    app = sessions.application_of(None, cart)
    key = adapter.key("cart", cart.pk)
    rendered = sessions.render(adapter, cart, sessions.new(app.alias, cart=key), app)
    body = sessions.request(rendered.snapshot, "open")
    session_id = rendered.session.integration_id
    try:
        dialects.update_session(_ask, endpoint.in_force(app), session_id, body, dry=True)
    except NotIn2020 as error:
        do = "Change the cart, or let the Application speak the API of today."
        yield Finding("django_talon.E125", f"The newest cart cannot be told: {error}", do)
    except TalonRejected as error:
        pointers = [[detail.pointer, detail.title] for detail in error.errors]
        letter = DeadLetter(operation=error.operation, aggregate=key, pointers=pointers)
        for complaint in complaints(letter):
            what = f"Talon.One refuses the newest cart of {type(adapter).__name__}: {complaint}"
            do = "Create it in the Campaign Manager, or mend or take out the entry in talon.py."
            yield Finding("django_talon.E125", what, do)


def _ask(app: Application, method: str, *args: Any, **options: Any) -> Any:
    return getattr(endpoint.client(app), method)(*args, **options)
