from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from django_talon import client as c
from django_talon.client.types.effects import PROPS

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "typed_user.py"


def test_I5_the_program_uses_every_operation_and_every_effect():
    source = PROGRAM.read_text()
    operations = {name for name in dir(c.IntegrationClient) if not name.startswith("_")}
    assert operations - set(re.findall(r"talon\.(\w+)\(", source)) == set()
    assert {kind.__name__ for kind in PROPS.values()} - set(
        re.findall(r"c\.(\w+)", source)
    ) == set()


def test_I5_mypy_strict_passes_on_a_program(tmp_path):
    pytest.importorskip("mypy", reason="mypy is in the dev requirements")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    # As a user has it: what is installed is followed, and not complained about.
    command += ["--follow-imports", "silent"]
    run = subprocess.run(
        [*command, "--cache-dir", str(tmp_path), str(PROGRAM)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "Success: no issues found in 1 source file\n")
