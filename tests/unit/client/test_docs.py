from __future__ import annotations

import json
import re
from pathlib import Path

from django_talon.client import IntegrationClient
from tests.snippets import python_blocks
from tests.unit.client.samples import STATE_OF_ALL
from tests.unit.client.servers import answer, answering

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "client.md"


def test_every_operation_is_in_a_snippet():
    snippets = "".join(python_blocks(PAGE))
    operations = {name for name in dir(IntegrationClient) if not name.startswith("_")}
    assert operations - set(re.findall(r"client\.(\w+)\(", snippets)) == set()


def test_the_snippets_of_the_reference_run(monkeypatch, capsys):
    with answering(answer(200, json.dumps(STATE_OF_ALL).encode())) as server:
        monkeypatch.setenv("TALON_ONE_BASE_URL", server.url)
        monkeypatch.setenv("TALON_ONE_API_KEY", "k")
        names: dict[str, object] = {}
        for snippet in python_blocks(PAGE):
            exec(compile(snippet, str(PAGE), "exec"), names)
    sent = {f"{s.method} {s.target.partition('?')[0]}" for s in server.seen}
    assert len(sent) == 19
    printed = capsys.readouterr().out
    assert "discount ten off 1.98" in printed
    assert "refused NOPE CouponNotFound" in printed
    assert "was not sent" in printed
