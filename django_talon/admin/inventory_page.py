"""An inventory as a page to read: titles, headings and cells in place of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

#: Rows of a table that the page shows; the file has all.
SHOWN = 50

STATES = {
    "active": pgettext_lazy("coupon", "active"),
    "used": pgettext_lazy("coupon", "used"),
    "expired": pgettext_lazy("coupon", "expired"),
    "pending": pgettext_lazy("coupon", "not valid yet"),
    "disabled": pgettext_lazy("coupon", "campaign not active"),
}


@dataclass(frozen=True)
class Table:
    """One part of an inventory."""

    title: Any
    headings: list[Any]
    rows: list[list[str]]
    #: How many more rows there are than shown.
    more: int = 0


def context(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a `privacy.inventory`."""
    return {
        "profile_id": found["profile_id"],
        "retrieved_at": moment(found["retrieved_at"]),
        "places": [(name, _tables(data)) for name, data in found["environments"].items()],
        "unanswered": list(found["unanswered"].items()),
        "held": _held(found["held_by_this_shop"]),
    }


def _tables(data: Mapping[str, Any] | None) -> list[Table] | None:
    """Return the six sections of one environment; ``None`` if it does not know the customer."""
    if data is None:
        return None
    return [
        _profile(data.get("profile") or {}),
        _coupons(data.get("coupons") or []),
        _referrals(data.get("referrals") or []),
        _loyalty(data.get("loyalty") or {}),
        _giveaways(data.get("giveaways") or []),
        _achievements(data.get("achievements") or []),
    ]


def _profile(profile: Mapping[str, Any]) -> Table:
    facts: list[tuple[Any, Any]] = [
        (_("id at Talon.One"), profile.get("integrationId")),
        (_("created"), moment(profile.get("created"))),
        (_("last activity"), moment(profile.get("lastActivity"))),
        (_("closed sessions"), profile.get("closedSessions")),
        (_("total sales"), profile.get("totalSales")),
        (_("audiences"), [one.get("name") for one in profile.get("audienceMemberships") or []]),
    ]
    attributes = sorted((profile.get("attributes") or {}).items())
    facts += [(gettext("attribute %s") % name, value) for name, value in attributes]
    return _table(_("Profile"), [_("what"), _("value")], facts)


def _coupons(coupons: Iterable[Mapping[str, Any]]) -> Table:
    headings = [_("code"), _("state"), _("used"), _("valid from"), _("valid until"), _("campaign")]
    rows = [
        (
            one.get("value"),
            STATES.get(one.get("state", ""), one.get("state")),
            _used(one),
            moment(one.get("startDate")),
            moment(one.get("expiryDate")),
            one.get("campaignId"),
        )
        for one in coupons
    ]
    return _table(_("Coupons"), headings, rows)


def _used(one: Mapping[str, Any]) -> str:
    limit = one.get("usageLimit") or gettext("unlimited")
    return gettext("%(count)s of %(limit)s") % {"count": one.get("usageCounter", 0), "limit": limit}


def _referrals(referrals: Iterable[Mapping[str, Any]]) -> Table:
    headings = [_("code"), _("used"), _("referred customers"), _("valid until"), _("campaign")]
    rows = [
        (
            one.get("code"),
            _used(one),
            one.get("referredCustomers") or one.get("friendProfileIntegrationId"),
            moment(one.get("expiryDate")),
            one.get("campaignId"),
        )
        for one in referrals
    ]
    return _table(_("Referrals"), headings, rows)


def _loyalty(loyalty: Mapping[str, Any]) -> Table:
    headings = [_("program"), _("points"), _("pending"), _("spent"), _("expired"), _("tier")]
    rows = []
    for program in (loyalty.get("programs") or {}).values():
        title = program.get("title") or program.get("name")
        rows.append(_balances(title, program.get("ledger") or {}))
        for name, ledger in (program.get("subLedgers") or {}).items():
            rows.append(_balances(f"{title}: {name}", ledger))
    for card in loyalty.get("cards") or []:
        title = gettext("card %s") % card.get("identifier", "")
        rows.append(_balances(title, card.get("ledger") or {}))
    return _table(_("Loyalty"), headings, rows)


