"""``manage.py talon_reconcile``: find what no signal told, and put it right."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_talon.conf import conf
from django_talon.management.base import TalonCommand
from django_talon.management.commands._moments import moment, positive, whole
from django_talon.management.commands.talon_relay import asked_to_stop
from django_talon.outbox.repair import progress
from django_talon.outbox.repair.patience import CannotGoOn, Patience, Stopped
from django_talon.outbox.repair.readback import Drift
from django_talon.outbox.repair.reconcile import NAME, Finding, Reconciler, bounded
from django_talon.outbox.repair.scan import Window

#: Questions a second, where no rate is given.
ASKING = 20.0
#: Findings that the JSON lists; the numbers count all.
LISTED = 1000


class Command(TalonCommand):
    """Compares the shop with what was sent, or with what Talon.One has."""

    help = (
        "Find carts, orders and customers that are not as they were sent last, because no signal"
        " told: queryset.update(), bulk_create(), raw SQL, a process killed at the wrong moment."
        " They go into the outbox, behind everything else, and the workers send them. What waits"
        " already, dead letters and history (older than SYNC_ORDERS_SINCE) are left alone."
        " Ends with 1 if anything differed, put right or not. The task django_talon.tasks."
        "reconcile does the same by beat, some thousand rows an hour."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            type=moment,
            metavar="WHEN",
            help="only what changed since: 2026-11-01, 36h, 7d. Goes by the adapter's cart_updated,"
            " order_updated and customer_updated, otherwise by the time of creation; models"
            " without either are looked through whole",
        )
        parser.add_argument(
            "--limit",
            type=whole,
            metavar="N",
            help="look at N rows; the next run with --limit, and the task, go on from there",
        )
        parser.add_argument(
            "--rate",
            type=positive,
            metavar="N",
            help="rows a second, or with --ask-talon and --resync calls a second"
            f" (default: no limit; {ASKING:.0f} for questions)",
        )
        parser.add_argument("--dry-run", action="store_true", help="find, and change nothing")
        parser.add_argument(
            "--ask-talon",
            action="store_true",
            help="also read every session and profile back from Talon.One, one call each, and"
            " compare state, lines, totals and attributes; what can be mended is sent again",
        )
        parser.add_argument(
            "--resync",
            action="store_true",
            help="after the database was restored or failed over: forget what was sent since"
            " --since (open sessions and profiles), and send all of it as the database has it now."
            " Go back further than the moment that was lost: a cart that changed in the lost"
            " hours may have been sent long before them",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for monitoring")

    def handle(self, *args: Any, **options: Any) -> None:
        if not conf.ENABLED:
            raise CommandError("TALON_ONE['ENABLED'] is off: nothing would be sent.")
        others = ("since", "ask_talon", "resync", "dry_run")
        if options["limit"] and any(options[name] for name in others):
            raise CommandError("--limit walks through all rows, bit by bit: give it alone.")
        self._listed: list[dict[str, Any]] = []
        self._as_json: bool = options["json"]
        self._dry_run: bool = options["dry_run"]
        with asked_to_stop() as stop:
            rate = options["rate"] or (ASKING if options["ask_talon"] else None)
            patience = Patience(rate=rate, stop=stop, say=self.stderr.write)
            reconciler = Reconciler(patience, dry_run=self._dry_run, tell=self._tell)
            try:
                self._run(reconciler, patience, options)
            except Stopped:
                self.stderr.write("Stopped before the end.")
            except (progress.Refused, progress.TakenOver, CannotGoOn) as error:
                raise CommandError(str(error)) from None
        self._sum_up(reconciler)

    def _run(self, reconciler: Reconciler, patience: Patience, options: dict[str, Any]) -> None:
        if self._dry_run:
            self._walk(reconciler, options)
            return
        with progress.running(NAME, {}) as run:
            patience.run = run
            if options["limit"]:
                bounded(reconciler, run, options["limit"])
            else:
                self._walk(reconciler, options)

    def _walk(self, reconciler: Reconciler, options: dict[str, Any]) -> None:
        since: datetime | None = options["since"]
        if options["resync"]:
            reconciler.resync(since)
        reconciler.everything(Window(since))
        if options["ask_talon"]:
            reconciler.ask(since)

    def _tell(self, finding: Finding) -> None:
        told = _as_dict(finding)
        if len(self._listed) < LISTED:
            self._listed.append(told)
        if not self._as_json:
            self.stdout.write(self._line(told))

    def _line(self, told: dict[str, Any]) -> str:
        then = "would be sent again" if self._dry_run else "is sent again"
        money = ""
        if "talon_total" in told:
            money = f" (shop {told['shop_total']}, Talon.One {told['talon_total']})"
        what = f"{told['key']} {told['what']}{money}"
        return f"{what}: {then if told['is_sent_again'] else 'sending again cannot mend that'}"

    def _sum_up(self, reconciler: Reconciler) -> None:
        report = reconciler.report
        if self._as_json:
            numbers = {
                "looked_at": report.looked_at,
                "asked": report.asked,
                "sent_again": report.marked,
                "beyond_repair": report.beyond_repair,
                "dry_run": self._dry_run,
                "by_reason": dict(report.by_reason),
                "findings": self._listed,
            }
            self.stdout.write(json.dumps(numbers, indent=2))
        else:
            asked = f", {report.asked} read back from Talon.One" if report.asked else ""
            self.stdout.write(f"{report.looked_at} rows looked at{asked}.")
        if report.found:
            verb = "would go" if self._dry_run else "went"
            raise CommandError(
                f"{report.found} differed: {report.marked} {verb} into the outbox,"
                f" {report.beyond_repair} cannot be mended by sending."
            )


def _as_dict(finding: Finding) -> dict[str, Any]:
    if not isinstance(finding, Drift):
        return {"key": finding.key, "what": finding.why, "is_sent_again": bool(finding.rows)}
    told: dict[str, Any] = {
        "key": finding.key,
        "integration_id": finding.integration_id,
        "what": finding.what,
        "is_sent_again": finding.is_repairable,
    }
    if finding.shop_total is not None:
        told["shop_total"] = f"{finding.shop_total} {finding.currency}"
    if finding.talon_total is not None:
        told["talon_total"] = f"{finding.talon_total} {finding.currency}"
    return told
