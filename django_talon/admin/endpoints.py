"""Endpoints: pause and resume the calls to an Application, test its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from django_talon.admin import asking
from django_talon.admin.links import list_url
from django_talon.admin.records import RecordAdmin, demand, note
from django_talon.conf import Application, TalonConfigurationError, application
from django_talon.models import Endpoint, Status
from django_talon.outbox import connection, endpoint


@admin.register(Endpoint)
class EndpointAdmin(RecordAdmin):
    """Which Applications answer, and which do not. What is done to them, the status page offers."""

    list_display = (
        "application",
        "base_url",
        "health",
        "reason",
        "failures",
        "until",
        "changed_at",
        "stopped_at",
        "stopped_by",
    )
    list_filter = ("health", ("stopped_at", admin.EmptyFieldListFilter))
    ordering = ("application", "key")
    fields = (*list_display, "stopped_reason")

    def get_urls(self) -> list[URLPattern]:
        acts: dict[str, Callable[..., HttpResponse]] = {
            "pause": self.pause,
            "resume": self.resume,
            "test": self.test_connection,
        }
        ours = [
            path(
                f"<path:alias>/{name}/",
                self.admin_site.admin_view(act),
                name=f"django_talon_endpoint_{name}",
            )
            for name, act in acts.items()
        ]
        return [*ours, *super().get_urls()]

    def pause(self, request: HttpRequest, alias: str) -> HttpResponse:
        """Ask, then stop the calls to an Application until somebody resumes them."""
        if request.method == "POST" and not asking.is_confirmed(request):
            demand(request, "pause_endpoint")
            return self._ask_to_pause(request, alias)
        return self._act(request, alias, "pause", self._pause)

    def _ask_to_pause(self, request: HttpRequest, alias: str) -> HttpResponse:
        return asking.ask(
            self,
            request,
            title=gettext("Pause the calls to Application “%s”?") % alias,
            consequences=[
                gettext("Talon.One hears of nothing until somebody resumes the calls."),
                gettext("Changes wait in the outbox. Carts are not evaluated meanwhile."),
                gettext("A call that is under way is not called back."),
            ],
            form=asking.OptionalReasonForm(),
            yes=gettext("Yes, pause"),
            back=self._back(request),
        )

    def resume(self, request: HttpRequest, alias: str) -> HttpResponse:
        """Let the calls to an Application go on."""
        return self._act(request, alias, "resume", self._resume)

    @transaction.non_atomic_requests
    def test_connection(self, request: HttpRequest, alias: str) -> HttpResponse:
        """Ask an Application something harmless and tell how long it took."""
        return self._act(request, alias, "test", self._test)

    def _act(
        self,
        request: HttpRequest,
        alias: str,
        name: str,
        act: Callable[[HttpRequest, Application], tuple[int, str]],
    ) -> HttpResponse:
        demand(request, f"{name}_endpoint")
        return require_POST(self._acted)(request, alias, act)

    def _acted(self, request: HttpRequest, alias: str, act: Any) -> HttpResponse:
        try:
            level, text = act(request, application(alias))
        except TalonConfigurationError as error:
            level, text = messages.ERROR, str(error)
        self.message_user(request, text, level)
        return HttpResponseRedirect(self._back(request))

    def _back(self, request: HttpRequest) -> str:
        if request.user.has_perm("django_talon.view_status"):
            return list_url(self.admin_site, Status) or list_url(self.admin_site, Endpoint)
        return reverse("admin:index", current_app=self.admin_site.name)

    def _pause(self, request: HttpRequest, app: Application) -> tuple[int, str]:
        reason = request.POST.get("reason", "").strip()
        if not endpoint.pause(app, request.user.get_username(), reason):
            text = gettext("The calls to Application “%s” were paused already.")
            return messages.WARNING, text % app.alias
        self._note(request, app, f"Paused: {reason}" if reason else "Paused")
        text = gettext("The calls to Application “%s” are paused until somebody resumes them.")
        return messages.SUCCESS, text % app.alias

    def _resume(self, request: HttpRequest, app: Application) -> tuple[int, str]:
        paused = list(Endpoint.objects.filter(application=app.alias).exclude(stopped_at=None))
        if not endpoint.resume(app):
            text = gettext("The calls to Application “%s” were not paused.")
            return messages.WARNING, text % app.alias
        note(request, paused, "Resumed")
        text = gettext("The calls to Application “%s” go on.")
        return messages.SUCCESS, text % app.alias

    def _test(self, request: HttpRequest, app: Application) -> tuple[int, str]:
        found = connection.test(app)
        self._note(request, app, "Tested the connection")
        values = {"application": app.alias, "milliseconds": found.milliseconds}
        if found.error is None:
            text = gettext("Application “%(application)s” answered in %(milliseconds)d ms.")
            return messages.SUCCESS, text % values
        text = gettext(
            "Application “%(application)s” gave no good answer in %(milliseconds)d ms: %(error)s"
        )
        return messages.ERROR, text % {**values, "error": connection.explain(found.error)}

    def _note(self, request: HttpRequest, app: Application, message: str) -> None:
        row = endpoint.row_of(app) or Endpoint(key=app.endpoint, application=app.alias)
        note(request, [row], message)
