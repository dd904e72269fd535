"""The table of SANDBOX.md: every operation of the API, and how far it is emulated."""

from __future__ import annotations

import re

from .operations import OPERATIONS, Operation

PARTIAL = {
    "updateCustomerSessionV2": "no loyalty, achievements and bundles",
    "getCustomerInventory": "loyalty and achievements are empty",
}


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
