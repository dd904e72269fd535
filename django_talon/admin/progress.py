"""How far backfills and the reconcile scan have come."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from django_talon.admin.records import RecordAdmin
from django_talon.models import Progress


@admin.register(Progress)
class ProgressAdmin(RecordAdmin):
    """The long runs, latest first."""

    list_display = ("run", "came_of_it", "started_at", "finished_at", "run_by")
    list_display_links = ("run",)
    list_filter = (("finished_at", admin.EmptyFieldListFilter),)
    ordering = ("-started_at", "name")
    fields = list_display
    readonly_fields = ("run", "came_of_it", "run_by")

    @admin.display(description=_("run"), ordering="name")
    def run(self, progress: Progress) -> str:
        return progress.name

    @admin.display(description=_("what came of it so far"))
    def came_of_it(self, progress: Progress) -> str:
        return ", ".join(f"{name}: {number}" for name, number in sorted(progress.counts.items()))

    @admin.display(description=_("process"), ordering="runner")
    def run_by(self, progress: Progress) -> str:
        return progress.runner
