"""Which carts and orders Talon.One knows: their timeline, what is sent, what came back."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from django_talon.admin import timeline
from django_talon.admin.links import change_url, link_to_key
from django_talon.admin.records import RecordAdmin, demand, may, note
from django_talon.client import TalonError, encode
from django_talon.conf import TalonConfigurationError
from django_talon.models import CodeEntry, CustomerSession, Evaluation
from django_talon.outbox.connection import explain
from django_talon.outbox.preview import NothingToAsk, Preview, dry_run, preview, send_now
from django_talon.shop.snapshots import SnapshotError

#: Ledger rows and codes that the page lists.
LEDGER = 200

#: What may keep a row from being rendered; each says why.
PROBLEMS = (SnapshotError, LookupError, TalonConfigurationError)


@admin.register(CustomerSession)
class CustomerSessionAdmin(RecordAdmin):
    """The customer sessions, newest first; what is sent of one, and what came back."""

    change_form_template = "admin/django_talon/session.html"
    list_display = (
        "integration_id",
        "application",
        "state",
        "cart_link",
        "order_link",
        "profile_id",
        "sent_at",
        "drift_at",
    )
    list_filter = ("state", "application", ("drift_at", admin.EmptyFieldListFilter))
    search_fields = ("integration_id", "cart", "order", "profile_id")
    ordering = ("-id",)
    fields = (*list_display, "closed_total", "drift_total", "created_at")
    readonly_fields = ("created_at", "cart_link", "order_link")

    @admin.display(description=_("cart"), ordering="cart")
    def cart_link(self, session: CustomerSession) -> str:
        return link_to_key(self.admin_site, session.cart)

    @admin.display(description=_("order"), ordering="order")
    def order_link(self, session: CustomerSession) -> str:
        return link_to_key(self.admin_site, session.order)

    def get_urls(self) -> list[URLPattern]:
        acts = {"payload": self.payload, "dry-run": self.dry_run, "send": self.send}
        ours = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(act)),
                name=f"django_talon_customersession_{name.replace('-', '_')}",
            )
            for name, act in acts.items()
        ]
        return [*ours, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show timeline, effects, codes and what may be done."""
        session = self.get_object(request, object_id)
        more = self._story(request, session) if session is not None else {}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    def _story(self, request: HttpRequest, session: CustomerSession) -> dict[str, Any]:
        evaluation = Evaluation.objects.filter(session=session).first()
        codes = CodeEntry.objects.filter(cart=session.order or session.cart).order_by("pk")
        return {
            "timeline": timeline.timeline(session),
            "evaluation": evaluation,
            "effects": timeline.effect_lines(timeline.stored_effects(evaluation.effects))
            if evaluation
            else [],
            "ledger": session.effect_records.order_by("pk")[:LEDGER],
            "codes": codes[:LEDGER],
            "may_see": may(request, "view_payload"),
            "may_ask": may(request, "dry_run_customersession"),
            "may_send": may(request, "send_customersession"),
        }

    def payload(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what would be sent now."""
        demand(request, "view_customersession", "view_payload")
        session = get_object_or_404(CustomerSession, pk=pk)
        try:
            found = preview(session.order or session.cart)
        except (TalonError, *PROBLEMS) as error:
            return self._back(request, session, messages.ERROR, str(error))
        note(request, [session], "Looked at what would be sent")
        return self._page(request, session, gettext("What would be sent now"), preview=found)

    @transaction.non_atomic_requests
    def dry_run(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask Talon.One dry and show what it would answer."""
        demand(request, "view_customersession", "dry_run_customersession")
        session = get_object_or_404(CustomerSession, pk=pk)
        try:
            found = dry_run(session.order or session.cart)
        except TalonError as error:
            return self._back(request, session, messages.ERROR, explain(error))
        except (NothingToAsk, *PROBLEMS) as error:
            return self._back(request, session, messages.WARNING, str(error))
        note(request, [session], "Asked Talon.One dry")
        title = gettext("What Talon.One would answer")
        shown = found.asked if may(request, "view_payload") else None
        effects = timeline.effect_lines(found.effects)
        return self._page(
            request, session, title, preview=shown, answer=found.answer, effects=effects
        )

    @transaction.non_atomic_requests
    def send(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send the session at once."""
        demand(request, "view_customersession", "send_customersession")
        session = get_object_or_404(CustomerSession, pk=pk)
        note(request, [session], "Sent now")
        outcome = send_now(session)
        level, text = {
            "sent": (messages.SUCCESS, gettext("The session was sent to Talon.One.")),
            "nothing": (messages.INFO, gettext("There was nothing to send.")),
            "waits": (messages.WARNING, gettext("It waits in the outbox: %s.") % outcome.why),
            "failed": (messages.ERROR, gettext("It failed: %s") % outcome.why),
        }[outcome.result]
        return self._back(request, session, level, text)

    def _back(
        self, request: HttpRequest, session: CustomerSession, level: int, text: str
    ) -> HttpResponse:
        self.message_user(request, text, level)
        return HttpResponseRedirect(change_url(self.admin_site, CustomerSession, session.pk))

    def _page(
        self, request: HttpRequest, session: CustomerSession, title: str, **context: Any
    ) -> HttpResponse:
        found = context.get("preview")
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "admin/django_talon/session_result.html",
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "media": self.media,
                "session": session,
                "body": shown_body(found),
                **context,
            },
        )


def shown_body(found: Preview | None) -> str:
    """Return the body of a request as readable JSON, with exact amounts."""
    if found is None or found.body is None:
        return ""
    return msgspec.json.format(encode(dict(found.body)), indent=2).decode()
