"""What the package says in gettext, and what its catalogs answer; needs no gettext tools."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "django_talon"
LOCALE = PACKAGE / "locale"
ONE = {"_", "gettext", "gettext_lazy"}
MANY = {"ngettext", "ngettext_lazy"}


def spoken() -> set[tuple[str, ...]]:
    """Return every text of the package: (text,) or (one, many)."""
    return {text for texts in (_of_python(), _of_templates()) for text in texts}


def _of_python() -> Iterator[tuple[str, ...]]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if _is_plain_call(node) else ""  # type: ignore[attr-defined]
            if name in ONE | MANY:
                yield tuple(_texts(node.args[: 2 if name in MANY else 1]))  # type: ignore[attr-defined]


def _is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        assert isinstance(node, ast.Constant), ast.unparse(node)
        yield str(node.value)


def _of_templates() -> Iterator[tuple[str, ...]]:
    for path in (PACKAGE / "templates").rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        for text in re.findall(r'{% translate "([^"]*)"', page):
            yield (text,)
        block = r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}"
        for text in re.findall(block, page, re.DOTALL):
            yield tuple(_worded(part) for part in text.split("{% plural %}"))


def _worded(text: str) -> str:
    """Return a text of a template as Django looks it up."""
    return re.sub(r"{{ *(\w+) *}}", r"%(\1)s", text.replace("%", "%%"))


def read_po(path: Path) -> dict[str, list[str]]:
    """Return the translations of a .po file by msgid; fuzzy and obsolete ones are left out."""
    found: dict[str, list[str]] = {}
    for entry in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in entry.splitlines() if not line.startswith("#~")]
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        fields = _fields(lines)
        if "msgid" in fields:
            found[fields.pop("msgid")] = [
                text for name, text in fields.items() if name.startswith("msgstr")
            ]
    return found


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("msg"):
            name, line = line.split(" ", 1)
            fields[name] = ""
        if line.startswith('"'):
            fields[name] += ast.literal_eval(line)
    return fields
