"""Sessions of carts that nobody touches any more are cancelled, if the shop wants that."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from django_talon.conf import conf
from django_talon.models import CustomerSession, OutboxRow
from django_talon.models.identity import SessionState
from django_talon.models.outbox import Kind
from django_talon.outbox import answers, clock, sessions
from django_talon.outbox.rows import Row, enqueue
from django_talon.outbox.session_steps import cancel
from django_talon.outbox.trip import Trip

#: Rows of one INSERT.
BATCH = 500


def expire() -> int:
    """Put the carts that are older than ``CART_EXPIRES_DAYS`` into the outbox; return how many."""
    before = _before()
    if before is None:
        return 0
    count = last = 0
    while batch := list(_untouched(before).filter(pk__gt=last).order_by("pk")[:BATCH]):
        enqueue(
            Row(
                lane=session.cart,
                aggregate=session.cart,
                kind=Kind.EXPIRE,
                application=session.application,
                priority=1,
            )
            for session in batch
        )
        count, last = count + len(batch), batch[-1].pk
    return count


def _before() -> datetime | None:
    days = conf.CART_EXPIRES_DAYS
    return None if days is None else clock.now() - timedelta(days=days)


def _untouched(before: datetime) -> QuerySet[CustomerSession]:
    waiting = OutboxRow.objects.filter(lane=OuterRef("cart"))
    return CustomerSession.objects.filter(
        ~Exists(waiting), state=SessionState.OPEN, order="", sent_at__lt=before
    ).exclude(cart="")


def deliver_expiry(trip: Trip) -> None:
    """Cancel the session of a cart, unless somebody has touched it meanwhile."""
    session, before = sessions.of_cart(trip.row.aggregate), _before()
    is_open = session is not None and session.state == SessionState.OPEN and not session.order
    if session is not None and is_open and before and (session.sent_at or before) < before:
        app = sessions.application_of(session, None)
        with trip.customer(app, session.profile_id):
            cancel(trip, app, session)
    answers.forget(trip.ids)
