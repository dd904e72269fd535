"""The page that asks before something is done, and where that matters, why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin.records import RecordAdmin

#: Is in the form of the page that asks, and in no other.
CONFIRM = "talon_confirm"


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        help_text=_("Kept with the record, so please write no personal data."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
    )


class OptionalReasonForm(ReasonForm):
    """Why something is done, where nobody has to say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
        self.fields["reason"].label = _("Reason (optional)")


def is_confirmed(request: HttpRequest) -> bool:
    """Whether somebody was asked and said yes."""
    return CONFIRM in request.POST


def ask(
    model_admin: RecordAdmin,
    request: HttpRequest,
    *,
    title: str,
    consequences: Iterable[str],
    yes: str,
    back: str,
    form: forms.Form | None = None,
    hidden: Iterable[tuple[str, Any]] = (),
    count: int | None = None,
) -> HttpResponse:
    """Return the page that asks. Yes posts the form and what is hidden to the same address."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form or forms.Form(),
        "count": count,
        "consequences": consequences,
        "yes": yes,
        "hidden": [*hidden, (CONFIRM, "yes")],
        "back": back,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/django_talon/ask.html", context)


def ask_about(
    model_admin: RecordAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    *,
    action: str,
    form_class: type[forms.Form] = ReasonForm,
    **said: Any,
) -> HttpResponse | str:
    """Return the page that asks about the chosen rows, or the reason once it was confirmed.

    The page carries the selection as the list sent it: at most one page of
    keys, or "all that match", never thousands of hidden fields. Rows that came
    since are not in it; see `shown`.
    """
    form = form_class(request.POST if is_confirmed(request) else None)
    if form.is_bound and form.is_valid():
        return str(form.cleaned_data.get("reason", ""))
    newest = queryset.order_by("-pk").values_list("pk", flat=True).first()
    hidden = [
        *((helpers.ACTION_CHECKBOX_NAME, key) for key in _keys(request)),
        ("select_across", request.POST.get("select_across", "0")),
        ("action", action),
        ("talon_newest", newest or ""),
    ]
    return ask(
        model_admin,
        request,
        form=form,
        hidden=hidden,
        count=queryset.count(),
        back=request.get_full_path(),
        **said,
    )


def _keys(request: HttpRequest) -> list[str]:
    """Return the chosen keys; of "all that match" one, which the admin wants to see."""
    keys = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
    return keys[:1] if request.POST.get("select_across") == "1" else keys


def shown(request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows of a selection that were there when the page asked."""
    newest = request.POST.get("talon_newest", "")
    return queryset.filter(pk__lte=int(newest)) if newest.isdigit() else queryset


def discard(
    model_admin: RecordAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    give_up: Callable[[QuerySet[Any], str, str], Iterator[list[Any]]],
    *,
    title: str,
    consequences: list[str],
    done: Callable[[int], str],
    left: str,
) -> HttpResponse | None:
    """Ask for the reason, then give up the chosen rows and report both numbers."""
    queryset = shown(request, queryset)
    unheard = gettext(
        "Talon.One will not hear of these changes, unless the cart or order changes again."
    )
    answer = ask_about(
        model_admin,
        request,
        queryset,
        action="discard",
        title=title,
        consequences=[unheard, *consequences],
        yes=gettext("Yes, discard"),
    )
    if not isinstance(answer, str):
        return answer
    parts = give_up(queryset, request.user.get_username(), answer)
    noted = f"Discarded: {answer}"
    model_admin.carry_out(request, queryset, parts, noted=noted, done=done, left=left)
    return None
