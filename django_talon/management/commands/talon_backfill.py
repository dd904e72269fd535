"""``manage.py talon_backfill``: bring an existing shop to Talon.One."""

from __future__ import annotations

import json
import sys
import threading
import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from dataclasses import replace
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from django_talon.client import encode
from django_talon.conf import (
    TalonConfigurationError,
    application,
    application_settings,
    conf,
)
from django_talon.management.base import TalonCommand
from django_talon.management.commands._moments import moment, positive, whole
from django_talon.management.commands.talon_relay import asked_to_stop
from django_talon.outbox.repair import backfill, progress
from django_talon.outbox.repair.backfill import Backfill, Choice
from django_talon.outbox.repair.bulk import REFUSED
from django_talon.outbox.repair.patience import CannotGoOn, Patience, Stopped
from django_talon.outbox.repair.scan import Window

#: Profiles of one bulk call at most.
MOST = 1000
#: Seconds between two lines where nobody watches a bar.
EVERY = 10.0


class Command(TalonCommand):
    """Sends customers, carts or orders that are older than the installation."""

    help = (
        "Bring what the shop has already to Talon.One. Begin with customers: they go by the bulk"
        " call, a thousand at a time, silently, and no rules run. Then carts, if shoppers should"
        " find promotions in carts they have filled before; they go into the outbox, which the"
        " workers drain, and it is kept short. Orders only if you mean it: closing their sessions"
        " redeems coupons, spends budgets and pays points, now and for good.\n\n"
        "What was sent already is not sent again. Ctrl-C, SIGTERM or a kill lose nothing: the same"
        " command goes on where the last one stopped. One run at a time for each kind. It waits"
        " through outages and while Talon.One asks for patience. Erased customers are left out."
    )
    missing_args_message = "Say what to send: customers, carts or orders."

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=_Help, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=list(backfill.ROLES), help="what to send")
        parser.add_argument(
            "--application",
            metavar="ALIAS",
            help="only what ROUTER gives to this Application (default: one after the other)",
        )
        for name, text in (("since", "changed, or made, at or after"), ("until", "before")):
            parser.add_argument(
                f"--{name}",
                metavar="WHEN",
                help=f"only what was {text} this: 2026-11-01, 36h, 7d",
            )
        parser.add_argument(
            "--rate", type=positive, metavar="N", help="at most N a second (default: no limit)"
        )
        parser.add_argument(
            "--batch",
            type=whole,
            default=MOST,
            metavar="N",
            help="customers of one call, up to %(default)s (the default)",
        )
        parser.add_argument("--limit", type=whole, metavar="N", help="end after N rows")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="send nothing; count, and show three payloads as they would be sent",
        )
        again = parser.add_mutually_exclusive_group()
        again.add_argument(
            "--resume",
            action="store_true",
            help="insist on going on (the default does so if there is an unfinished run)",
        )
        again.add_argument("--restart", action="store_true", help="begin at the first row")
        parser.add_argument(
            "--resend",
            action="store_true",
            help="customers: send those too who are as they were sent last, as after a database"
            " was restored",
        )
        parser.add_argument(
            "--max-refused",
            type=whole,
            default=100,
            metavar="N",
            help="stop after so many refused customers: something is wrong with all"
            " (default: %(default)s)",
        )
        parser.add_argument("--yes", action="store_true", help="orders: do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if not conf.ENABLED:
            raise CommandError("TALON_ONE['ENABLED'] is off: nothing would be sent.")
        if options["batch"] > MOST:
            raise CommandError(f"--batch is at most {MOST}: Talon.One takes no more in one call.")
        if options["what"] == "orders" and not options["since"]:
            raise CommandError(
                "Orders need --since: closing old sessions redeems coupons and pays points. Say"
                " how far back you mean it."
            )
        refused = 0
        with asked_to_stop() as stop:
            for choice in self._choices(options):
                try:
                    refused += self._one(choice, stop, options)
                except Stopped:
                    raise CommandError("Stopped. The same command goes on from here.") from None
                except _PROBLEMS as error:
                    raise CommandError(str(error)) from None
        if refused:
            raise CommandError(f"{refused} could not be sent: see the dead letters.")

    def _choices(self, options: dict[str, Any]) -> list[Choice]:
        named = options["application"]
        try:
            since, until = (moment(options[n]) if options[n] else None for n in ("since", "until"))
            apps = [application(alias) for alias in ([named] if named else application_settings())]
        except (TalonConfigurationError, ArgumentTypeError) as error:
            raise CommandError(str(error)) from None
        return [
            Choice(
                options["what"],
                app,
                Window(since, until),
                options["batch"],
                options["limit"],
                options["resend"],
            )
            for app in apps
        ]

    def _one(self, choice: Choice, stop: threading.Event, options: dict[str, Any]) -> int:
        patience = Patience(rate=options["rate"], stop=stop, say=self._say)
        if options["dry_run"]:
            return self._preview(choice, patience)
        if options["what"] == "orders" and not options["yes"]:
            self._ask(choice)
        if options["resume"] and progress.unfinished(choice.name) is None:
            raise CommandError(f"There is no unfinished run of {choice.name!r}.")
        filters = {name: options[name] or "" for name in ("since", "until", "resend")}
        with progress.running(choice.name, filters, restart=options["restart"]) as run:
            return self._send(choice, run, patience, options)

    def _say(self, text: str) -> None:
        """Say something without tearing the bar apart."""
        if self.stderr.isatty():
            tqdm.write(text, file=sys.stderr)
        else:
            self.stderr.write(text)

    def _preview(self, choice: Choice, patience: Patience) -> int:
        with _Bar(choice.what, choice.total(), 0, self.stderr) as bar:
            work = Backfill(choice, patience, report=self._say, step=bar.step)
            found = work.preview()
        self.stdout.write(f"Nothing was sent. To {choice.app.alias!r} would go:")
        for name, number in sorted(found.counts.items()):
            self.stdout.write(f"  {name}: {number}")
        for sample in found.samples:
            text = json.dumps(msgspec.json.decode(encode(sample)), indent=2, ensure_ascii=False)
            self.stdout.write(text)
        return 0

    def _ask(self, choice: Choice) -> None:
        text = (
            f"{choice.total()} orders are looked at. Those that are closed in the shop become"
            f" closed customer sessions of {choice.app.alias!r}: their coupons are redeemed,"
            " budgets spent and points paid, now. Cancelling them later does not undo everything."
        )
        self.stderr.write(text)
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to ask: give --yes.")
        if input("Send them? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was sent.")

    def _send(
        self, choice: Choice, run: progress.Run, patience: Patience, options: dict[str, Any]
    ) -> int:
        choice = replace(choice, window=backfill.fixed_window(run, choice.window))
        if run.total is None or choice.limit:
            run.total = run.position.get("looked_at", 0) + choice.total()
        began = run.position.get("looked_at", 0)
        if began:
            self.stderr.write(
                f"Going on where the run of {run.started_at:%Y-%m-%d %H:%M} UTC stopped: {began} of"
                f" {run.total}."
            )
        before = run.counts.copy()
        with _Bar(choice.what, run.total, began, self.stderr) as bar:
            work = Backfill(
                choice,
                patience,
                most_refused=options["max_refused"],
                report=self._say,
                step=bar.step,
            )
            work.send(run)
        if not choice.limit or run.position.get("looked_at", 0) - began < choice.limit:
            run.finish()
        told = ", ".join(f"{name}: {number}" for name, number in sorted(run.counts.items()))
        self.stdout.write(f"{choice.what} of {choice.app.alias!r}: {told or 'there are none'}.")
        return run.counts[REFUSED] - before[REFUSED]


_PROBLEMS = (
    progress.Refused,
    progress.TakenOver,
    CannotGoOn,
    TalonConfigurationError,
    backfill.NoMoment,
)


class _Help(RawDescriptionHelpFormatter):
    """Keeps the paragraphs of the help apart, and folds each."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fold = super(RawDescriptionHelpFormatter, self)._fill_text
        return "\n\n".join(fold(part, width, indent) for part in text.split("\n\n"))


class _Bar:
    """A bar for who watches; otherwise a line now and then, with what is left."""

    def __init__(self, what: str, total: int | None, began: int, stream: Any) -> None:
        self._what, self._total, self._done, self._began = what, total, began, began
        self._stream = stream
        self._started = self._told = time.monotonic()
        watched = stream.isatty()
        # Not the command's own stream, which ends every write with a new line.
        self._bar = tqdm(total=total, initial=began, desc=what) if watched else None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, rows: int) -> None:
        self._done += rows
        if self._bar is not None:
            self._bar.update(rows)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self._stream.write(self._line())

    def _line(self) -> str:
        rate = (self._done - self._began) / max(time.monotonic() - self._started, 0.001)
        left = max((self._total or 0) - self._done, 0) / max(rate, 0.001)
        return (
            f"{self._what}: {self._done} of {self._total}, {rate:.0f} a second, about"
            f" {left / 60:.0f} min left"
        )
