"""Look up a code, see who holds it, reserve it for a customer, make a referral code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_talon.admin import asking
from django_talon.admin.links import link_to_key
from django_talon.admin.records import RecordAdmin, demand, may
from django_talon.conf import Application, application, applications, conf
from django_talon.models import CodeEntry, Coupon
from django_talon.models.privacy import pseudonym
from django_talon.outbox import coupons
from django_talon.outbox.coupons import NotDone
from django_talon.outbox.scrub import SHORT
from django_talon.shop.snapshots import SnapshotError

#: Carts and holders of a code that the page lists.
MOST = 50


class CodeForm(forms.Form):
    """Which code, at which Application."""

    application = forms.ChoiceField(label=_("Application"))
    code = forms.CharField(label=_("Coupon code"), max_length=100)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["application"]
        field.choices = [(app.alias, app.alias) for app in applications()]
        if len(field.choices) == 1:
            field.widget = forms.HiddenInput()
            field.initial = field.choices[0][0]

    def chosen(self) -> Application:
        return application(self.cleaned_data["application"])


class HolderForm(CodeForm):
    """A code, and the customer it is (or is no longer) reserved for."""

    customer = forms.CharField(label=_("Customer's id at Talon.One"), max_length=255)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].help_text = id_help()


class ReferralForm(CodeForm):
    """An advocate and the campaign that pays for the referral."""

    code = None  # type: ignore[assignment]
    advocate = forms.CharField(label=_("Advocate's id at Talon.One"), max_length=255)
    campaign = forms.IntegerField(
        label=_("Campaign"),
        min_value=1,
        help_text=_("Its number; it stands in the address of the campaign's page at Talon.One."),
    )
    usage_limit = forms.IntegerField(
        label=_("How often it may be used"), min_value=0, max_value=999_999, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["advocate"].help_text = id_help()


def id_help() -> str:
    """Say how a customer's id at Talon.One is made up, as far as settings tell."""
    return (
        gettext("By default “%s” and the customer's primary key.") % conf.ID_PREFIX
        if (conf.ID_PREFIX)
        else gettext("By default the customer's primary key.")
    )


@dataclass(frozen=True)
class Hold:
    """What may be done with a coupon for a customer, and what is said of it."""

    call: Callable[[Application, str, str], None]
    noted: str
    title: Any
    will: Any
    yes: Any
    done: Any


RESERVE = Hold(
    call=coupons.reserve,
    noted="Reserved for",
    title=_("Reserve the coupon?"),
    will=_("Talon.One reserves coupon %(code)s for customer %(customer)s."),
    yes=_("Yes, reserve"),
    done=_("Coupon %(code)s is reserved for customer %(customer)s."),
)
UNRESERVE = Hold(
    call=coupons.unreserve,
    noted="No longer reserved for",
    title=_("Take the reservation back?"),
    will=_("Talon.One no longer reserves coupon %(code)s for customer %(customer)s."),
    yes=_("Yes, take it back"),
    done=_("Coupon %(code)s is no longer reserved for customer %(customer)s."),
)

#: What goes to the page, or the page that asks in its place.
Found = dict[str, Any] | HttpResponse


