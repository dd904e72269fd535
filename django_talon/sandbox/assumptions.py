"""What the sandbox does where the truth is unpublished, as the limits page tells it.

A row is a topic, what is done, and the decisions of a campaign file that change it.
"""

from __future__ import annotations

from .engine.decisions import choices

_ROWS: tuple[tuple[str, str, str], ...] = (
    (
        "dialects",
        ("`both` (the default): the V1 paths next to today's; `current` and `2020` are pure"),
        "dialect",
    ),
    (
        "2020",
        (
            "a field or section that came later is unknown; no Idempotency-Key; per-item"
            " discounts are told by line, without a sub-position; `reservation: false` makes a"
            " reservation mandatory; younger rejection reasons become the nearest one of that"
            " year"
        ),
        "",
    ),
    (
        "key and signature in one request",
        "the key counts, also a wrong one; a signature alone is 401 on V2 and V3",
        "",
    ),
    (
        "signature without a body",
        ("that of zero bytes; with `--loose` and one Application a GET may come without any"),
        "",
    ),
    (
        "illegal transition, edit of a closed session",
        ("400, title `Invalid state transition`, pointer `/customerSession/state` (V1: `/state`)"),
        "illegal_transition",
    ),
    (
        "close or cancel repeated with the same content",
        "200, the stored effects again; nothing is counted twice",
        "repeated_close",
    ),
    ("cancellation of a closed session with other content", "400, it is an edit", ""),
    (
        "profile of a session",
        (
            "anonymous to known while open; known to anything else is 400, pointer"
            " `/customerSession/profileId` (V1: `/profileId`)"
        ),
        "profile_can_change",
    ),
    (
        "unknown field, attribute, event type, additional cost",
        "400; with `--loose` 200 and the header `X-Sandbox-Warning`",
        "",
    ),
    ("null in a body", "as if not sent", ""),
    (
        "what an update leaves out",
        ("stays; attributes of sessions and profiles merge by name, lists and costs are replaced"),
        "",
    ),
    ("unknown session read", "404", "unknown_session"),
    ("texts of 401, 404 and most 409", "ours; the envelope is the published one", ""),
    ("body above 5 MiB", "413", ""),
    ("reservation for an unknown profile", "makes an empty profile", "reservation_creates_profile"),
    ("recipient-bound, not yet or no longer valid, or used-up coupon reserved", "400", ""),
    ("advocate who is no profile", "is no reason against a code", "advocate_must_exist"),
    (
        "friend who was referred before",
        "refused within the same campaign, `ReferralCustomerAlreadyReferred`",
        "",
    ),
    (
        "effect order",
        "evaluation order: refused codes, then campaigns in the order of the file",
        "shuffle_effects",
    ),
    ("effects that no campaign owns", "-1 as campaign, ruleset and rule index", ""),
    (
        "numbers",
        (
            "unrounded, to 28 significant digits; discounts never exceed the unit, the cost"
            " or the session"
        ),
        "extreme_decimals",
    ),
    ("additional costs of items", "are part of `additionalCostTotal`, too", ""),
    (
        "effects inside the `event` of a V2 answer",
        ("none, they stand beside it: the published file says arrays, the Python SDK objects"),
        "event_effects",
    ),
    (
        "`meta` of an event",
        ("reasons of refusals, and attributes of the campaigns and coupons that had effects"),
        "",
    ),
    (
        "codes created by rules",
        ("once per session and rule, on the first update that earns them; a dry run makes none"),
        "",
    ),
    (
        "campaign excluded by its group",
        "`CouponPartOfNotTriggeredCampaign` with `campaignExclusionReason`",
        "",
    ),
    (
        "`evaluableCampaignIds` outside dry runs",
        "leaves the other campaigns out, until another list is sent",
        "",
    ),
    (
        "rules of events and profile updates",
        (
            "those run that check the event, or who joined or left an audience; the codes of"
            " a session are not looked at"
        ),
        "",
    ),
    ("items returned without a quantity", "what is left of the line", "return_without_quantity"),
    ("fewer pieces returned than there are", "those with the lowest sub-position", ""),
    ("`previousReturns` of a return", "without the one just made", ""),
    (
        "points and progress",
        (
            "booked at the close, by an event at once; a cancellation takes back what is left"
            " of them (all of it with `allowNegativeBalance`), a return only pending points of"
            " the pieces, a reopening pending ones, and with `activePointsDeduction` both"
            " active ones too"
        ),
        "",
    ),
    ("budgets of rules that run for an event", "booked at once, no close follows", ""),
    (
        "a discount with nothing to act on (no such item or cost)",
        "the rule fails, its coupon is refused with `EffectCouldNotBeApplied`",
        "",
    ),
    ("`customerSession` in the answer", "only if requested", "session_always"),
    ("`achievements` in the answer", "all of them, booked progress", ""),
    ("counters after a close", "the closing answer shows them raised already", ""),
    ("cancel from open", "one `rollbackDiscount` per discount, no `rollbackCoupon`", "cancel_open"),
    ("rollback envelope", "that of the effect undone", "bare_rollbacks"),
    ("referral for a campaign that does not exist", "400", "unknown_campaign"),
    (
        "erasure",
        (
            "done at once: empties attributes of profile, sessions, items and events;"
            " entities and counters stay; the second call is 204 too"
        ),
        "second_erasure",
    ),
    (
        "dry run",
        (
            "looks only at what was sent, its state too; takes no turn in the queues; of a"
            " profile only with `runRuleEngine`"
        ),
        "",
    ),
    (
        "silent V3 event",
        "204, as the parameter says; the list of answers has 200 only",
        "silent_v3",
    ),
    (
        "Idempotency-Key",
        (
            "per application, method and path; 2xx answers are kept 24 hours. Another query"
            " or body is 400, one still running 409; refusals are not kept"
        ),
        "key_mismatch key_in_flight keeps_errors",
    ),
    (
        "parallel calls",
        (
            "per session and per profile 1 running and 2 waiting, the next is 409; a wait"
            " ends after 30 s with 409"
        ),
        "",
    ),
    ("bad or missing key", "401, `Invalid API key`", ""),
    (
        "V1 arguments of effects beyond the documented ones",
        "the values of the V2 props, in their order",
        "",
    ),
    ("`params` of a V1 session's event", "the coupon and the referral of the request", ""),
    (
        "`matchesRegexp`",
        "Python's regular expressions, but none that look around or back: RE2 has no such",
        "",
    ),
    (
        "built-in attributes",
        "names, addresses, e-mail and the like; not the full list of the real service",
        "",
    ),
)


def table() -> str:
    """Return the decisions in Markdown; a switch is named with its words, the default first."""
    head = ["| topic | what the sandbox does | switch under `decisions` |", "|---|---|---|"]
    return "\n".join([*head, *(_row(*row) for row in _ROWS), ""])


def _row(topic: str, done: str, switches: str) -> str:
    known = choices()
    told = "; ".join(f"`{name}`: {_words(known[name])}" for name in switches.split())
    return f"| {topic} | {done} | {told} |"


def _words(words: tuple[object, ...]) -> str:
    return ", ".join(str(word).lower() if isinstance(word, bool) else str(word) for word in words)
