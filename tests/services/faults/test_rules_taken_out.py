"""With a rule of delivery taken out, the fault test that stands for it fails.

``TALON_TEST_RULES=all`` tries every rule, as ``make nightly`` does; otherwise the quick ones.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.conftest import answers
from tests.services.faults.without import RULES

# Each case chooses its own database.
pytestmark = [pytest.mark.services, pytest.mark.databases("sqlite")]

HERE = Path(__file__).parent
POSTGRESQL = f"postgresql://{os.environ.get('PGHOST', '127.0.0.1')}:5432"


@dataclass(frozen=True)
class Case:
    """A rule, and the test that must fail without it: its file, and its name from the number on."""

    rule: str
    file: str
    test: str
    on: str = "sqlite"

    def node(self) -> str:
        return f"{HERE}/test_{self.file}.py::test_fault_{self.test}"


LATE = "18_the_answer_of_the_last_call_is_lost_and_its_change_comes_late"
QUICK = [
    Case("lease", "lanes", "29_twenty_threads_one_lane"),
    Case("hold", "wire", f"{LATE}[reset]"),
    Case("ids_seen", "lanes", "30_ids_commit_out_of_order", "postgresql"),
    Case("savepoint", "noticing", "33_a_mark_that_cannot_be_written", "postgresql"),
    Case("failing", "wire", "14_server_errors_without_a_hint[503]"),
    Case("paused", "wire", "15_retry_after[seconds]"),
    Case("refused", "wire", "25_a_key_that_is_revoked_and_restored"),
    Case("misconfigured", "wire", "23_a_redirect_is_not_followed[307]"),
    Case("redirects", "wire", "23_a_redirect_is_not_followed[307]"),
    Case("ambiguous", "wire", "20_a_200_that_is_not_talon_ones[nothing]"),
    Case("trust_env", "wire", "24_netrc_and_proxies_of_the_environment"),
    Case("same_key", "wire", "18_the_answer_about_an_event_is_lost[reset]"),
    Case("robust", "brokers", "08_wake_up_fails_in_on_commit"),
    Case("schema", "upgrades", "46_old_worker_and_new_rows"),
]
SLOW = [
    Case("deadline", "wire", "21_an_answer_drop_by_drop[body]"),
    Case("quarantine", "killed_workers", "27_a_row_that_kills_its_worker"),
    Case("frozen", "killed_workers", "03_killed_after_talon_one_applied_a_close"),
    Case("made_good", "killed_workers", "05_frozen_during_its_call[is lost]"),
    Case("thread", "brokers", "07_broker_accepts_and_never_answers[redis-silent]"),
]
WANTED = QUICK + SLOW if os.environ.get("TALON_TEST_RULES") == "all" else QUICK


@pytest.mark.parametrize("case", WANTED, ids=lambda case: case.rule)
def test_the_fault_test_fails_without(case):
    if case.on == "postgresql" and not answers(POSTGRESQL):
        pytest.skip(f"needs PostgreSQL at {POSTGRESQL}")
    told = outcome(case)
    assert re.search(r"^=* ?1 failed\b(?!.*(passed|error|skipped))", told, re.MULTILINE), told


def outcome(case: Case) -> str:
    """Run the test in a process of its own with the rule taken out; return what pytest said."""
    # What pytest is told for this run, such as where to count, is not for that one.
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "CI_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", case.node()],
        cwd=HERE.parents[2],
        env={**inherited, "TALON_TEST_WITHOUT": case.rule, "TALON_TEST_DATABASE": case.on},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_rule_has_its_test():
    assert sorted(case.rule for case in QUICK + SLOW) == sorted(RULES)
