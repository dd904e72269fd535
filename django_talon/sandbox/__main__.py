"""Start the sandbox from the command line."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from . import limits, seeds, tls
from .clock import Clock, parsed
from .declared import Declared
from .doors.socket_server import SocketServer
from .engine.blocks import SeedError
from .engine.decisions import DIALECTS
from .engine.errors import RefusedError
from .faults import FaultError
from .keys import Signer, signer
from .service import Sandbox

BUSY, BAD_SEED, BAD_FAULTS, NO_TLS = 3, 4, 5, 6
DEFAULT_PORT = 8181

_DESCRIPTION = """\
A local sandbox of Talon.One's Integration API. Every API key sbx-<name> opens a world of its
own, made from the seed on first use; sbx-<name>.<application> is another application of the
same world, with the same customer profiles."""

_EPILOG = """\
examples:
  python -m django_talon.sandbox --port 8181
  python -m django_talon.sandbox --port 0 --ready-file sandbox.url
  python -m django_talon.sandbox --seed campaigns.json --clock frozen:2026-01-01T00:00:00Z
  python -m django_talon.sandbox --application 59:fefecafedeadbeef:shop

exit codes: 0 stopped, 2 wrong arguments, 3 the port cannot be used, 4 the seed cannot be used,
5 the fault rules cannot be used, 6 no certificate can be made"""

_BANNER = """\
Talon.One sandbox: {url}
An API key:        sbx-shop
Inspector:         {url}/_sandbox/{query}

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
    made.add_argument(
        "--limits", action="store_true", help="print what is emulated and what is not, and end"
    )
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
        "--dialect", choices=DIALECTS, help="which API it speaks (default: what the seed says)"
    )
    _add_switches(made)
    _add_security(made)


def _add_switches(made: argparse.ArgumentParser) -> None:
    checking = made.add_mutually_exclusive_group()
    checking.add_argument(
        "--strict",
        action="store_true",
        help="refuse fields, attributes and event types that the seed does not declare (default)",
    )
    checking.add_argument("--loose", action="store_true", help="accept them, with a warning")
    made.add_argument(
        "--clock",
        type=_clock,
        default="real",
        metavar="real|frozen:TIME",
        help="the clock of new worlds; TIME in RFC 3339 (default: %(default)s)",
    )
    made.add_argument(
        "--faults", type=Path, metavar="FILE", help="fault rules that every world begins with"
    )
    made.add_argument(
        "--no-magic",
        action="store_true",
        help="let codes and ids such as SBX-503-3 be like any other",
    )


def _add_security(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--application",
        type=_signer,
        action="append",
        default=[],
        metavar="ID:HEXKEY:WORLD",
        help="accept requests signed in the way of 2020 (may be repeated)",
    )
    made.add_argument(
        "--token", help="what control calls must carry if --host is not this machine only"
    )
    made.add_argument("--tls-port", type=_port, metavar="N", help="a second port, with TLS")
    made.add_argument(
        "--tls", choices=tls.KINDS, default="self-signed", help="its certificate (%(default)s)"
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port


def _clock(text: str) -> str:
    if text != "real":
        kind, _, at = text.partition(":")
        try:
            _ = parsed(at)
        except RefusedError as error:
            raise argparse.ArgumentTypeError(error.message) from error
        if kind != "frozen":
            raise argparse.ArgumentTypeError("must be real or frozen:TIME")
    return text


def _signer(text: str) -> Signer:
    try:
        return signer(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def clock_of(text: str) -> Clock:
    """Return a new clock as ``--clock`` describes it."""
    return Clock() if text == "real" else Clock(parsed(text.partition(":")[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until Ctrl-C or SIGTERM; return the exit code."""
    options = vars(parser().parse_args(arguments))
    if options["limits"]:
        print(limits.page(), end="")
        return 0
    return run(options)


def run(options: Mapping[str, Any], declared: Declared | None = None) -> int:
    """Run the sandbox with parsed options and what is declared beside the seed."""
    try:
        seed = (declared or Declared()).added_to(seeds.load(options["seed"], options["dialect"]))
        rules = seeds.rules(options["faults"]) if options["faults"] else []
    except SeedError as error:
        print(f"talon-sandbox: seed {error}", file=sys.stderr)
        return BAD_SEED
    except FaultError as error:
        print(f"talon-sandbox: faults {error}", file=sys.stderr)
        return BAD_FAULTS
    sandbox = Sandbox(
        seed,
        loose=options["loose"],
        clock=lambda: clock_of(options["clock"]),
        rules=rules,
        signers=options["application"],
        magic=not options["no_magic"],
    )
    token = options["token"] or secrets.token_urlsafe(16)
    server = SocketServer(sandbox, options["host"], options["port"], token=token)
    with ExitStack() as held:
        return _serve(server, options, held)


def _serve(server: SocketServer, options: Mapping[str, Any], held: ExitStack) -> int:
    servers, told = [server], ""
    if options["tls_port"] is not None:
        try:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
            context, certificate = tls.context(options["tls"], folder)
        except tls.TlsError as error:
            print(f"talon-sandbox: {error}", file=sys.stderr)
            return NO_TLS
        secure = SocketServer(
            server.sandbox, server.host, options["tls_port"], token=server.token, tls=context
        )
        servers.append(secure)
        told = f"its certificate: {certificate}"
    return serve(servers, options["ready_file"], told)


def serve(servers: list[SocketServer], ready_file: Path | None, told: str) -> int:
    """Start servers, say so, and wait for the signal to stop; return the exit code."""
    stop = threading.Event()
    _stop_on_signals(stop)
    for server in servers:
        try:
            server.start()
        except OSError as error:
            where = f"{server.host}:{server.port}"
            why = f"{error.strerror or error}; choose another with --port, or --port 0"
            print(f"talon-sandbox: cannot listen on {where}: {why}", file=sys.stderr)
            return BUSY
    _announce(servers, told)
    if ready_file is not None:
        write_atomically(ready_file, f"{servers[0].url}\n")
    stop.wait()
    for server in servers:
        server.stop()
    return 0


def _announce(servers: list[SocketServer], told: str) -> None:
    first, *others = servers
    query = "" if first.is_local else f"?token={first.token}"
    if not first.is_local:
        print("talon-sandbox: WARNING: other machines can reach this sandbox", file=sys.stderr)
        print("Control calls need X-Sandbox-Token, or ?token= in a browser.", file=sys.stderr)
    print(_BANNER.format(url=first.url, query=query), flush=True)
    for other in others:
        print(f"TLS: {other.url}, {told}", flush=True)


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
