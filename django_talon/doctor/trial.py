"""A trial: the newest cart of each adapter, sent as a question that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from django_talon.client import TalonError, TalonRejected
from django_talon.conf import TalonConfigurationError
from django_talon.doctor.findings import Finding, of
from django_talon.models import DeadLetter
from django_talon.outbox import endpoint, sessions
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
    rendered = sessions.render(adapter, cart, sessions.new(app.alias), app)
    body = sessions.request(rendered.snapshot, "open")
    client = endpoint.client(endpoint.in_force(app))
    try:
        client.update_customer_session_v2(rendered.session.integration_id, body, dry=True)
    except TalonRejected as error:
        pointers = [[detail.pointer, detail.title] for detail in error.errors]
        letter = DeadLetter(
            operation=error.operation, aggregate=adapter.key("cart", cart.pk), pointers=pointers
        )
        for complaint in complaints(letter):
            what = f"Talon.One refuses the newest cart of {type(adapter).__name__}: {complaint}"
            do = "Create it in the Campaign Manager, or mend or take out the entry in talon.py."
            yield Finding("django_talon.E125", what, do)