@admin.register(Coupon)
class CouponAdmin(RecordAdmin):
    """One page in place of a list. Everything on it is asked by POST."""

    @transaction.non_atomic_requests
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the forms, do what was asked, show what came of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: dict[str, Any] = {}
        if request.method == "POST":
            came = self._act(request)
            if isinstance(came, HttpResponse):
                return came
            found = came
        return self._page(request, {**found, **(extra_context or {})})

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """There are no rows to open: show the page."""
        return self.changelist_view(request)

    def _page(self, request: HttpRequest, found: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        customer = {"customer": request.GET.get("customer", "")}
        advocate = {"advocate": request.GET.get("customer", "")}
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Coupons and referrals"),
            "opts": self.opts,
            "media": self.media,
            "look_up": CodeForm(),
            "holder": HolderForm(initial=customer, prefix="holder"),
            "referral": ReferralForm(initial=advocate, prefix="referral"),
            "may_reserve": may(request, "reserve_coupon"),
            "may_unreserve": may(request, "unreserve_coupon"),
            "may_refer": may(request, "create_referral"),
            **found,
        }
        return TemplateResponse(request, "admin/django_talon/coupons.html", context)

    def _act(self, request: HttpRequest) -> Found:
        acts: dict[str, Callable[[HttpRequest], Found]] = {
            "look-up": self._look_up,
            "reserve": self._reserve,
            "unreserve": self._unreserve,
            "refer": self._refer,
        }
        act = acts.get(request.POST.get("act", ""))
        if act is None:
            return {}
        try:
            return act(request)
        except (NotDone, SnapshotError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return {}

    def _look_up(self, request: HttpRequest) -> dict[str, Any]:
        form = CodeForm(request.POST)
        if not form.is_valid():
            return {"look_up": form}
        code = form.cleaned_data["code"].strip()
        found = {"look_up": form, **self._known_here(code)}
        try:
            holders = coupons.holders(form.chosen(), code)
        except NotDone as error:
            self.message_user(request, str(error), messages.ERROR)
            return found
        note_code(request, code, "Looked up")
        start = {"application": form.cleaned_data["application"], "code": code}
        return {
            **found,
            "holders": holders[:MOST],
            "holder_count": len(holders),
            "holder": HolderForm(initial=start, prefix="holder"),
        }

    def _known_here(self, code: str) -> dict[str, Any]:
        entries = CodeEntry.objects.filter(code__iexact=code).order_by("-pk")[:MOST]
        return {
            "code": code,
            "entries": [(entry, link_to_key(self.admin_site, entry.cart)) for entry in entries],
        }

    def _reserve(self, request: HttpRequest) -> Found:
        demand(request, "reserve_coupon")
        return self._hold(request, RESERVE)

    def _unreserve(self, request: HttpRequest) -> Found:
        demand(request, "unreserve_coupon")
        return self._hold(request, UNRESERVE)

    def _hold(self, request: HttpRequest, hold: Hold) -> Found:
        form = HolderForm(request.POST, prefix="holder")
        if not form.is_valid():
            return {"holder": form}
        values = form.cleaned_data
        if not asking.is_confirmed(request):
            return self._ask(request, form, hold.title, [hold.will % values], hold.yes)
        code, customer = values["code"], values["customer"]
        try:
            hold.call(form.chosen(), code, customer)
        except (NotDone, SnapshotError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return {"holder": form}
        note_code(request, code, f"{hold.noted} customer {hashed(customer)}")
        self.message_user(request, hold.done % values)
        return {}

    def _refer(self, request: HttpRequest) -> Found:
        demand(request, "create_referral")
        form = ReferralForm(request.POST, prefix="referral")
        if not form.is_valid():
            return {"referral": form}
        if not asking.is_confirmed(request):
            return self._ask_to_refer(request, form)
        values = form.cleaned_data
        limit = {} if values["usage_limit"] is None else {"usageLimit": values["usage_limit"]}
        try:
            made = coupons.refer(form.chosen(), values["advocate"], values["campaign"], **limit)
        except (NotDone, SnapshotError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return {"referral": form}
        note_code(request, made.code, f"Made for advocate {hashed(values['advocate'])}")
        text = gettext("The referral code is %s.")
        self.message_user(request, text % made.code)
        return {"made": made}

    def _ask_to_refer(self, request: HttpRequest, form: ReferralForm) -> HttpResponse:
        will = gettext(
            "Talon.One makes a referral code of campaign %(campaign)s for advocate %(advocate)s."
        )
        consequences = [will % form.cleaned_data, gettext("Each time it makes another code.")]
        title, yes = gettext("Make a referral code?"), gettext("Yes, make the code")
        return self._ask(request, form, title, consequences, yes)

    def _ask(
        self, request: HttpRequest, form: CodeForm, title: str, consequences: list[str], yes: str
    ) -> HttpResponse:
        names = [form.add_prefix(name) for name in form.fields]
        return asking.ask(
            self,
            request,
            title=title,
            consequences=consequences,
            hidden=[(name, request.POST.get(name, "")) for name in ("act", *names)],
            yes=yes,
            back=request.get_full_path(),
        )


def hashed(profile_id: str) -> str:
    """Return what the log says in place of an id: its entries outlive the person's erasure."""
    return pseudonym(profile_id)[:SHORT]


def note_code(request: HttpRequest, code: str, message: str) -> None:
    """Leave a `LogEntry` about a code, which is no row of ours."""
    user: Any = request.user
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Coupon, for_concrete_model=False),
        object_id=code,
        object_repr=code[:200],
        action_flag=CHANGE,
        change_message=message,
    )
