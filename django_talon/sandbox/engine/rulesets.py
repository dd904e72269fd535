"""Rulesets of campaign files: rules and selectors, checked and compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import block_checks
from .blocks import Known, SeedError, check_blocks, check_template, flat, mentions
from .compiling import every, gate
from .errors import NotEmulatedError
from .seed_fields import fields, many, one_of, text
from .state import Json, Rule, Selector

__all__ = ["block_checks", "ruleset"]


def ruleset(entry: Any, path: str, known: Known) -> tuple[tuple[Rule, ...], dict[str, Selector]]:
    """Read a ``RulesetV2``; its server-made fields (id, created, userId) are ignored."""
    ignored = {"id", "created", "userId", "campaignId", "templateId", "activatedAt"}
    parts = {"promotionRules", "strikethroughRules", "selectors", "bundles", "parameters"}
    fields(entry, path, set(), ignored | parts)
    for name in ("strikethroughRules", "bundles", "parameters"):
        if entry.get(name):
            raise NotEmulatedError(f"{path}.{name}", name)
    rows = many(entry.get("selectors", []), f"{path}.selectors")
    selectors = dict(_selector(*row, known) for row in rows)
    numbers = [n for n, s in selectors.items() if s.reduced or s.mapped]
    here = replace(known, selectors=frozenset(selectors), numbers=frozenset(numbers))
    rules = many(entry.get("promotionRules", []), f"{path}.promotionRules")
    return tuple(_rule(where, rule, here) for where, rule in rules), selectors


def _rule(path: str, entry: Any, known: Known) -> Rule:
    fields(entry, path, {"title", "blocks"}, {"id", "parentId", "description"})
    check_blocks(entry["blocks"], f"{path}.blocks", known)
    blocks = tuple(entry["blocks"])
    title = text(entry["title"], f"{path}.title", 0)
    joins = any(b["type"] == "checkAudience" and "just" in b["operator"] for b in flat(blocks))
    return Rule(
        title,
        blocks,
        checks_event=joins or mentions(blocks, "checkEvent"),
        checks_coupon=mentions(blocks, "checkCoupon"),
        checks_referral=mentions(blocks, "checkReferral"),
        gate=gate(blocks),
    )


def _selector(path: str, entry: Any, known: Known) -> tuple[str, Selector]:
    fields(entry, path, {"name", "source", "steps"}, {"type"})
    if entry["source"] != "$Session.CartItems":
        raise NotEmulatedError(f"{path}.source", "a source other than $Session.CartItems")
    in_item = Known(collections=known.collections, in_item=True)
    predicates, mapped, reduced = [], "", ""
    for where, step in many(entry["steps"], f"{path}.steps"):
        kind = step.get("type") if isinstance(step, dict) else None
        if kind == "filter" and not mapped and not reduced:
            fields(step, where, {"type", "predicate"}, set())
            _check_predicate(step["predicate"], f"{where}.predicate", in_item)
            predicates.append(step["predicate"])
        elif kind == "map" and not mapped and not reduced:
            mapped = _mapping(step, where, in_item)
        elif kind == "reduce" and not reduced:
            reduced = _reduction(step, where, mapped)
        else:
            raise NotEmulatedError(where, "other than filter steps, then one map and one reduce,")
    return text(entry["name"], f"{path}.name"), Selector(
        tuple(predicates), mapped, reduced, every(predicates)
    )


def _check_predicate(block: Any, path: str, known: Known) -> None:
    check_blocks([block], path, known)
    if block["type"] == "group":
        for index, inner in enumerate(block["blocks"]):
            _check_predicate(inner, f"{path}.blocks[{index}]", known)
    elif "inCollection" in block["operator"] or not block["attribute"].startswith("$Item."):
        raise SeedError(path, "a filter compares $Item names, and not with collections")


def _mapping(step: Json, path: str, known: Known) -> str:
    fields(step, path, {"type", "expression"}, set())
    expression = text(step["expression"], f"{path}.expression")
    check_template(
        expression if "{{" in expression else f"{{{{{expression}}}}}", f"{path}.expression", known
    )
    return expression


def _reduction(step: Json, path: str, mapped: str) -> str:
    fields(step, path, {"type", "operator"}, set())
    one_of(step["operator"], f"{path}.operator", "max", "min", "sum", "count", "empty")
    if not mapped and step["operator"] not in {"count", "empty"}:
        raise SeedError(path, f"{step['operator']} needs a map step before it")
    return str(step["operator"])
