"""What would be sent of a cart, an order or a customer now: shown, asked dry, or sent at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from django_talon.conf import Application, application, conf, route
from django_talon.effects import whole
from django_talon.effects.answer import Answer, read_answer
from django_talon.models import (
    CodeEntry,
    CustomerProfile,
    CustomerSession,
    DeadLetter,
    DeliveryLog,
    Erasure,
    OutboxRow,
)
from django_talon.models.identity import SessionState
from django_talon.outbox import calls, delivery, dialects, endpoint, rows, sessions
from django_talon.outbox.calls import DELIVERED
from django_talon.outbox.profile_steps import profile_of
from django_talon.outbox.rows import Row
from django_talon.outbox.session_steps import is_anothers, is_ordered
from django_talon.outbox.sessions import Rendered
from django_talon.outbox.subjects import Subject, is_past, is_unwanted_guest, subject_of
from django_talon.shop.fingerprint import fingerprint
from django_talon.shop.snapshots import SessionSnapshot

SESSION = {True: "update_customer_session", False: "update_customer_session_v2"}
PROFILE = {True: "update_customer_profile", False: "update_customer_profile_v2"}


class NothingToAsk(Exception):
    """There is no request to ask a dry question with. The message says why."""


@dataclass(frozen=True)
class Preview:
    """A request that was not sent. It may hold personal data."""

    key: str
    application: str = ""
    #: Talon.One's name of the call; empty if nothing would be sent.
    operation: str = ""
    integration_id: str = ""
    body: Mapping[str, Any] | None = None
    #: The same in the words of today's API, where the Application speaks those of 2020.
    meant: Mapping[str, Any] | None = None
    #: Why nothing would be sent, or what else there is to know.
    note: str = ""
    snapshot: SessionSnapshot | None = None

    @property
    def is_session(self) -> bool:
        return self.snapshot is not None


def preview(key: str) -> Preview:
    """Return what would be sent of an aggregate such as ``cart:shop.cart:5``.

    Nothing is sent and nothing stored. Raises `SnapshotError` for a row that
    cannot be sent, `LookupError` if no adapter names its model.
    """
    subject = subject_of(key)
    if subject.instance is None:
        return Preview(key, note=_("It is gone from the shop."))
    if key.startswith("customer:"):
        return _of_customer(subject)
    return _of_cart(subject) if key.startswith("cart:") else _of_order(subject)


def _of_customer(subject: Subject) -> Preview:
    app = application(route(subject.instance))
    snapshot = profile_of(subject.adapter, subject.instance)
    if Erasure.standing(app.environment, snapshot.profile_id):
        return Preview(subject.key, note=_("This customer is erased: nothing is sent."))
    known = CustomerProfile.objects.filter(
        environment=app.environment, profile_id=snapshot.profile_id
    ).first()
    has_it = known is not None and known.fingerprint == fingerprint(snapshot)
    return Preview(
        key=subject.key,
        application=app.alias,
        operation=calls.operation(PROFILE[dialects.is_old(app)]),
        integration_id=snapshot.profile_id,
        body={"attributes": dict(snapshot.attributes)},
        note=_("Talon.One has this already.") if has_it else "",
    )


def _of_cart(subject: Subject) -> Preview:
    session = sessions.of_cart(subject.key)
    if is_past(subject):
        return _of_order(subject)
    if not subject.adapter.is_active(subject.instance):
        return Preview(subject.key, note=_("The cart is not active: its session is cancelled."))
    if is_ordered(subject, session):
        return Preview(subject.key, note=_("The cart was ordered: the order is sent instead."))
    if session is not None and (session.is_over or session.order):
        session = None
    if session is None and is_unwanted_guest(subject):
        return Preview(subject.key, note=_("Guests are not sent (GUESTS is off)."))
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, cart=subject.key)
    return _request(subject, known, app, "open")


def _of_order(subject: Subject) -> Preview:
    session = _session_of_order(subject)
    state = subject.wanted()
    if session is None and sessions.is_history(subject.adapter, subject.instance):
        return Preview(subject.key, note=_("The order is older than SYNC_ORDERS_SINCE."))
    app = sessions.application_of(session, subject.instance)
    known = session or sessions.new(app.alias, order=subject.key)
    if known.is_over and state != "cancelled":
        return Preview(subject.key, app.alias, note=_("The session is over: nothing is sent."))
    if state == "cancelled":
        return _bare(subject, known, app)
    return _request(subject, known, app, "closed" if state == "closed" else "open")


def _session_of_order(subject: Subject) -> CustomerSession | None:
    """Return the session that the order has or would take over; nothing is taken here."""
    found = CustomerSession.objects.filter(order=subject.key).order_by("-pk").first()
    pk = subject.adapter.cart_pk_of(subject.instance)
    if found is not None or pk is None:
        return found
    session = sessions.of_cart(subject.adapter.key("cart", pk))
    return None if session is None or session.is_over else session


def _bare(subject: Subject, session: CustomerSession, app: Application) -> Preview:
    is_told = session.state in {SessionState.CANCELLED, SessionState.NEW}
    return Preview(
        key=subject.key,
        application=app.alias,
        operation="" if is_told else _operation(app),
        integration_id=session.integration_id,
        body=None if is_told else _worded(app, sessions.bare("cancelled")),
        note=_("There is nothing to cancel at Talon.One.") if is_told else "",
    )


def _request(subject: Subject, session: CustomerSession, app: Application, state: str) -> Preview:
    rendered = sessions.render(subject.adapter, subject.instance, session, app)
    meant = sessions.request(rendered.snapshot, state, session.attribute_kinds)
    return Preview(
        key=subject.key,
        application=app.alias,
        operation=_operation(app),
        integration_id=_id_for(rendered, app),
        body=_worded(app, meant),
        meant=meant,
        note=_note(rendered, state),
        snapshot=rendered.snapshot,
    )


def _operation(app: Application) -> str:
    return calls.operation(SESSION[dialects.is_old(app)])


def _worded(app: Application, meant: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a body in the words of the API that an Application speaks."""
    return dialects.session_of_2020(meant["customerSession"]) if dialects.is_old(app) else meant


