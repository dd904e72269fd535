"""For .ci/run: a service that is not there, or a suite that is empty, fails the run.

``pytest -p tests.ci_plugin``. The file that ``CI_TOTALS`` names gets one line for
each run: passed, failed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: A skip whose reason begins like this means: not tested here.
NEEDS = "needs "


def pytest_configure(config):
    is_worker = hasattr(config, "workerinput")
    totals = os.environ.pop("CI_TOTALS", "")
    if is_worker or not getattr(config.option, "numprocesses", None):
        # A pytest that a test starts is left alone. (xdist's workers are started later.)
        os.environ.pop("PYTEST_ADDOPTS", None)
    if totals and not is_worker:
        config.pluginmanager.register(Totals(Path(totals)), "ci-totals")


class Totals:
    def __init__(self, path):
        self.path = path

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter):
        stats = terminalreporter.stats
        failed = len(stats.get("failed", [])) + len(stats.get("error", []))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{len(stats.get('passed', []))} {failed}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return no_missing_service((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return no_missing_service((yield))


def no_missing_service(report):
    """Turn a skip for want of a service into a failure."""
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: skipped, but nothing may be missing here: {reason}"
    return report


def pytest_collection_finish(session):
    """Refuse a run in which one of the folders that were named has no test."""
    found = {item.path for item in session.items}
    for argument in session.config.args:
        folder = (session.config.invocation_params.dir / argument).resolve()
        if folder.is_dir() and not any(folder in path.parents for path in found):
            raise pytest.UsageError(f"{argument} holds no test")
