"""Session updates a second through the in-process door: 20 items, 100 campaigns, 10 of them fire.

    python benchmarks/sandbox_rules.py [--seconds 5] [--profile]

One core, one thread. Of the ten that fire, four discount the cart, four discount items and two
show a notification; of the ninety others, each fails a condition.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import time
from typing import Any

from django_talon.sandbox import wire
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.service import Sandbox

HEADERS = {"authorization": "ApiKey-v1 sbx-benchmark"}


def _check(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {
        "type": "checkAttribute",
        "attribute": attribute,
        "operator": operator,
        "value": value,
    }


def _effect(number: int) -> dict[str, Any]:
    if number % 10 in {0, 1, 2, 3}:
        target, value = {"type": "cart"}, "{{$Session.CartTotal * 0.01}}"
    elif number % 10 in {4, 5, 6, 7}:
        target, value = {"type": "selector", "name": "Mugs"}, "{{$Item.Price * 0.01}}"
    else:
        return {
            "type": "showNotification",
            "notificationType": "Info",
            "title": "Hello",
            "body": "A cart of {{$Session.Total}}",
        }
    name = f"discount {number}"
    return {"type": "awardDiscount", "name": name, "value": value, "target": target}


def _campaign(number: int, fires: bool) -> dict[str, Any]:
    condition = _check("$Session.CartTotal", "greaterThan", 10 if fires else 10**6 + number)
    mugs = {
        "name": "Mugs",
        "type": "selector",
        "source": "$Session.CartItems",
        "steps": [{"type": "filter", "predicate": _check("$Item.Category", "equals", "mugs")}],
    }
    rules = [{"title": f"rule {number}", "blocks": [condition, _effect(number)]}]
    ruleset = {"selectors": [mugs], "promotionRules": rules}
    return {"id": number + 1, "name": f"campaign {number}", "ruleset": ruleset}


def sandbox(campaigns: int = 100, firing: int = 10) -> Sandbox:
    """Return a sandbox with so many campaigns."""
    every = campaigns // firing
    rows = [
        _campaign(n // every if n % every == 0 else n, n % every == 0) for n in range(campaigns)
    ]
    numbered = [{**row, "id": n + 1} for n, row in enumerate(rows)]
    content = {"campaigns": numbered}
    return Sandbox(parse(wire.decode(json.dumps(content).encode())))


def body(items: int = 20) -> bytes:
    """Return a session update with so many lines, every second one a mug."""
    lines = [
        {
            "sku": f"sku-{n}",
            "name": f"Item {n}",
            "quantity": 1 + n % 2,
            "price": 9.99 + n,
            "category": "mugs" if n % 2 else "books",
        }
        for n in range(items)
    ]
    session = {"profileId": "p-1", "cartItems": lines}
    return json.dumps({"customerSession": session, "responseContent": ["customerSession"]}).encode()


def run(sandbox: Sandbox, sent: bytes, seconds: float) -> tuple[int, float, float]:
    """Send updates for so long; return how many were answered, in what wall and core time."""
    began, busy, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        target = f"/v2/customer_sessions/s-{done % 500}"
        answer = sandbox.handle(wire.Request("PUT", target, HEADERS, sent))
        assert isinstance(answer, wire.Answer)
        assert answer.status == 200
        done += 1
    return done, time.perf_counter() - began, time.process_time() - busy


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--profile", action="store_true", help="where the time goes")
    chosen = options.parse_args()
    made, sent = sandbox(), body()
    first = made.handle(wire.Request("PUT", "/v2/customer_sessions/first", HEADERS, sent))
    assert isinstance(first, wire.Answer)
    effects = json.loads(first.body)["effects"]
    fired = len({effect["campaignId"] for effect in effects})
    print(f"{platform.python_implementation()} {platform.python_version()}")
    print(f"20 items, 100 campaigns, {fired} fire, {len(effects)} effects in each answer")
    if chosen.profile:
        profile = cProfile.Profile()
        profile.runcall(run, made, sent, chosen.seconds)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    run(made, sent, 0.5)
    done, took, busy = run(made, sent, chosen.seconds)
    print(f"{done} updates in {took:.2f} s: {done / took:.0f} a second by the clock")
    speed = f"{done / busy:.0f} a second of it, {1000 * busy / done:.2f} ms each"
    print(f"{busy:.2f} s of one core: {speed}")


if __name__ == "__main__":
    main()
