"""Writes docs/reference/proofs.md from the fault tests: ``make proofs``.

Any test of the suite whose name is ``test_fault_NN_<words>`` is listed with the first sentence of
its docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/reference/proofs.md"
CI = TESTS.parent / ".ci/run"
DATABASES = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
NAME = re.compile(r"test_fault_(\d\d)_\w+")
HEAD = """\
# Proofs

What can go wrong between a save and Talon.One, and the test that shows that it does no harm.
`make proofs` writes this page from the tests themselves. They use real servers, real databases and
killed processes. `.ci/run` runs each on the databases named: on SQLite and PostgreSQL unless it is
about one of them, on MariaDB where the database has a say; "all" is the three.

| fault | what is shown | test | databases |
|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Proof:
    """One test of one fault."""

    number: int
    test: str
    sentence: str
    databases: str


def proofs() -> list[Proof]:
    """Return every fault test of the suite, by number."""
    files = sorted(TESTS.rglob("test_*.py"))
    return sorted(found for file in files for found in _of_file(file))


def _of_file(file: Path) -> Iterator[Proof]:
    module = ast.parse(file.read_text(encoding="utf-8"))
    marks = [node.value for node in module.body if _assigns(node, "pytestmark")]
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and (name := NAME.fullmatch(node.name)):
            databases = _databases([*node.decorator_list, *marks], _run_on(file))
            yield Proof(int(name[1]), node.name, _sentence(node), databases)


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def _sentence(test: ast.FunctionDef) -> str:
    text = " ".join((ast.get_docstring(test) or "").split())
    first = re.match(r".+?\.(?= |$)", text)
    return first[0].rstrip(".").replace("|", r"\|") if first else ""


def _run_on(file: Path) -> list[str]:
    """Return the databases on which `.ci/run` runs a file; on MariaDB only if it is named there."""
    is_named = file.name in CI.read_text(encoding="utf-8")
    return [name for name in DATABASES if name != "mysql" or is_named]


def _databases(marks: list[ast.expr], run_on: list[str]) -> str:
    text = " ".join(ast.unparse(mark) for mark in marks)
    found = re.search(r"mark\.databases\(([^)]*)\)", text)
    allowed = re.findall(r"\w+", found[1]) if found else list(DATABASES)
    chosen = [name for name in allowed if name in run_on]
    return "all" if len(chosen) == len(DATABASES) else ", ".join(DATABASES[n] for n in chosen)


def page() -> str:
    """Return what docs/reference/proofs.md should say."""
    rows = (f"| {p.number} | {p.sentence} | `{p.test}` | {p.databases} |" for p in proofs())
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
