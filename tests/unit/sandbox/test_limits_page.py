"""SANDBOX.md says of every operation what the sandbox does with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_talon.sandbox import assumptions
from django_talon.sandbox.engine.campaigns import parse
from django_talon.sandbox.engine.decisions import choices
from django_talon.sandbox.engine.errors import SeedError
from django_talon.sandbox.handlers import HANDLERS
from django_talon.sandbox.operations import EMULATED, OPERATIONS

PAGE = Path(__file__).parents[3] / "SANDBOX.md"


def test_emu_26_every_operation_is_marked():
    rows = re.findall(r"^\| (\w+) \| `(\w+) (/v\S+)` \| (\w+)", PAGE.read_text(), re.MULTILINE)
    marked = {(name, method): state for name, method, _, state in rows}
    assert set(marked) == {(operation.name, operation.method) for operation in OPERATIONS}
    for operation in OPERATIONS:
        emulated = marked[operation.name, operation.method] in {"emulated", "partial"}
        assert emulated is operation.emulated


FEATURES = range(1, 28)


def test_every_feature_has_tests_that_carry_its_number():
    tests = Path(__file__).parents[2]
    written = "\n".join(path.read_text() for path in tests.rglob("test_*.py"))
    numbers = {
        int(number) for number in re.findall(r"^def test_emu_(\d\d)_", written, re.MULTILINE)
    }
    assert set(FEATURES) <= numbers


def test_every_emulated_operation_has_its_handler():
    assert set(HANDLERS) == {operation.name for operation in EMULATED}


FOREIGN = {"type": "passthrough"}
SORTED = {"name": "s", "source": "$Session.CartItems", "steps": [{"type": "sort"}]}
NOTE = {"type": "showNotification", "notificationType": "Info", "title": "Hi"}
GROUP = {"type": "group", "operator": "all", "blocks": [NOTE], "onError": {}}
BUNDLE = {"type": "awardDiscount", "name": "d", "value": 1, "target": {"type": "bundle"}}


@pytest.mark.parametrize(
    ("ruleset", "path"),
    [
        ({"promotionRules": [{"title": "t", "blocks": [FOREIGN]}]}, "promotionRules[0].blocks[0]"),
        (
            {"promotionRules": [{"title": "t", "blocks": [BUNDLE]}]},
            "promotionRules[0].blocks[0].target",
        ),
        (
            {"promotionRules": [{"title": "t", "blocks": [{**GROUP, "onError": {"x": [NOTE]}}]}]},
            "promotionRules[0].blocks[0].onError",
        ),
        (
            {"promotionRules": [{"title": "t", "blocks": [{**NOTE, "onFailure": [NOTE]}]}]},
            "promotionRules[0].blocks[0].onFailure",
        ),
        ({"bundles": [{}]}, "bundles"),
        ({"strikethroughRules": [{}]}, "strikethroughRules"),
        ({"selectors": [SORTED]}, "selectors[0].steps[0]"),
    ],
)
def test_emu_20_what_is_absent_names_its_path_and_the_limits_page(ruleset, path):
    with pytest.raises(SeedError) as caught:
        parse({"campaigns": [{"id": 1, "name": "c", "ruleset": ruleset}]})
    told = str(caught.value)
    assert told.startswith(f"campaigns[0].ruleset.{path}: ")
    assert "not emulated; SANDBOX.md, or `talon-sandbox --limits`, lists what is absent" in told


def test_empty_handlers_are_no_reason_to_refuse():
    rules = {"promotionRules": [{"title": "t", "blocks": [{**GROUP, "onFailure": []}]}]}
    assert len(parse({"campaigns": [{"id": 1, "name": "c", "ruleset": rules}]}).campaigns) == 1


def test_every_decision_is_told_with_its_switch():
    told = assumptions.table()
    for name, (default, *_) in choices().items():
        assert f"`{name}`: {str(default).lower()}" in told
    assert "`cancel_open`: rollback, nothing |" in told
