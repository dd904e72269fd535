"""What SANDBOX.md says of limits: how far each operation is emulated, what is absent, assumed."""

from __future__ import annotations

import re

from . import assumptions
from .operations import OPERATIONS, Operation

PARTIAL = {
    "updateCustomerSessionV2": "no bundles, tiers and loyalty cards",
}
ABSENT = """\
Absent too (a campaign file that asks for such a thing is refused, with its path):

- the Management API, the Third-party API, rules in Talang (`passthrough` blocks)
- `bundles`, `strikethroughRules` and `parameters` of a ruleset
- selector pipelines beyond filters, one `map` and one `reduce` over the cart items
- the targets `bundle` and `globalFilter`, and `prorated` for additional costs
- `laterBy` and `earlierBy` of `updateAttributeValue`, and `timezoneInsensitive`
- failure effects other than `showNotification` and `triggerCustomEffect`, or of effects; `onError`
- the campaign classes of 2020 (`universal`, `exclusive`, `stackable`): write a `campaignSet`
- loyalty tiers and loyalty cards, points that wait for an activation, changed expiry dates,
  entries of an event's point ledger, recurring achievements and the effect of their start,
  points granted in part
- catalogs, price history, experiments; `loyaltyCards` and `experimentVariantAllocations` of a
  request are taken and do nothing
- rules at a return (`runRuleEngine` of returnCartItems) and `forceCompleteEvaluation`: taken, and
  do nothing; the section `unlockedRewards`
- kinds of additional costs (each may stand at the session and at items), keys of the kind Testing
- forgetting with time: sessions and events are kept until a reset
- audiences beyond those of the file, of `audiencesChanges` and of effects
- sending: of webhooks and notifications there are only the effects
"""


DECISIONS = "## Decisions where the truth is unpublished"


def page() -> str:
    """Return the table, what is absent beside whole operations, and the decisions, in Markdown."""
    return f"{table()}\n{ABSENT}\n{DECISIONS}\n\n{assumptions.table()}"


def table() -> str:
    """Return the table in Markdown, one row per operation."""
    head = ["| operation | call | state |", "|---|---|---|"]
    return "\n".join([*head, *(_row(operation) for operation in OPERATIONS), ""])


def _row(operation: Operation) -> str:
    path = re.sub(r"\{[^}]*\}", "{id}", operation.template)
    return f"| {operation.name} | `{operation.method} {path}` | {state(operation)} |"


def state(operation: Operation) -> str:
    """Return ``emulated``, ``partial`` with what is missing, or ``absent``."""
    if not operation.emulated:
        return "absent (501)"
    missing = PARTIAL.get(operation.name)
    return f"partial: {missing}" if missing else "emulated"
