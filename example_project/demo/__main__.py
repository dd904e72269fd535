"""``python -m example_project.demo``: start everything, make the journey, stay up."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType

import requests

from example_project.demo.journal import Journal
from example_project.demo.journey import Journey
from example_project.demo.processes import Child, DidNotStartError, House
from example_project.demo.report import MismatchError, Report, say

WORLD = "demo"
KEY = f"sbx-{WORLD}"

EPILOG = """\
What runs: a sandbox of Talon.One's Integration API, a Celery worker with beat (its broker
is a folder), and the example shop, all on 127.0.0.1 and on a fresh SQLite database in a
temporary folder that is removed at the end. A process that dies is started again.

  make demo                        make the journey, then stay up until Ctrl-C
  make demo ONCE=1                 end after the journey; exit code 0 if every step was right
  make demo READY=demo.json        write the addresses and keys there once you may go on

While it is up, everything Talon.One received is at SANDBOX/_sandbox/journal?world=demo
"""


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="talon-demo-") as folder:
        try:
            with House(Path(folder), say) as house:
                return _demo(house, options)
        except KeyboardInterrupt:
            say("\nInterrupted; everything is stopped.")
            return 130


def _demo(house: House, options: argparse.Namespace) -> int:
    try:
        addresses = _open(house, options)
        if options.once:
            _write_ready_file(options.ready, addresses)
        verified = _travel(addresses, options.patience)
    except DidNotStartError as error:
        say(f"\n{error}")
        _show_logs(house)
        return 1
    if not verified:
        _show_logs(house)
    if not options.once:
        _write_ready_file(options.ready, addresses)
        _stay(addresses)
    return 0 if verified else 1


def _open(house: House, options: argparse.Namespace) -> dict[str, str]:
    """Start all processes and return where they answer."""
    house.environment |= _environment(house.folder)
    ready_file = house.folder / "sandbox.url"
    sandbox = house.start(_sandbox(options.sandbox_port, ready_file), options.patience)
    house.environment |= {"TALON_ONE_BASE_URL": sandbox, "TALON_ONE_API_KEY": KEY}
    say("making the database, with products and customers")
    house.run("migrate")
    house.run("seed_shop")
    house.start(_worker(), options.patience)
    shop = house.start(_shop(options.shop_port), options.patience)
    return {
        "shop": shop,
        "admin": f"{shop}/admin/",
        "user": "admin",
        "password": "admin",
        "sandbox": sandbox,
        "key": KEY,
    }


def _environment(folder: Path) -> dict[str, str]:
    settings = os.environ.get("DJANGO_SETTINGS_MODULE", "example_project.settings")
    return {
        "DJANGO_SETTINGS_MODULE": settings,
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "SHOP_STATE_DIR": str(folder),
        "DATABASE": str(folder / "shop.sqlite3"),
        "CELERY_BROKER_URL": "filesystem://",
        # The second erasure waits for lease + hold: nobody should watch that for 90 seconds.
        "TALON_ONE_DEADLINE": "3",
        "TALON_ONE_LEASE": "8",
        "TALON_ONE_HOLD": "1",
    }


def _sandbox(port: int, ready_file: Path) -> Child:
    def command(port: int) -> list[str]:
        options = ["--port", str(port), "--ready-file", str(ready_file), "--seed", WORLD]
        return ["-m", "django_talon.sandbox", *options]

    def answers(child: Child) -> str:
        return ready_file.read_text().strip().rstrip("/") if ready_file.is_file() else ""

    return Child("sandbox", command, answers, port)


def _worker() -> Child:
    def command(port: int) -> list[str]:
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        options = ["-B", "--concurrency", "2", "--loglevel", "INFO", *quiet]
        return ["-m", "celery", "-A", "example_project", "worker", *options]

    return Child("worker", command, lambda child: child.log_match(r"celery@\S+ ready"))


def _shop(port: int) -> Child:
    def command(port: int) -> list[str]:
        return ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]

    return Child(
        "shop", command, lambda child: child.log_match(r"http://127\.0\.0\.1:[1-9]\d*"), port
    )


def _travel(addresses: dict[str, str], patience: float) -> bool:
    journal = Journal(addresses["sandbox"], WORLD, patience)
    try:
        Journey(addresses["shop"], journal, Report(journal)).run()
    except (MismatchError, requests.RequestException, LookupError) as error:
        say(f"\nThe journey ended early. Not as it should be: {error}")
        return False
    say("\nThe journey is complete: every step was verified, in the shop and at Talon.One.")
    return True


def _show_logs(house: House) -> None:
    say(f"\nThe logs end so:\n{house.log_tails()}")


def _stay(addresses: dict[str, str]) -> None:
    say(f"\n  shop      {addresses['shop']}/      ada / ada, grace / grace")
    say(f"  admin     {addresses['admin']}      admin / admin")
    say(f"  sandbox   {addresses['sandbox']}/_sandbox/journal?world={WORLD}")
    say("\nCtrl-C stops everything.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("\nStopping.")


def _write_ready_file(path: str | None, addresses: dict[str, str]) -> None:
    if path:
        new = Path(f"{path}.new")
        new.write_text(json.dumps(addresses, indent=2))
        new.replace(path)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m example_project.demo",
        description="Drive the example shop from the first product to the erased customer,"
        " and show what Talon.One receives.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="end after the journey")
    parser.add_argument("--ready", metavar="FILE", help="write the addresses there as JSON")
    parser.add_argument(
        "--patience", type=float, default=60, metavar="S", help="seconds to wait for anything"
    )
    parser.add_argument(
        "--shop-port",
        type=int,
        default=8000,
        metavar="N",
        help="used if free; 0: any (%(default)s)",
    )
    parser.add_argument(
        "--sandbox-port", type=int, default=8181, metavar="N", help="likewise (%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