def _id_for(rendered: Rendered, app: Application) -> str:
    """Return the session's id; a new one where it cannot follow its customer."""
    session = sessions.new(app.alias) if is_anothers(rendered) else rendered.session
    return session.integration_id


def _note(rendered: Rendered, state: str) -> str:
    if rendered.session.pk is None and not rendered.snapshot.items:
        return _("The cart is empty: it gets a session once something is in it.")
    if is_anothers(rendered):
        return _("The customer has changed: the old session is cancelled and a new one opened.")
    if state == rendered.session.state and not rendered.is_news:
        return _("Talon.One has this already.")
    return ""


@dataclass(frozen=True)
class DryRun:
    """What Talon.One would answer. Nothing was stored, there or here."""

    asked: Preview
    answer: Answer
    effects: Sequence[Any]


def dry_run(key: str) -> DryRun:
    """Ask Talon.One with ``dry=true`` and return what it would answer.

    Raises `NothingToAsk`, `TalonError`, and what `preview` raises.
    """
    asked = preview(key)
    if asked.meant is None or asked.snapshot is None:
        raise NothingToAsk(asked.note or _("Only carts and orders can be asked about."))
    app = application(asked.application)
    if endpoint.is_stopped(app):
        raise NothingToAsk(_("An operator paused the calls to this Application."))

    def call(app: Application, method: str, *args: Any, **options: Any) -> Any:
        return calls.call(app, key, method, *args, **options)

    effects = whole(dialects.update_session(call, app, asked.integration_id, asked.meant, dry=True))
    refused = CodeEntry.objects.filter(cart=key, status=CodeEntry.Status.REJECTED)
    answer = read_answer(
        asked.snapshot,
        effects,
        app.currency,
        refused=dict(refused.values_list("code", "reason")),
        answered=True,
    )
    return DryRun(asked, answer, effects)


@dataclass(frozen=True)
class Sending:
    """What came of an attempt to send a session at once."""

    #: ``"sent"``, ``"nothing"``, ``"waits"`` or ``"failed"``.
    result: str
    why: str = ""


def send_now(session: CustomerSession) -> Sending:
    """Send a session at once, also if nothing seems to have changed.

    The rows of its lane keep their order, so older ones are sent before it.
    """
    key = session.order or session.cart
    if not conf.ENABLED:
        return Sending("waits", _("TALON_ONE['ENABLED'] is off"))
    if not session.is_over:
        CustomerSession.objects.filter(pk=session.pk).update(fingerprint="")
    lane = session.cart or session.order
    rows.enqueue([Row(lane=lane, aggregate=key, application=session.application)])
    call, letter = _last_call(session), _last_letter(lane)
    was_served = delivery.serve_lane(lane)
    if _last_call(session) != call:
        return Sending("sent")
    return _unsent(lane, was_served, letter)


def _last_call(session: CustomerSession) -> int | None:
    calls_of_it = DeliveryLog.objects.filter(session_id=session.integration_id, outcome=DELIVERED)
    return calls_of_it.order_by("-pk").values_list("pk", flat=True).first()


def _last_letter(lane: str) -> DeadLetter | None:
    return DeadLetter.objects.filter(lane=lane).order_by("-pk").first()


def _unsent(lane: str, was_served: bool, before: DeadLetter | None) -> Sending:
    if OutboxRow.objects.filter(lane=lane).exists():
        if not was_served:
            return Sending("waits", _("a worker is at it, or its lane waits to try again"))
        return Sending("waits", _("its Application is resting, or something has to settle first"))
    letter = _last_letter(lane)
    return Sending("failed", letter.reason) if letter and letter != before else Sending("nothing")
