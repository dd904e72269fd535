"""What Talon.One received: the sandbox's journal, read over HTTP."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import requests

CENT = Decimal("0.01")
TELLING = ("state", "profileId", "couponCodes", "attributes")


@dataclass(frozen=True)
class Call:
    """One call that reached the sandbox. ``started`` is a time stamp in seconds."""

    number: int
    method: str
    path: str
    status: int
    started: float
    body: dict[str, Any]
    answer: dict[str, Any]

    @property
    def told(self) -> dict[str, Any]:
        """The fields of the body that tell the story; items as ``{sku: quantity}``."""
        body = self.body.get("customerSession") or self.body
        told = {name: body[name] for name in TELLING if body.get(name)}
        if "cartItems" in body:
            items = body["cartItems"] or []
            told["cartItems"] = {item["sku"]: int(item["quantity"]) for item in items}
        return told

    @property
    def effects(self) -> list[dict[str, Any]]:
        return self.answer.get("effects") or []

    @property
    def discount(self) -> Decimal:
        """The sum of all discounts in the answer, in the cart's currency."""
        values = [
            effect["props"]["value"]
            for effect in self.effects
            if effect["effectType"].startswith("setDiscount")
        ]
        return Decimal(sum(values)).quantize(CENT, ROUND_HALF_UP)

    @property
    def summary(self) -> str:
        """The effects of the answer in a few words."""
        if "effects" not in self.answer:
            return ""
        return ", ".join(_in_words(effect) for effect in self.effects) or "no effects"


class Journal:
    """The journal of one sandbox world."""

    def __init__(self, sandbox: str, world: str, patience: float) -> None:
        self._sandbox = sandbox
        self._world = world
        self._patience = patience
        self._http = requests.Session()
        self._http.trust_env = False

    def calls(self) -> list[Call]:
        """Return every call so far, in the order of arrival."""
        return [_call(entry) for entry in self._get("journal")]

    def profile(self, profile_id: str) -> dict[str, Any] | None:
        """Return the profile that Talon.One keeps, if it does."""
        return self._get("state")["profiles"].get(profile_id)

    def wait(self, expected: dict[str, Any], since: int) -> Call | None:
        """Return the first good answer to a call that tells this, from number ``since`` on.

        ``expected`` names ``method``, ``path`` and fields of `Call.told`; a callable
        value judges the field itself. ``None`` when patience has run out.
        """
        end = time.monotonic() + self._patience
        while True:
            for call in self.calls()[since:]:
                if call.status < 300 and _tells(as_told(call), expected):
                    return call
            if time.monotonic() > end:
                return None
            time.sleep(0.1)

    def _get(self, what: str) -> Any:
        url = f"{self._sandbox}/_sandbox/{what}"
        response = self._http.get(url, params={"world": self._world}, timeout=30)
        response.raise_for_status()
        return json.loads(response.text, parse_float=Decimal)


def as_told(call: Call) -> dict[str, Any]:
    return {"method": call.method, "path": call.path, "status": call.status, **call.told}


def _call(entry: dict[str, Any]) -> Call:
    return Call(
        number=entry["index"],
        method=entry["method"],
        path=entry["path"],
        status=entry["status"] or 0,
        started=datetime.fromisoformat(entry["started"].replace("Z", "+00:00")).timestamp(),
        body=entry["body"] if isinstance(entry["body"], dict) else {},
        answer=entry["answer"] if isinstance(entry["answer"], dict) else {},
    )


def _tells(told: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(
        wanted(told.get(name)) if callable(wanted) else told.get(name) == wanted
        for name, wanted in expected.items()
    )


def _in_words(effect: dict[str, Any]) -> str:
    props = effect.get("props") or {}
    shown = [str(props[name]) for name in ("name", "value", "rejectionReason") if name in props]
    return f"{effect['effectType']} {' '.join(shown)}".rstrip()
