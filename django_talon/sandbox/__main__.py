"""Start the sandbox from the command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .doors.socket_server import SocketServer
from .engine.blocks import SeedError
from .seeds import load
from .service import Sandbox

BUSY, BAD_SEED = 3, 4
DEFAULT_PORT = 8181

_DESCRIPTION = """\
A local sandbox of Talon.One's Integration API. Every API key sbx-<name> opens a world of its
own, made from the seed on first use; sbx-<name>.<application> is another application of the
same world, with the same customer profiles."""

_EPILOG = """\
examples:
  python -m django_talon.sandbox --port 8181
  python -m django_talon.sandbox --port 0 --ready-file sandbox.url
  python -m django_talon.sandbox --seed campaigns.json

exit codes: 0 stopped, 2 wrong arguments, 3 the port cannot be used, 4 the seed cannot be used"""

_BANNER = """\
Talon.One sandbox: {url}
An API key:        sbx-shop
Journal:           {url}/_sandbox/

TALON_ONE = {{
    "BASE_URL": "{url}",
    "API_KEY": "sbx-shop",
}}

Ctrl-C stops it."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="talon-sandbox",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(made)
    return made


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser; ``manage.py talon_sandbox`` shares them."""
    made.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    made.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s only)"
    )
    made.add_argument(
        "--ready-file", type=Path, metavar="F", help="write the base URL there once it answers"
    )
    made.add_argument(
        "--seed",
        default="demo",
        metavar="demo|FILE",
        help="campaigns, coupons and declared attributes of new worlds (default: %(default)s)",
    )
    made.add_argument(
        "--loose",
        action="store_true",
        help="accept fields, attributes and event types that the seed does not declare",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until Ctrl-C or SIGTERM; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        seed = load(options.seed)
    except SeedError as error:
        print(f"talon-sandbox: seed {error}", file=sys.stderr)
        return BAD_SEED
    server = SocketServer(Sandbox(seed, loose=options.loose), options.host, options.port)
    return serve(server, options.ready_file)


def serve(server: SocketServer, ready_file: Path | None) -> int:
    """Start a server, say so, and wait for the signal to stop; return the exit code."""
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        server.start()
    except OSError as error:
        where = f"{server.host}:{server.port}"
        why = f"{error.strerror or error}; choose another with --port, or --port 0"
        print(f"talon-sandbox: cannot listen on {where}: {why}", file=sys.stderr)
        return BUSY
    if not server.is_local:
        print("talon-sandbox: WARNING: other machines can reach this sandbox", file=sys.stderr)
    print(_BANNER.format(url=server.url), flush=True)
    if ready_file is not None:
        write_atomically(ready_file, f"{server.url}\n")
    stop.wait()
    server.stop()
    return 0


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def write_atomically(path: Path, content: str) -> None:
    """Write a file so that whoever sees it sees all of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as written:
        written.write(content)
    os.replace(written.name, path)


if __name__ == "__main__":
    sys.exit(main())