def _balances(title: Any, ledger: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("currentBalance", "pendingBalance", "spentBalance", "expiredBalance")
    tier = (ledger.get("currentTier") or {}).get("name")
    return (title, *(ledger.get(name) for name in names), tier)


def _giveaways(giveaways: Iterable[Mapping[str, Any]]) -> Table:
    headings = [_("code"), _("used"), _("valid until"), _("pool")]
    rows = [
        (one.get("code"), one.get("used"), moment(one.get("endDate")), one.get("poolId"))
        for one in giveaways
    ]
    return _table(_("Giveaways"), headings, rows)


def _achievements(achievements: Iterable[Mapping[str, Any]]) -> Table:
    headings = [_("achievement"), _("status"), _("progress"), _("completed")]
    rows = [
        (
            one.get("title") or one.get("name"),
            one.get("status"),
            f"{text(one.get('progress'))} / {text(one.get('target'))}",
            moment(one.get("completionDate")),
        )
        for one in achievements
    ]
    return _table(_("Achievements"), headings, rows)


#: Part of `privacy.held` -> its title, and heading and column of each cell.
HELD: dict[str, tuple[Any, list[tuple[Any, str]]]] = {
    "profiles": (
        _("Customer profiles"),
        [(_("environment"), "environment"), (_("customer"), "customer"), (_("sent"), "sent_at")],
    ),
    "sessions": (
        _("Customer sessions"),
        [
            (_("session"), "integration_id"),
            (_("state"), "state"),
            (_("cart"), "cart"),
            (_("order"), "order"),
            (_("sent"), "sent_at"),
        ],
    ),
    "codes": (
        _("Entered codes"),
        [(_("code"), "code"), (_("status"), "status"), (_("at"), "created_at")],
    ),
    "evaluations": (
        _("Stored answers"),
        [
            (_("session"), "session__integration_id"),
            (_("at"), "evaluated_at"),
            (_("effects"), "effects"),
        ],
    ),
    "effects": (
        _("Effects of closed sessions"),
        [
            (_("effect"), "effect_type"),
            (_("rule"), "rule_name"),
            (_("amount"), "amount"),
            (_("at"), "created_at"),
        ],
    ),
    "waiting": (
        _("Waiting changes"),
        [(_("kind"), "kind"), (_("about"), "aggregate"), (_("since"), "created_at")],
    ),
    "dead_letters": (
        _("Dead letters"),
        [(_("kind"), "kind"), (_("about"), "aggregate"), (_("reason"), "reason")],
    ),
    "deliveries": (
        _("Calls to Talon.One"),
        [
            (_("at"), "created_at"),
            (_("operation"), "operation"),
            (_("about"), "aggregate"),
            (_("outcome"), "outcome"),
        ],
    ),
    "erasures": (
        _("Erasures"),
        [
            (_("environment"), "environment"),
            (_("status"), "status"),
            (_("requested"), "requested_at"),
            (_("confirmed"), "confirmed_at"),
            (_("lifted"), "lifted_at"),
        ],
    ),
}


def _held(found: Mapping[str, list[dict[str, Any]]]) -> list[Table]:
    return [
        _table(
            title,
            [heading for heading, _column in columns],
            [[row.get(column) for _heading, column in columns] for row in found[part]],
        )
        for part, (title, columns) in HELD.items()
    ]


def _table(title: Any, headings: list[Any], rows: Iterable[Iterable[Any]]) -> Table:
    cells = [[text(cell) for cell in row] for row in rows]
    return Table(title, headings, cells[:SHOWN], max(0, len(cells) - SHOWN))


def text(value: Any) -> str:
    """Return a value as a person reads it."""
    if value in (None, "", []):
        return "-"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(map(text, value))
    if isinstance(value, dict) and "effectType" in value:
        return str(value["effectType"])  # the file has all of it
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text(entry)}" for name, entry in value.items())
    return moment(value) if isinstance(value, str) else str(value)


def moment(value: Any) -> str:
    """Return a moment in the operator's time zone and manner; other text as it is."""
    try:
        found = parse_datetime(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        found = None
    if found is None:
        return str(value or "")
    local = timezone.localtime(found) if timezone.is_aware(found) else found
    return date_format(local, "SHORT_DATETIME_FORMAT")
