"""The page of proofs lists the fault tests as they are."""

from __future__ import annotations

import pytest

from tests import proofs


def test_the_page_of_proofs_is_up_to_date():
    written = proofs.PAGE.read_text(encoding="utf-8")
    assert written == proofs.page(), "docs/reference/proofs.md is stale: run `make proofs`"


def test_every_fault_test_says_what_it_shows_and_is_run():
    found = proofs.proofs()
    assert found
    assert [proof.test for proof in found if not (proof.sentence and proof.databases)] == []


@pytest.mark.parametrize(
    ("name", "databases"),
    [("test_noticing.py", "PostgreSQL, MariaDB"), ("test_not_named_in_ci.py", "PostgreSQL")],
)
def test_a_proof_is_read_from_a_test(tmp_path, name, databases):
    file = tmp_path / name
    file.write_text(
        "pytestmark = [pytest.mark.services]\n"
        '@pytest.mark.databases("postgresql", "mysql")\n'
        "def test_fault_07_a_b(talon):\n"
        '    """Nothing waits: ever. More."""\n'
        "def test_other(): pass\n"
    )
    [proof] = proofs._of_file(file)
    assert (proof.number, proof.test) == (7, "test_fault_07_a_b")
    assert (proof.sentence, proof.databases) == ("Nothing waits: ever", databases)
