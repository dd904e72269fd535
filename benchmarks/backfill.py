"""Memory and pace of ``talon_backfill customers`` at ten thousand and at a million users.

    python benchmarks/backfill.py [--users 10000 1000000] [--answers minimal|sandbox]

On PostgreSQL (PGHOST, PGUSER as usual; a database of its own is made and dropped). The users are
real rows, each with a row of the shop's profile model from which an attribute is read. The command
runs in a process of its own; its peak is what the kernel says (ru_maxrss). The answering server is
a process of its own too: ``minimal`` reads each request whole and answers 204, as Talon.One does to
a silent update, and counts the profiles; ``sandbox`` is the real sandbox, which keeps all profiles
in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["TALON_TEST_DATABASE"] = "postgresql"


class Answering(BaseHTTPRequestHandler):
    """Answers 204 to everything and counts what came."""

    protocol_version = "HTTP/1.1"
    calls = 0
    profiles = 0

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Answering.calls += 1
        Answering.profiles += body.count(b'"integrationId"')
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def minimal() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@contextmanager
def sandbox() -> Iterator[str]:
    from django_talon.testing import SandboxServer

    with SandboxServer() as server:
        yield server.url


def fill(users: int) -> None:
    """Make the users and their profiles in the database itself: a million in seconds."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff,"
            " is_active, is_superuser, date_joined) SELECT 'u' || n, '', '', '', '', false, true,"
            " false, now() FROM generate_series(1, %s) n",
            [users],
        )
        cursor.execute("INSERT INTO shop_profile (user_id, tier) SELECT id, 'gold' FROM auth_user")
        cursor.execute("ANALYZE auth_user")
        cursor.execute("ANALYZE shop_profile")


def empty() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE auth_user, shop_profile, django_talon_customerprofile, django_talon_lane,"
            " django_talon_progress, django_talon_deliverylog RESTART IDENTITY CASCADE"
        )


def watch(pid: int, users: int) -> None:
    """Print the peak so far at each tenth of a large table."""
    before, told = Answering.profiles, 0
    while os.path.exists(f"/proc/{pid}/status"):
        tenth = (Answering.profiles - before) * 10 // users
        if users >= 100_000 and tenth > told:
            told = tenth
            with open(f"/proc/{pid}/status") as status:
                peaks = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
            print(
                f"  after {tenth * 10:3} %: peak {max(peaks, default=0) / 1024:.1f} MiB", flush=True
            )
        time.sleep(0.5)


def run(url: str, database: str, users: int) -> tuple[float, float, float, str]:
    """Return seconds, seconds of CPU, the peak in MiB and what was printed."""
    environment = {
        **os.environ,
        "TALON_TEST_NAME": database,
        "TALON_TEST_TALON_ONE": json.dumps({"BASE_URL": url, "API_KEY": "sbx-benchmark"}),
    }
    command = [sys.executable, "-m", "django", "talon_backfill", "customers"]
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    watching = threading.Thread(target=watch, args=(process.pid, users), daemon=True)
    watching.start()
    assert process.stdout is not None
    said = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    worked = usage.ru_utime + usage.ru_stime
    return time.monotonic() - started, worked, usage.ru_maxrss / 1024, said.strip()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--users", type=int, nargs="+", default=[10_000, 1_000_000])
    options.add_argument("--answers", choices=["minimal", "sandbox"], default="minimal")
    chosen = options.parse_args()
    import django

    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    database = str(connection.settings_dict["NAME"])
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    try:
        with minimal() if chosen.answers == "minimal" else sandbox() as url:
            for users in chosen.users:
                empty()
                fill(users)
                calls, profiles = Answering.calls, Answering.profiles
                seconds, worked, peak, said = run(url, database, users)
                print(
                    f"{users:>9} users: {seconds:7.1f} s, {users / seconds:7.0f} a second, CPU"
                    f" {worked:6.1f} s, {users / worked:7.0f} a CPU second, peak"
                    f" {peak:6.1f} MiB, {Answering.calls - calls} calls with"
                    f" {Answering.profiles - profiles} profiles; {said}",
                    flush=True,
                )
    finally:
        connection.creation.destroy_test_db("django_talon", verbosity=0)


if __name__ == "__main__":
    main()
