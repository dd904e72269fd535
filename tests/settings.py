"""The settings under which the test suite runs.

``TALON_TEST_DATABASE=postgresql`` (or ``mysql``) runs it there instead of on SQLite. Processes
that a test starts get the test's own database, broker and settings by
``TALON_TEST_NAME``, ``TALON_TEST_BROKER`` and ``TALON_TEST_TALON_ONE`` (JSON).
``TALON_TEST_WITHOUT`` names a rule of delivery that is taken out (see tests/services/faults).
"""

from __future__ import annotations

import json
import os
import tempfile

SECRET_KEY = "tests"
DEBUG = False
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_talon",
    "example_project.shop",
    "tests.shops",
    "tests.shops.bazaar",
]
if os.environ.get("TALON_TEST_GUARDED"):
    INSTALLED_APPS.append("tests.guards.Guarded")
if os.environ.get("TALON_TEST_WITHOUT"):
    INSTALLED_APPS.append("tests.services.faults.without.Without")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _sqlite(name: str) -> dict[str, object]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"var/{name}.sqlite3",
        "TEST": {"NAME": f"{tempfile.gettempdir()}/talon_{name}_{os.getpid()}.sqlite3"},
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # The tests kill processes, not the machine.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }


_KIND = os.environ.get("TALON_TEST_DATABASE", "sqlite")
if _KIND == "postgresql":
    _default: dict[str, object] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "django_talon",
        # Several runs at a time on one machine keep out of each other's way.
        "TEST": {"NAME": f"test_django_talon_{os.getpid()}"},
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "USER": os.environ.get("PGUSER", "postgres"),
    }
elif _KIND == "mysql":
    _default = {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "django_talon",
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "USER": os.environ.get("MYSQL_USER", "root"),
        "TEST": {"NAME": f"test_django_talon_{os.getpid()}"},
    }
else:
    os.makedirs("var", exist_ok=True)
    _default = _sqlite("default")

_default["NAME"] = os.environ.get("TALON_TEST_NAME", _default["NAME"])
if os.environ.get("TALON_TEST_AUTOCOMMIT") == "off":
    _default["AUTOCOMMIT"] = False
DATABASES = {"default": _default, "other": _sqlite("other")}

CELERY_BROKER_URL = os.environ.get("TALON_TEST_BROKER", "memory://")
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("TALON_TEST_QUEUE", "celery")
TALON_ONE = json.loads(
    os.environ.get(
        "TALON_TEST_TALON_ONE", '{"BASE_URL": "http://127.0.0.1:9", "API_KEY": "sbx-tests"}'
    )
)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
