"""The built distribution, alone: what it holds, and how far it carries a new shop."""

import os
import re
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
from pathlib import Path

import pytest
import requests

from tests.snippets import ADAPTER, SETTINGS, blocks

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
README = PROJECT / "README.md"
LONG = 600


def run(*command, cwd, env=None):
    """Run a command to its end; return what it printed, fail with all of it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env or clean_environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=LONG,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment(**more):
    """Return the environment without what would let this checkout or its settings in."""
    dropped = ("PYTHON", "PYTEST", "DJANGO", "TALON", "COV", "CELERY", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build sdist and wheel; return the folder they are in."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, PROJECT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions):
    [found] = distributions.glob("*.whl")
    return found


class Environment:
    """The wheel and what it requires, nothing else; ``seconds`` is what that took."""

    def __init__(self, folder, wheel):
        began = time.monotonic()
        self.programs = folder / "bin"
        self.python = self.programs / "python"
        run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
        run(self.python, "-m", "pip", "install", "-q", wheel, cwd=folder.parent)
        self.seconds = time.monotonic() - began


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("fresh") / "venv", wheel)


def source_files():
    """Return every file of the package, as the wheel names it."""
    package = PROJECT / "django_talon"
    found = (path for path in package.rglob("*") if path.is_file())
    return {
        path.relative_to(PROJECT).as_posix()
        for path in found
        if "__pycache__" not in path.parts and path.suffix not in {".po", ".pot"}
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}

    assert names - metadata == source_files()
    assert {
        "django_talon/py.typed",
        "django_talon/migrations/0001_initial.py",
        "django_talon/sandbox/campaigns/demo.json",
    } <= names
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_the_sdist_builds_the_same_package(distributions):
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}

    assert source_files() <= names
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_importing_the_package_loads_nothing_heavy(environment, tmp_path):
    code = """
        import sys
        import django_talon, django_talon.client, django_talon.sandbox, django_talon.testing
        import django_talon.shop.snapshots
        heavy = {"celery", "kombu", "rest_framework", "requests", "tqdm", "yaml"}
        print(sorted(heavy & set(sys.modules)))
    """
    printed = run(environment.python, "-c", textwrap.dedent(code), cwd=tmp_path)
    assert printed.strip() == "[]"


def test_requires_what_it_says_and_no_more(environment, tmp_path):
    frozen = run(environment.python, "-m", "pip", "freeze", "--all", cwd=tmp_path).lower()
    for name in ("django==", "djangorestframework==", "requests==", "celery==", "msgspec=="):
        assert name in frozen
    for name in ("pyyaml", "redis", "drf-spectacular", "psycopg", "pytest"):
        assert f"{name}==" not in frozen


def test_I1_from_pip_install_to_first_synced_cart(environment, tmp_path):
    """The wheel, a project of ``startproject``, the README's settings and adapter; no more."""
    began = time.monotonic()
    shop = make_shop(environment, tmp_path)

    ready = tmp_path / "sandbox.url"
    options = ("--port", "0", "--ready-file", str(ready))
    with subprocess.Popen(
        [environment.programs / "talon-sandbox", *options], cwd=tmp_path, env=clean_environment()
    ) as sandbox:
        try:
            url = when_ready(sandbox, ready)
            env = clean_environment(TALON_ONE_BASE_URL=url, TALON_ONE_API_KEY="sbx-first")
            fill_a_cart(environment, shop, env)
            received = relay_until_something_arrives(environment, shop, env)
        finally:
            sandbox.terminate()
    seconds = environment.seconds + time.monotonic() - began

    [session] = [
        call["body"]["customerSession"]
        for call in received
        if call["operation"] == "updateCustomerSessionV2"
    ]
    assert session["state"] == "open"
    assert session["profileId"] == "1"
    [item] = session["cartItems"]
    assert (item["sku"], item["quantity"], float(item["price"])) == ("mug", 2, 9.9)
    assert {call["status"] for call in received} <= {200, 201, 204}
    print(f"from pip install to the first synced cart: {seconds:.0f} s")
    assert seconds < 600


def make_shop(environment, folder):
    """Start a project, add an app with the example's models, and what the README says."""
    run(environment.programs / "django-admin", "startproject", "site_of_a_shop", cwd=folder)
    project = folder / "site_of_a_shop"
    run(environment.python, "manage.py", "startapp", "shop", cwd=project)
    models = (PROJECT / "example_project/shop/models.py").read_text(encoding="utf-8")
    (project / "shop/models.py").write_text(models, encoding="utf-8")
    adapter = blocks(README)[ADAPTER]
    assert len(adapter.splitlines()) < 30
    (project / "shop/talon.py").write_text(adapter, encoding="utf-8")
    settings = project / "site_of_a_shop/settings.py"
    settings.write_text(with_the_five_settings(settings.read_text()), encoding="utf-8")
    return project


def with_the_five_settings(settings):
    """Add the README's settings to those of ``startproject``, whose apps stay."""
    ours = blocks(README)[SETTINGS]
    assert set(re.findall(r"^([A-Z_]+) =|^    \"([A-Z_]+)\":", ours, re.MULTILINE)) == {
        ("INSTALLED_APPS", ""),
        ("TALON_ONE", ""),
        ("", "BASE_URL"),
        ("", "API_KEY"),
        ("CELERY_BROKER_URL", ""),
        ("CELERY_BEAT_SCHEDULE", ""),
    }
    ours = ours.replace("INSTALLED_APPS = [", "INSTALLED_APPS = INSTALLED_APPS + [")
    ours = ours.replace('    "django.contrib.admin",\n', "")  # startproject has it
    return f"{settings}\n{ours}"


def fill_a_cart(environment, shop, env):
    code = """
        from decimal import Decimal
        from django.contrib.auth.models import User
        from shop.models import Cart, CartItem, Product
        mug = Product.objects.create(sku="mug", name="Mug", price=Decimal("9.90"))
        cart = Cart.objects.create(user=User.objects.create_user("ada"))
        CartItem.objects.create(cart=cart, product=mug, quantity=2)
    """
    manage = (environment.python, "manage.py")
    run(*manage, "makemigrations", "shop", cwd=shop, env=env)
    run(*manage, "migrate", cwd=shop, env=env)
    run(*manage, "check", "--tag", "talon", "--fail-level", "ERROR", cwd=shop, env=env)
    run(*manage, "shell", "-c", textwrap.dedent(code), cwd=shop, env=env)


def relay_until_something_arrives(environment, shop, env):
    """Return the sandbox's journal. What was saved within the last second is not due yet."""
    journal = f"{env['TALON_ONE_BASE_URL']}/_sandbox/journal?world=first"
    ends = time.monotonic() + 120
    while not (received := requests.get(journal, timeout=30).json()):
        assert time.monotonic() < ends, "nothing arrived"
        run(environment.python, "manage.py", "talon_relay", "--once", cwd=shop, env=env)
    return received


def when_ready(process, file):
    ends = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, "the sandbox ended"
        assert time.monotonic() < ends, "the sandbox did not start"
        time.sleep(0.05)
    return file.read_text(encoding="utf-8").strip()
