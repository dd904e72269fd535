"""The door for shop code: what it offers, and what it does not load before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import django_talon
from django_talon import client

ROOT = Path(__file__).parents[2]


def loaded(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_the_door():
    assert django_talon.__all__ == [
        "__version__",
        "evaluate",
        "link",
        "mark",
        "merged",
        "muted",
        "on_effect",
        "paused",
        "track",
    ]
    assert dir(django_talon) == sorted(django_talon.__all__)


@pytest.mark.parametrize("name", sorted(set(django_talon.__all__) - {"__version__"}))
def test_each_name_is_there(name: str):
    assert getattr(django_talon, name).__name__ == name


def test_there_is_nothing_else():
    with pytest.raises(AttributeError) as caught:
        django_talon.evaluat  # noqa: B018
    assert str(caught.value) == "module 'django_talon' has no attribute 'evaluat'"


def test_the_door_loads_nothing_but_itself():
    ours = {name for name in loaded("import django_talon") if name.startswith("django_talon")}
    assert ours == {"django_talon", "django_talon._version"}


@pytest.mark.parametrize(
    "statement",
    [
        "import django_talon",
        "import django_talon.client",
        "from django_talon.client import IntegrationClient, TalonError, decode_effects",
        "import django_talon.sandbox.engine.sessions",
    ],
)
def test_plain_python_stays_plain(statement: str):
    assert not loaded(statement) & {"django", "celery", "kombu", "rest_framework", "tqdm", "yaml"}


@pytest.mark.parametrize(
    "statement", ["import django_talon", "import django_talon.sandbox.engine.sessions"]
)
def test_requests_is_loaded_by_the_client_only(statement: str):
    assert "requests" not in loaded(statement)


@pytest.mark.parametrize(
    ("statement", "unused"),
    [
        ("import django; django.setup()", {"celery", "rest_framework", "tqdm"}),
        (
            "import django; django.setup(); import django_talon as t; t.mark, t.evaluate, t.track",
            {"celery", "rest_framework", "tqdm"},
        ),
        ("import django; django.setup(); import django_talon.tasks", {"rest_framework", "tqdm"}),
    ],
)
def test_a_project_loads_celery_and_rest_framework_where_they_are_used(
    statement: str, unused: set[str]
):
    bare = (
        "from django.conf import settings;"
        "settings.configure(SECRET_KEY='x', INSTALLED_APPS=['django_talon'],"
        " DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}});"
    )
    assert not loaded(bare + statement) & unused


def test_the_client_offers_what_it_lists():
    missing = [name for name in client.__all__ if not hasattr(client, name)]
    assert missing == []
