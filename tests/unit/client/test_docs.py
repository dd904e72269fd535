from __future__ import annotations

import json
import re
from pathlib import Path

from tests.unit.client.samples import STATE_OF_ALL
from tests.unit.client.servers import answer, answering

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "client.md"


def test_the_snippets_of_the_reference_run(monkeypatch, capsys):
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    with answering(answer(200, json.dumps(STATE_OF_ALL).encode())) as server:
        monkeypatch.setenv("TALON_ONE_BASE_URL", server.url)
        monkeypatch.setenv("TALON_ONE_API_KEY", "k")
        names: dict[str, object] = {}
        for snippet in snippets:
            exec(compile(snippet, str(PAGE), "exec"), names)
    assert len(snippets) == 8
    assert len({f"{s.method} {s.target}" for s in server.seen}) == 13
    printed = capsys.readouterr().out
    assert "discount ten off 1.98" in printed
    assert "refused NOPE CouponNotFound" in printed
    assert "was not sent" in printed
