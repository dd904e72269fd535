"""README and docs say what is so: snippets run, names exist, lists are complete."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from django_talon import conf, signals
from tests.snippets import ADAPTER, SETTINGS, blocks, python_blocks

PROJECT = Path(__file__).resolve().parents[2]
README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
PAGES = [README, PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md", *DOCS.rglob("*.md")]

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(PROJECT)) for page in PAGES]
)


def rows(page: Path, start: str = "`") -> dict[str, list[str]]:
    """Return the table rows of a page by their first cell, in backticks there."""
    found = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith(start):
            found[cells[0].strip("`")] = cells[1:]
    return found


def sources() -> str:
    return "\n".join(path.read_text() for path in (PROJECT / "django_talon").rglob("*.py"))


@pytest.fixture
def shop(tmp_path):
    """Return a project of the README's settings and adapter with the example's models."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    models = (PROJECT / "example_project/shop/models.py").read_text(encoding="utf-8")
    (tmp_path / "shop/models.py").write_text(models, encoding="utf-8")
    (tmp_path / "shop/talon.py").write_text(blocks(README)[ADAPTER], encoding="utf-8")
    (tmp_path / "readme_settings.py").write_text(throwaway_settings(), encoding="utf-8")
    (tmp_path / "urls.py").write_text(blocks(README)["urls.py"], encoding="utf-8")
    return tmp_path


def throwaway_settings() -> str:
    """Return the README's settings among those that Django itself needs."""
    ours = blocks(README)[SETTINGS].replace(
        "INSTALLED_APPS = [",
        "INSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes',"
        " 'django.contrib.sessions', 'django.contrib.messages', 'rest_framework',",
    )
    return f"""{ours}
SECRET_KEY = "readme"
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:",
    "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}}}}}
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COV")},
        "DJANGO_SETTINGS_MODULE": "readme_settings",
        "PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}",
        "TALON_ONE_BASE_URL": "http://127.0.0.1:8181",
        "TALON_ONE_API_KEY": "sbx-readme",
    }
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=300
    )


def test_C1_the_readmes_adapter_has_less_than_30_lines():
    assert len(blocks(README)[ADAPTER].splitlines()) < 30


def test_the_readmes_settings_and_adapter_pass_every_check(shop):
    done = run(shop, "-m", "django", "check", "--tag", "talon", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_a_misspelt_path_in_the_readmes_adapter_is_an_error_with_the_nearest_name(shop):
    talon = shop / "shop/talon.py"
    talon.write_text(talon.read_text().replace('"unit_price"', '"unit_prise"'))
    done = run(shop, "-m", "django", "check", "--tag", "talon")
    assert done.returncode == 1
    assert "django_talon.E010" in done.stderr
    assert "unit_price" in done.stderr


def test_the_readmes_urls_lead_to_the_endpoints(shop):
    code = (
        "import django; django.setup(); from django.urls import resolve;"
        "print([resolve(p).url_name for p in"
        " ('/talon/evaluate/', '/talon/coupons/', '/talon/coupons/WELCOME10/')])"
    )
    done = run(shop, "-c", code)
    assert done.stdout.strip() == "['evaluate', 'coupons', 'coupon']", done.stderr


def test_every_setting_is_described_with_its_default():
    described = rows(DOCS / "reference/settings.md")
    assert set(described) == conf.KEYS
    defaults = {name: key.default for name, key in vars(conf.Conf).items() if name.isupper()}
    for name, default in defaults.items():
        written = described[name][1].strip("`").replace('"', "'")
        assert written == repr(default), name


def test_every_check_is_described():
    numbers = {
        *(f"E{int(n):03}" for n in re.findall(r"_error\(\s*(\d+)", sources())),
        *(f"W{int(n):03}" for n in re.findall(r"_warning\(\s*(\d+)", sources())),
        *re.findall(r"\"django_talon\.([EWI]\d{3})\"", sources()),
    }
    described = rows(DOCS / "reference/checks.md")
    assert set(described) == {f"django_talon.{number}" for number in numbers}
    assert all(all(cells) for cells in described.values())


def test_every_signal_is_described():
    named = {name for name in vars(signals) if not name.startswith("_")}
    assert set(rows(DOCS / "reference/signals.md")) == named - {"Signal", "annotations"}


def test_the_floors_on_the_page_are_those_of_the_contract():
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    layers = setup["importlinter:contract:floors"]["layers"].strip().splitlines()
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawn = re.search(r"```text\n( *apps.*?)^ *client\b", page, re.MULTILINE | re.DOTALL)
    assert drawn is not None
    floors = [re.split(r" {3,}", line.strip())[0] for line in drawn[1].splitlines()]
    assert [*floors, "client"] == [re.sub(r"[()]", "", layer) for layer in layers]


@every_page
def test_every_test_that_is_named_exists(page):
    suites = "\n".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in suites, name


@every_page
def test_every_command_that_is_named_exists(page):
    for name in re.findall(r"manage\.py (talon_\w+)", page.read_text(encoding="utf-8")):
        assert get_commands().get(name) == "django_talon", name


@every_page
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@every_page
def test_every_python_block_compiles(page):
    for block in python_blocks(page):
        compile(block, str(page), "exec")


def test_the_architecture_names_every_module_of_its_floors():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:models|shop|effects|outbox)/\w+\.py)`", page))
    package = PROJECT / "django_talon"
    assert named == {
        path.relative_to(package).as_posix()
        for floor in ("models", "shop", "effects", "outbox")
        for path in (package / floor).glob("*.py")
        if path.name != "__init__.py"
    }
